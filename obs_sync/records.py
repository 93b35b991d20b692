"""Lines of bookkeeping that a kill may tear: each with a checksum, so that half a line is not believed."""
from __future__ import annotations

import zlib
from typing import Optional


def line_of(text: str) -> bytes:
    """`text` is ASCII without line breaks, as JSON is."""
    data = text.encode("ascii")
    return b"%08x %s\n" % (zlib.crc32(data), data)


def text_of(line: bytes) -> Optional[str]:
    """The text of a line without its break, or None if it is not whole."""
    checksum, _, data = line.partition(b" ")
    if not data or checksum != b"%08x" % zlib.crc32(data):
        return None
    return data.decode("ascii", errors="replace")  # what is not ASCII was not written by `line_of`
