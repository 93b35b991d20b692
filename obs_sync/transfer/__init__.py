"""Trees of files between a store and the local disk. Read `trees` first.

    trees       pull, pull_file and push
    pull        how a pull goes
    push        how a push goes
    plan        what a pull has to fetch: a pure function
    compare     a tree and a store side by side
    digests     is a local file what an object is?
    filters     --include and --exclude
    index       what is known of the files of a destination
    workspace   the lock and the unfinished files of a pull
"""
