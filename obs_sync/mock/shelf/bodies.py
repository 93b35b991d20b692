"""Bodies of objects while they are received, stored and sent.

Only small bodies are held in memory as a whole. No lock is held while a body is received or sent.
"""
from __future__ import annotations

import base64
import hashlib
import os
import socket
from typing import BinaryIO, Callable, Iterable, Iterator, NamedTuple, Optional, Union

from obs_sync.mock.errors import ObsError
from obs_sync.mock.shelf.crc64 import new_crc64

CHUNK = 256 * 1024  # bytes moved at once
SMALL = 64 * 1024   # bytes; a body up to this size is sent together with its headers


class Spool:
    """A received body that is not stored yet, with its digests: in memory while it is small, otherwise in a file.

    Args:
        new_path: returns the path of a new file, when one is needed.
        memory_limit: bytes; a larger body is written to a file.
        with_sha256, with_crc64: digests to compute besides MD5.
    """

    def __init__(self, new_path: Callable[[], str], memory_limit: int, with_sha256: bool = False,
                 with_crc64: bool = False):
        self._new_path = new_path
        self._limit = memory_limit
        self._pieces: Optional[list] = []
        self._file: Optional[BinaryIO] = None
        self._md5 = hashlib.md5()
        self._sha256 = hashlib.sha256() if with_sha256 else None
        self._crc64 = new_crc64() if with_crc64 else None
        self.path: Optional[str] = None
        self.size = 0

    def write(self, pieces: Iterable[bytes], with_md5: bool = True) -> "Spool":
        """Writes a body; on failure its file is deleted. with_md5: False if the MD5 is not needed."""
        try:
            for piece in pieces:
                if with_md5:
                    self._md5.update(piece)
                if self._sha256 is not None:
                    self._sha256.update(piece)
                if self._crc64 is not None:
                    self._crc64.update(piece)
                self.size += len(piece)
                if self._file is not None:
                    self._file.write(piece)
                elif self.size <= self._limit:
                    self._pieces.append(piece)
                else:
                    self._open().write(piece)
        except BaseException:
            self.discard()
            raise
        return self

    def _open(self) -> BinaryIO:
        self.path = self._new_path()
        self._file = open(self.path, "wb")
        self._file.write(b"".join(self._pieces))
        self._pieces = None
        return self._file

    def to_file(self) -> str:
        """The path of a complete file with the body, which the caller moves to its place."""
        if self._file is None:
            self._open()
        self._file.close()
        return self.path

    def data(self) -> Optional[bytes]:
        """The body if it is in memory, otherwise None."""
        return b"".join(self._pieces) if self._pieces is not None else None

    def discard(self) -> None:
        """Deletes the file, unless it was moved away."""
        if self._file is not None:
            self._file.close()
        if self.path is not None and os.path.exists(self.path):
            os.unlink(self.path)
        self._pieces = []

    @property
    def md5(self) -> bytes:
        return self._md5.digest()

    def check(self, content_md5: Optional[str] = None, sha256: Optional[str] = None,
              crc64: Optional[str] = None) -> None:
        """Compares the body with the digests that the client sent: Base64 MD5, hexadecimal SHA-256, decimal CRC-64.

        Raises:
            ObsError: InvalidDigest or BadDigest; the body is discarded.
        """
        try:
            if content_md5 is not None and decode_md5(content_md5) != self.md5:
                raise ObsError("BadDigest", "Content-MD5 does not match the body that was received.")
            if self._sha256 is not None and sha256.lower() != self._sha256.hexdigest():
                raise ObsError("BadDigest", "The SHA-256 of the body is not the content-sha256 header's.")
            if self._crc64 is not None and crc64 != str(self._crc64.value):
                raise ObsError("BadDigest", "The CRC-64 of the body is not the checksum header's.")
        except ObsError:
            self.discard()
            raise


def decode_md5(text: str) -> bytes:
    """The 16 bytes of a Content-MD5 header. Raises ObsError (InvalidDigest)."""
    try:
        digest = base64.b64decode(text, validate=True)
    except ValueError:
        digest = b""
    if len(digest) != 16:
        raise ObsError("InvalidDigest")
    return digest


class ChangedOnDisk(Exception):
    """A file is not the one that was stored: somebody changed it by hand."""


class MemoryBlob(NamedTuple):
    """A stored body in memory."""

    data: bytes

    def open(self) -> memoryview:
        return memoryview(self.data)


class FileBlob(NamedTuple):
    """A stored body in a file, recognised by size and time of modification."""

    path: str
    size: int
    mtime_ns: int

    def open(self) -> BinaryIO:
        """Raises FileNotFoundError, or ChangedOnDisk when it is not the file that was stored."""
        file = open(self.path, "rb", buffering=0)  # read once, in large pieces
        stat = os.fstat(file.fileno())
        if (stat.st_size, stat.st_mtime_ns) != (self.size, self.mtime_ns):
            file.close()
            raise ChangedOnDisk(self.path)
        return file


Blob = Union[MemoryBlob, FileBlob]


class Slice:
    """`length` bytes from `offset` of an open blob. The blob stays readable when its object is overwritten or deleted,
    so a reader sees one version from the first byte to the last."""

    def __init__(self, opened: Union[memoryview, BinaryIO], offset: int, length: int):
        self._opened = opened
        self.offset = offset
        self.length = length

    def narrowed(self, offset: int, length: int) -> "Slice":
        """A part of the object; `offset` counts from the start of the object."""
        return Slice(self._opened, offset, length)

    def part(self, start: int, length: int) -> "Slice":
        """A part of this slice; `start` counts from the start of the slice."""
        return Slice(self._opened, self.offset + start, length)

    def chunks(self) -> Iterator[bytes]:
        if isinstance(self._opened, memoryview):
            for start in range(self.offset, self.offset + self.length, CHUNK):
                yield bytes(self._opened[start:min(start + CHUNK, self.offset + self.length)])
            return
        self._opened.seek(self.offset)
        left = self.length
        while left:
            piece = self._opened.read(min(left, CHUNK))
            if not piece:
                raise ChangedOnDisk("a file became shorter while it was read")
            left -= len(piece)
            yield piece

    def read(self) -> bytes:
        if isinstance(self._opened, memoryview):
            return bytes(self._opened[self.offset:self.offset + self.length])
        return b"".join(self.chunks())

    def send(self, connection: socket.socket) -> None:
        """Sends the bytes; those of a file are not copied through this process."""
        if isinstance(self._opened, memoryview):
            connection.sendall(self._opened[self.offset:self.offset + self.length])
        elif connection.sendfile(self._opened, self.offset, self.length) != self.length:
            raise ChangedOnDisk("a file became shorter while it was sent")

    def close(self) -> None:
        if not isinstance(self._opened, memoryview):
            self._opened.close()
