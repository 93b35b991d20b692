"""Chaos: jobs and transfers as processes, behind a network that breaks connections, and killed at random.

    python -m benchmarks.chaos --seeds 1-20

Read `__main__` first, then `transfers`.

    __main__    the command: seeds in, figures out
    transfers   push and pull a tree, and compare every file
    training    train a miniature run, and compare it with one that nothing disturbed
    process     start a command again and again until it succeeds, and kill it on the way
    proxy       the network
    tally       what was done, and what was wrong
"""
