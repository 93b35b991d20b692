"""Names in any script where the locale knows ASCII alone, as in a container without LANG."""

from __future__ import annotations

import codecs
import os
import sys
from typing import Sequence


def start_again_in_utf8(start: Sequence[str], arguments: Sequence[str]) -> None:
    """Replace this process by the same one in Python's UTF-8 mode, if names of files would have to be ASCII.

    Python turns that mode on by itself in the POSIX locale, unless the environment forbids it (PYTHONUTF8=0). What a
    running interpreter decodes arguments and encodes file names with, it cannot change. The process keeps its number.

    Args:
        start: what the interpreter was given to start, such as ``("-m", "job")``. arguments: what follows it, as this
            interpreter has decoded them; the next one gets the same bytes.
    """
    if sys.flags.utf8_mode or not sys.executable or not _is_ascii(sys.getfilesystemencoding()):
        return
    os.execve(sys.executable, [sys.executable, "-X", "utf8"] + list(start) + list(arguments),
              dict(os.environ, PYTHONUTF8="1"))


def _is_ascii(encoding: str) -> bool:
    return codecs.lookup(encoding).name == "ascii"
