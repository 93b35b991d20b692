"""The bodies of requests, which the SDK reads in pieces, and closes at the end or after a failure."""
from __future__ import annotations

import io
from typing import BinaryIO

from obs_sync.errors import IntegrityError
from obs_sync.local.files import local_reading
from obs_sync.store import OnBytes


class StreamBody:
    """`size` bytes of a stream, from its current position. Closes the stream."""

    def __init__(self, stream: BinaryIO, size: int, count: OnBytes, name: str):
        self._stream = stream
        self.left = size
        self._count = count
        self._name = name

    def read(self, amount: int) -> bytes:
        with local_reading(self._name):  # else the SDK would report a fault of the network
            chunk = self._stream.read(min(amount, self.left))
        if not chunk and self.left:
            raise IntegrityError(f"{self.left} bytes are missing at the end", self._name)
        self.left -= len(chunk)
        self._count(len(chunk))
        return chunk

    def close(self) -> None:
        self._stream.close()


class MemoryBody:
    """Bytes in memory, passed on without a copy."""

    def __init__(self, data: memoryview, count: OnBytes):
        self._data = data
        self._count = count

    def read(self, amount: int) -> memoryview:
        piece, self._data = self._data[:amount], self._data[amount:]
        self._count(len(piece))
        return piece

    def close(self) -> None:
        self._data = memoryview(b"")


def file_body(path: str, size: int, count: OnBytes) -> StreamBody:
    """The first `size` bytes of a file."""
    with local_reading(path):
        return StreamBody(open(path, "rb"), size, count, path)


def bytes_body(data: bytes, count: OnBytes, name: str) -> StreamBody:
    return StreamBody(io.BytesIO(data), len(data), count, name)
