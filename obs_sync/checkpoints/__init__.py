"""Checkpoints in a store: seen whole or not at all. Read `publish` first.

    publish      publishes, lists, fetches and deletes checkpoints
    markers      the object that is written last
    pointers     named pointers, such as best.json
    verify       checks checkpoints end to end
    collect      finds and deletes what killed processes left
    unfinished   uploads in parts that never ended
"""
