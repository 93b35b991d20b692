"""From the training loop to the store, in the background. Read `publisher` first.

    publisher     what the training loop calls; its docstring tells the whole
    worker        the thread that uploads
    policy        what is uploaded next, when a retry comes, when waiting is over
    upload_queue  checkpoints and log files that wait
    delivery      one upload: a checkpoint and its pointer, or the log files
    snapshots     a checkpoint on its way
    spool         where checkpoints lie on the local disk until they have been delivered
    retention     which published checkpoints stay, and which one best.json names
    leftovers     names files without a marker at the end of a run
    log_upload    log files on their way to the store
    restore       finds the checkpoint to resume from
    run_record    run.json
    history       metrics.jsonl
    lineage       the published checkpoints of a run's current lineage
    late_writes   finds records that a delayed write has overwritten, and what the newest checkpoint knows instead
    patience      retries for minutes what opens or ends a run
    time_limit    waits for a call no longer than so long
    priority      lowers the priority of background work
"""
