"""Trees of files between a store and the local disk. Read `trees` first.

    trees       pull, pull_file and push
    pull        how a pull goes
    push        how a push goes
    plan        decides what a pull has to fetch: a pure function
    compare     compares a directory with a store
    digests     compares a local file with an object by digest
    filters     --include and --exclude
    index       records what a pull has fetched to a destination
    workspace   the lock and the unfinished files of a pull
"""
