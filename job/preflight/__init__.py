"""The checks behind `doctor` and `check-graph`. Read `checks` first.

    checks      which checks there are and what they share
    rows        runs checks side by side and prints a row for each
    machine     versions, packages, devices, rank table
    data        domains, classes, lists, weights and disk, from names and sizes
    unchanged   are the data still those of a finished run?
    storage     permissions, speed, clock, lease
    graph       what the graphs are made of and what they cost
"""
