"""What a person reads of a run.

    report           report.html and its figures
    image_part       report.json: mistakes and features, for a report that is written later
    stored_report    the report of a run in a store
    page             a folder: what all pages share, and the parts of the report
    compare          several runs beside each other
    table            a folder: variants over targets and seeds, beside the paper
    show             what a run has left in the store
    watch            what a running run adds to it
    events           something that is told once, to people or to programs
    evaluated        what `evaluate` found
    image_results    its CSV file, a line for each image; cells that no spreadsheet takes for a formula
    averaged         what `average` found
    predictions      what `predict` found
    prediction_page  its page, a grid of the images
"""
