"""PNG files without texts and colour profiles, which may be large and hold no pixels."""

from __future__ import annotations

import io
import os
import struct
from typing import BinaryIO

SIGNATURE = b"\x89PNG\r\n\x1a\n"
LEFT_OUT = (b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"eXIf")


def without_texts(path: str) -> BinaryIO:
    """The PNG file at `path`, in memory, without texts, colour profile and EXIF data, none of which is unpacked."""
    kept = io.BytesIO()
    with open(path, "rb") as stream:
        kept.write(stream.read(len(SIGNATURE)))
        while True:
            head = stream.read(8)
            if len(head) < 8:  # the end, or a file cut short, which its reader notices
                kept.write(head)
                break
            length, kind = struct.unpack(">I4s", head)
            if kind in LEFT_OUT:
                stream.seek(length + 4, os.SEEK_CUR)  # 4 bytes of checksum
            else:
                kept.write(head)
                kept.write(stream.read(length + 4))
    kept.seek(0)
    return kept
