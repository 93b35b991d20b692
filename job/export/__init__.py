"""A trained network as files for other programs. Read `story` first.

    story         write, run, compare, deliver
    samples       the images on which an export is compared with the evaluator
    sidecar       export.json: what a user of the files has to know
    delivery      a folder of files that appears whole or not at all, on the local disk or in a bucket
"""
