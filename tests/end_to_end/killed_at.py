"""Run the boot file, and die by SIGKILL at the n-th call of a function, or at the first that is about something.

    python -m tests.end_to_end.killed_at MODULE:NAME N|TEXT ARGS…

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
    """Replace the function at ``place`` by one that kills the process.

    Args:
        call: when it is called for the so-many-th time, from 1; or, if it is no number, with this text in an argument.
    """
    lock, count = threading.Lock(), [0]

    def armed(original):
        @functools.wraps(original)
        def deadly(*args, **kwargs):
            with lock:
                count[0] += 1 if call.isdigit() or any(call in arg for arg in args if isinstance(arg, str)) else 0
                if count[0] == (int(call) if call.isdigit() else 1):
                    os.kill(os.getpid(), signal.SIGKILL)
            return original(*args, **kwargs)
        return deadly

    replace(place, armed)


if __name__ == "__main__":
    arm(sys.argv[1], sys.argv[2])
    from job.cli import main

    sys.exit(main(["run"] + sys.argv[3:]))
