"""What a run writes to the local disk.

    checkpoints   everything that a run needs to resume
    progress      progress.json of a checkpoint: what it holds, and checks on reading
    npz           .npz files in one pass
    files         files that appear whole
    texts         the texts of eva.txt and metrics.jsonl
    scalars       the numbers of an interval under the names that trackers show
    logs          eva.txt, metrics.jsonl, TensorBoard events
    finite        names the arrays that hold a NaN or an infinite value
    selection     which checkpoint is the best: a named policy
"""
