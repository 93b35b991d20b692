"""Sums over the processes of a run, as operations of its graph. Read `one_rank` first.

    one_rank      the interface, for a process that is alone
    collectives   the same for several processes, whatever carries the sums
    runtime       sums through TensorFlow's own runtime
"""
