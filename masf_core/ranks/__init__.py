"""Sums over the ranks of a run, as operations of its graph. Read `one_rank` first.

    one_rank      the interface, for a run of one rank
    collectives   the same for several ranks, independent of what carries the sums
    runtime       sums through TensorFlow's own runtime
"""
