"""``python -m job COMMAND``."""

from __future__ import annotations

import sys

from job.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
