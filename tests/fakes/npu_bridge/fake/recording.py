"""What was asked of the adapter, in order."""
import json
import os

_records = []


def record(what, **about):
    """Note it, in memory and in the file that FAKE_NPU_RECORD names."""
    entry = dict(about, what=what)
    _records.append(entry)
    path = os.environ.get("FAKE_NPU_RECORD")
    if path:
        with open(path, "a") as stream:
            stream.write(json.dumps(entry) + "\n")


def records(what):
    """Every entry of a kind: ``session``, ``graph``, ``initialised``."""
    return [entry for entry in _records if entry["what"] == what]
