"""The processes of one job, one for each card. Read `group` first.

    group     this process among the others: alone, or one of several
    channel   messages between the processes
    stop      all ranks stop after the same iteration
    table     HCCL's rank table
    launch    starts one process for each card
"""
