"""Run the boot file, and die by SIGKILL at the n-th call of a function.

    python -m tests.end_to_end.killed_at MODULE:NAME N ARGS…

A signal sent from outside would hit a different place each time; from inside it is as sudden, and exact.
"""
from __future__ import annotations

import functools
import importlib
import os
import signal
import sys
import threading


def replace(place, make):
    """Put ``make(function)`` in the place of the function at ``place``."""
    module_name, path = place.split(":")
    holder = importlib.import_module(module_name)
    *outer, name = path.split(".")
    for part in outer:
        holder = getattr(holder, part)
    setattr(holder, name, make(getattr(holder, name)))


def arm(place, call):
    """Replace the function at ``place`` by one that kills the process when it is called for the ``call``-th time."""
    lock, count = threading.Lock(), [0]

    def armed(original):
        @functools.wraps(original)
        def deadly(*args, **kwargs):
            with lock:
                count[0] += 1
                if count[0] == call:
                    os.kill(os.getpid(), signal.SIGKILL)
            return original(*args, **kwargs)
        return deadly

    replace(place, armed)


if __name__ == "__main__":
    arm(sys.argv[1], int(sys.argv[2]))
    from job.cli import main

    sys.exit(main(["run"] + sys.argv[3:]))
