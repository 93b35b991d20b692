"""Records, beside a large file, which of its pieces were downloaded, so that a killed download can be resumed.

`<path>.pieces`: a header (format, key, ETag, size, length of a piece), then one line per piece that was written, with
its CRC-32, which finds bytes that a crash has lost. The download that completes the file deletes the record.
"""
from __future__ import annotations

import json
import threading
import zlib
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from obs_sync.json_document import DocumentError, list_of, read_json, whole
from obs_sync.local.files import CHUNK, local_storage, remove_quietly
from obs_sync.records import line_of, text_of
from obs_sync.store import ObjectInfo

PIECE = 8 << 20  # bytes

_FORMAT = "obs_sync-pieces/1"
_LONGEST_LINE = 100  # bytes of a line about a piece


class Piece(NamedTuple):
    number: int
    offset: int  # bytes
    size: int    # bytes


def pieces_of(size: int, length: int = PIECE) -> List[Piece]:
    return [Piece(number, offset, min(length, size - offset))
            for number, offset in enumerate(range(0, size, length))]


def map_path(path: str) -> str:
    return path + ".pieces"


class PieceMap:
    """The pieces of the version `info` that the file `path` holds. Safe to use from several threads."""

    def __init__(self, path: str, info: ObjectInfo, length: int = PIECE):
        """Reads the record, and continues it if it is of this version; otherwise begins a new one."""
        self._path = path
        self._header = json.dumps([_FORMAT, info.key, info.etag, info.size, length])
        self._lock = threading.Lock()
        pieces = pieces_of(info.size, length)
        self.present = {number for number, crc32 in self._recorded().items()
                        if number < len(pieces) and _crc32_of(path, pieces[number]) == crc32}
        with local_storage(map_path(path)):
            self._stream = open(map_path(path), "ab" if self.present else "wb", buffering=0)
            if not self.present:
                self._stream.write(line_of(self._header))

    def add(self, piece: Piece, crc32: int) -> None:
        """`piece` has been written."""
        with self._lock, local_storage(map_path(self._path)):
            self._stream.write(line_of(json.dumps([piece.number, crc32])))

    def close(self) -> None:
        self._stream.close()

    def _recorded(self) -> Dict[int, int]:
        """CRC-32s by number. A line that does not tell them is skipped: its piece is fetched again."""
        try:
            with open(map_path(self._path), "rb") as stream:
                texts = [text_of(line) for line in stream.read().split(b"\n")]
        except OSError:  # there is none, or none that can be read
            return {}
        if texts[0] != self._header:
            return {}
        return dict(filter(None, map(_entry, texts[1:])))


def _line(value: Any, place: str) -> None:
    """The shape of a line: the number of a piece and its CRC-32."""
    list_of(whole())(value, place)
    if len(value) != 2:
        raise DocumentError(f"expected 2 numbers, found {len(value)}")


def _entry(text: Optional[str]) -> Optional[Tuple[int, int]]:
    """(number of a piece, CRC-32), or None where the line is not whole or says something else."""
    try:
        return None if text is None else tuple(read_json(text.encode("utf-8"), _line, _LONGEST_LINE))
    except DocumentError:
        return None


def discard(path: str) -> None:
    """Remove an unfinished file and its map."""
    remove_quietly(map_path(path))
    remove_quietly(path)


def _crc32_of(path: str, piece: Piece) -> int:
    """The CRC-32 of a piece as the file has it; -1 if the file ends before."""
    crc32, left = 0, piece.size
    try:
        with open(path, "rb", buffering=0) as stream:
            stream.seek(piece.offset)
            while left:
                chunk = stream.read(min(left, CHUNK))
                if not chunk:
                    return -1
                crc32 = zlib.crc32(chunk, crc32)
                left -= len(chunk)
    except OSError:
        return -1
    return crc32
