"""Writing files so that whoever reads them, after a crash too, finds them whole. Needs no TensorFlow."""
from __future__ import annotations

import os


def replace_text(path, text):
    """Write ``text`` to ``path`` at once: readers see the old content or the new, never a part."""
    partial = path + ".partial"
    with open(partial, "w", encoding="utf-8") as stream:
        stream.write(text)
        sync(stream)
    os.replace(partial, path)


def sync(stream):
    """Flush to the disk itself: a rename must not overtake the content it names."""
    stream.flush()
    os.fsync(stream.fileno())
