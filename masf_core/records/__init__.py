"""What a run writes to the local disk.

    checkpoints   everything that a run needs to resume
    npz           .npz files in one pass
    files         files that appear whole
    logs          eva.txt, metrics.jsonl, TensorBoard events
    selection     which checkpoint is the best: a named policy
"""
