"""Lines of bookkeeping files. Each has a checksum, so that half a line, left by a killed process, is recognised."""
from __future__ import annotations

import zlib
from typing import Optional


def line_of(text: str) -> bytes:
    """The line of `text`, which is ASCII without line breaks, such as JSON."""
    data = text.encode("ascii")
    return b"%08x %s\n" % (zlib.crc32(data), data)


def text_of(line: bytes) -> Optional[str]:
    """The text of a line (given without its line break), or None if the line is not whole."""
    checksum, _, data = line.partition(b" ")
    if not data or checksum != b"%08x" % zlib.crc32(data):
        return None
    return data.decode("ascii", errors="replace")  # what is not ASCII was not written by `line_of`
