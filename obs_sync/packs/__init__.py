"""Many small files as a few large objects. Read `store` for reading, `publish` for writing.

    store      a store that shows a pack's members as objects
    publish    uploads missing shards, then the index
    index      which member lies where
    source     which files are packed, and how large a shard is
    layout     how files are laid out in shards
    contents   what a folder with a pack holds
"""
