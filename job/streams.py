"""The standard streams of a process that was started without some of them, as by ``2>&-`` or by a service manager."""
from __future__ import annotations

import os
import sys

_NAMES = ("stdin", "stdout", "stderr")


def open_closed_streams() -> None:
    """Open those of descriptors 0, 1 and 2 that are closed on the null device.

    Otherwise the next files that are opened get these descriptors, and what native code prints there would end up in a
    checkpoint; and ``sys.stderr`` would be None, which TensorFlow and others do not expect.
    """
    for descriptor, name in enumerate(_NAMES):
        if not _is_open(descriptor):
            # The lowest free descriptor, which is this one: those below it are open by now.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", errors="replace", closefd=False))


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
