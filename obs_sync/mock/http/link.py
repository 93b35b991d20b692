"""A slow network: a limit of bytes per second for all connections of a mocked OBS together, in both directions."""
from __future__ import annotations

import io
import socket
import threading
import time
from typing import Any, BinaryIO, Callable, Optional

_LARGEST_PIECE = 64 * 1024  # bytes that pass at once
_PIECE_SECONDS = 0.05       # of the link for one piece at most, so that connections take turns and can end soon
_CREDIT_SECONDS = 0.05      # of idle time that is made up for: sleeps end late, which must not lower the rate


class Link:
    """A token bucket. Pieces pass in the order in which they ask.

    Args:
        bytes_per_second: more than 0.
        clock, sleep: in seconds; tests replace them.

    Raises:
        ValueError: the rate is not more than 0.
    """

    def __init__(self, bytes_per_second: float, clock: Callable[[], float] = time.monotonic,
                 sleep: Callable[[float], None] = time.sleep):
        if not bytes_per_second > 0:
            raise ValueError(f"bytes_per_second is {bytes_per_second}; expected more than 0")
        self.bytes_per_second = bytes_per_second
        self.piece = max(1, min(_LARGEST_PIECE, int(bytes_per_second * _PIECE_SECONDS)))
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._free_at = clock()  # when all bytes that were asked for have passed

    def carry(self, size: int) -> None:
        """Waits until `size` bytes have passed."""
        with self._lock:
            now = self._clock()
            self._free_at = max(self._free_at, now - _CREDIT_SECONDS) + size / self.bytes_per_second
            wait = self._free_at - now
        if wait > 0:
            self._sleep(wait)

    def connection(self, connection: socket.socket) -> "LinkedConnection":
        return LinkedConnection(connection, self)


class LinkedConnection:
    """A socket whose bytes pass over a link. It has only the methods that the mocked OBS calls."""

    def __init__(self, connection: socket.socket, link: Link):
        self._connection = connection
        self._link = link

    def makefile(self, mode: str, buffering: int) -> BinaryIO:
        """A stream for reading. Bytes that have not passed stay with the sender, as the socket's buffers fill up."""
        raw = _LinkedReader(self._connection.makefile(mode, 0), self._link)
        return io.BufferedReader(raw, buffering)

    def sendall(self, data: bytes) -> None:
        view = memoryview(data)
        for start in range(0, len(view), self._link.piece):
            piece = view[start:start + self._link.piece]
            self._link.carry(len(piece))
            self._connection.sendall(piece)

    def sendfile(self, file: BinaryIO, offset: int, count: int) -> int:
        """Returns the number of bytes sent, which is less than `count` if the file is shorter."""
        sent = 0
        while sent < count:
            wanted = min(self._link.piece, count - sent)
            self._link.carry(wanted)
            piece = self._connection.sendfile(file, offset + sent, wanted)
            sent += piece
            if piece < wanted:
                break
        return sent


class _LinkedReader(io.RawIOBase):
    def __init__(self, raw: io.RawIOBase, link: Link):
        super().__init__()
        self._raw = raw
        self._link = link

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> Optional[int]:
        received = self._raw.readinto(memoryview(buffer)[:self._link.piece])
        if received:
            self._link.carry(received)
        return received

    def close(self) -> None:
        self._raw.close()
        super().close()
