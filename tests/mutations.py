"""Documents with one thing wrong: what a test of their reader is given."""
from __future__ import annotations

import json

VALUES = [None, True, False, -1, 0, 7, 2.5, 10 ** 39, 1e308, float("inf"), float("nan"), "", "x", "../x", "a\0b",
          "\u2028", "x" * 5000, [], [[]], [1], [None], [{}], {}, {"": 0}, {"a": {"b": 1}}]


def with_one_change(content, chosen):
    """A copy of a JSON document in which one value is another, or is missing. chosen: ``random.Random``."""
    content = json.loads(json.dumps(content))
    holder = content
    while True:
        name = chosen.choice(sorted(holder) if isinstance(holder, dict) else range(len(holder)))
        if not isinstance(holder[name], (dict, list)) or not holder[name] or chosen.random() < 0.3:
            break
        holder = holder[name]
    if chosen.random() < 0.2:
        del holder[name]
    elif chosen.random() < 0.1:
        holder[name] = deep(chosen.choice([20, 200, 900]))
    else:
        holder[name] = chosen.choice(VALUES)
    return content


def deep(levels):
    """A value that nests so deep."""
    value = 0
    for _ in range(levels):
        value = [value]
    return value


def changed_bytes(content, chosen):
    """A document as bytes with one change: in a value, or in the bytes themselves."""
    if chosen.random() < 0.8:
        try:
            return json.dumps(with_one_change(content, chosen)).encode("ascii")
        except RecursionError:
            return b"[" * 100000
    data = bytearray(json.dumps(content).encode("ascii"))
    place = chosen.randrange(len(data))
    if chosen.random() < 0.3:
        del data[place:]
    else:
        data[place] = chosen.randrange(256)
    return bytes(data)
