"""Injected faults. Read `plan` first.

    plan        how to use faults; the plan of a mock
    rules       when a fault happens
    effect      base class of all effects
    answers     effects on replies
    transport   effects on bytes, connections and time
    text        rules as lines of text, and presets
"""
