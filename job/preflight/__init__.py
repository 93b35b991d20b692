"""The checks behind `doctor` and `check-graph`. Read `checks` first.

    checks      which checks there are and what they share
    rows        runs checks side by side and prints a row for each
    machine     versions, packages, devices, rank table
    data        domains, classes, lists, weights and disk space, from names and sizes
    unchanged   whether the data of a finished run changed
    storage     permissions, speed, clock, lease
    graph       the operations of the graphs, and their cost
"""
