"""One writer at a time below a run's name. Read `lease` first.

    lease           takes, renews and releases the lease
    claims          the claims as one process sees them
    owner           who holds the lease
    guarded_store   a store that writes only while the lease is held
"""
