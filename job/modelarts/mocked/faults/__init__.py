"""Faults of the mocked ModelArts: of its calls, and of its jobs.

    language   rules as text, presets, and the list of all conditions and effects
    effects    what happens to calls and to jobs
    steps      moments in the life of a job that a rule can pick
"""
