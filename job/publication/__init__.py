"""From the training loop to the store, in the background. Read `publisher` first.

    publisher    uploads checkpoints and logs while training goes on
    snapshots    checkpoints that wait, and which of them to upload
    retention    which published checkpoints stay, and which one best.json names
    log_upload   log files on their way to the store
    restore      finds the checkpoint to resume from
    run_record   run.json
    history      metrics.jsonl
    lineage      the published checkpoints of a run's current lineage
    time_limit   waits for a call no longer than so long
    priority     lowers the priority of background work
"""
