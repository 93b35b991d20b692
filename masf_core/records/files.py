"""Files that appear whole: a reader finds all of a file or nothing, also after a crash. Needs no TensorFlow."""
from __future__ import annotations

import os
from typing import Any


def replace_text(path: str, text: str) -> None:
    """Write ``text`` to ``path`` at once, as UTF-8: readers see the old content or the new one, never a part.

    Raises:
        OSError: the file cannot be written. Then the old content stays.
    """
    partial = path + ".partial"
    with open(partial, "w", encoding="utf-8") as stream:
        stream.write(text)
        sync(stream)
    os.replace(partial, path)


def sync(stream: Any) -> None:
    """Bring what was written to ``stream``, an open file, to the disk: a rename must not come before the content."""
    stream.flush()
    os.fsync(stream.fileno())
