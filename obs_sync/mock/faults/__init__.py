"""Faults on purpose. Read `plan` first.

    plan        which faults a mock has; how to use them
    rules       when a fault happens
    effect      what every effect is
    answers     effects on replies
    transport   effects on bytes, connections and time
    text        rules as lines of text, and presets
"""
