"""Run the boot file, and pause at the first call of a function until a file is there.

    python -m tests.end_to_end.held_at MODULE:NAME FILE ARGS…
"""
from __future__ import annotations

import functools
import os
import sys
import time

from tests.end_to_end.killed_at import replace


def hold(place, path):
    """Let the function at ``place`` wait for the file ``path``."""
    def held(original):
        @functools.wraps(original)
        def waiting(*args, **kwargs):
            while not os.path.exists(path):
                time.sleep(0.05)
            return original(*args, **kwargs)
        return waiting

    replace(place, held)


if __name__ == "__main__":
    hold(sys.argv[1], sys.argv[2])
    from job.cli import main

    sys.exit(main(["run"] + sys.argv[3:]))
