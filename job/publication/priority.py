"""Training comes first: the priority of what is done beside it."""
from __future__ import annotations

import contextlib
import os
import sys

NICENESS = 10


def give_way() -> None:
    """Let this thread, and those that it will start, have what processor time is left over.

    Where training leaves nothing over they have a tenth of each core: enough for a checkpoint to arrive, which
    with the least priority that there is could take longer than an interval. On Linux, where a thread has a niceness
    of its own, and 0 means the calling thread.
    """
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
