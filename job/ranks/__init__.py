"""The ranks of one job: training processes, one for each card. Read `group` first.

    group     this rank among the others, or the only one
    channel   messages between the ranks
    stop      all ranks stop after the same iteration
    table     HCCL's rank table
    launch    starts the ranks of this machine, one for each card
"""
