"""``python -m job COMMAND``."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    try:
        from job.utf8 import start_again_in_utf8

        start_again_in_utf8(("-m", "job"), sys.argv[1:])
        from job.cli import main

        code = main(sys.argv[1:])
    except KeyboardInterrupt:  # before main could take it, while this still imports
        code = 130
    sys.exit(code)
