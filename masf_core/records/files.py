"""Files that appear whole: a reader finds all of a file or nothing, also after a crash. Needs no TensorFlow."""
from __future__ import annotations

import contextlib
import os
from typing import Any


def replace_text(path: str, text: str) -> None:
    """``replace_bytes`` of ``text`` as UTF-8."""
    replace_bytes(path, text.encode("utf-8"))


def replace_bytes(path: str, content: bytes) -> None:
    """Write ``content`` to ``path`` at once: readers see the old content or the new one, never a part.

    Raises:
        OSError: the file cannot be written. Then the old content stays, and nothing else is left.
    """
    partial = path + ".partial"
    try:
        with open(partial, "wb") as stream:
            stream.write(content)
            sync(stream)
        os.replace(partial, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.remove(partial)
        raise


def refuse_unwritable(path: str) -> None:
    """Raise the OSError that ``replace_bytes`` would raise for a place where no file can be written. Leaves nothing."""
    with open(path + ".partial", "wb"):
        pass
    os.remove(path + ".partial")


def sync(stream: Any) -> None:
    """Bring what was written to ``stream``, an open file, to the disk: a rename must not come before the content."""
    stream.flush()
    os.fsync(stream.fileno())
