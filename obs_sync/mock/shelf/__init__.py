"""Storage of the mock. Read `objects` first.

    objects     buckets, objects and uploads
    bodies      bodies while they are received, stored and sent
    memory      a shelf in memory
    disk        a shelf in a directory
    inventory   reads a directory when the mock starts
    paths       keys as paths
    crc64       CRC-64 of bodies
"""
