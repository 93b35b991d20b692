"""The file that ModelArts starts. ``boot_modelarts.py ARGS`` is ``python -m job run ARGS``."""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    # The platform starts this file from another directory than its own.
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    try:
        from job.utf8 import start_again_in_utf8

        start_again_in_utf8((os.path.abspath(__file__),), sys.argv[1:])
        from job.cli import main

        code = main(["run"] + sys.argv[1:])
    except KeyboardInterrupt:  # before main could take it, while this still imports
        code = 130
    sys.exit(code)
