"""What the mock stores. Read `objects` first.

    objects     buckets, objects and uploads
    bodies      bodies on their way in and out
    memory      a shelf in memory
    disk        a shelf in a directory
    inventory   what a directory holds at the start
    paths       keys as paths
    crc64       CRC-64 of bodies
"""
