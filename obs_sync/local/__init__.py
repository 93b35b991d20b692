"""The local disk: as a store, and as the place that a pull fills.

    store         a directory as a Store
    files         digests, files that appear whole, full disks
    destination   a directory in which no link is followed
    removing      deletes what the source does not have
    scratch       temporary directories; the next process deletes those that a killed one left
"""
