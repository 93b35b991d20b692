"""One kept connection of HTTP/1.1, and the replies on it.

Faults are raised as `http.client` raises them: OSError, HTTPException.
"""
from __future__ import annotations

import contextlib
import http.client
import mmap
import select
import socket
import ssl
import time
from typing import Iterator, Optional

from obs_sync.http.head import LONGEST, BadReply, Head, check_trailers, chunk_size, parse_head
from obs_sync.http.pace import Pace

_BUFFER = 1 << 18      # bytes; a body comes in pieces of about this size
_LONGEST_LINE = 256    # bytes, of the line before a chunk


class Connection:
    """A connected socket and its buffer. Only one thread may use it at a time. After a fault it is closed."""

    def __init__(self, connected: socket.socket, timeout: float):
        """`timeout` in seconds, for each call; `Pace` judges how little may come within it."""
        self.request = b""   # the last one
        self.reused = False  # the server may have closed it meanwhile
        self._socket = connected
        connected.settimeout(timeout)
        self._buffer = mmap.mmap(-1, _BUFFER, mmap.MAP_PRIVATE)  # takes only the pages that are used
        self._view = memoryview(self._buffer)
        self._start = self._end = 0  # the part of the buffer that has been received and not been read
        self._pace = Pace()

    def is_quiet(self) -> bool:
        """Whether nothing is unread, so that what comes next is the reply to the next request."""
        return self._start == self._end and is_quiet(self._socket)

    def close(self) -> None:
        self._socket.close()

    def send(self, request: bytes) -> None:
        """Send a GET or HEAD; `reply` must take its reply next. Raises OSError."""
        self.request = request
        self._start = self._end = 0
        self._pace = Pace()
        try:
            self._socket.sendall(request)
        except BaseException:
            self.close()
            raise

    def reply(self) -> "Reply":
        """The reply to the request that was sent, its head read. Raises OSError, HTTPException."""
        try:
            return Reply(self, self._head())
        except BaseException:
            self.close()
            raise

    def _head(self) -> Head:
        """The head of the final reply. Those of interim replies are skipped."""
        try:
            self._receive()
        except http.client.IncompleteRead as error:
            raise http.client.RemoteDisconnected("the server closed the connection without a reply") from error
        while True:
            head = parse_head(self._until(b"\r\n\r\n", LONGEST - self._start, "headers are"))
            if head.status == 101:
                raise BadReply("the server switches to another protocol without a request for it")
            if head.status >= 200:
                return head

    def pieces(self, length: int) -> Iterator[memoryview]:
        """The next `length` bytes; each piece is valid until the next one is requested."""
        while length:
            if self._start == self._end:
                self._start = self._end = 0
            size = min(length, _BUFFER - self._start)
            missing = self._start + size - self._end
            if missing > 0:
                self._receive(missing)
            self._start += size
            length -= size
            yield self._view[self._start - size:self._start]

    def chunks(self) -> Iterator[memoryview]:
        """A chunked body, likewise, with its trailers."""
        length = self._chunk_size()
        while length:
            yield from self.pieces(length)
            self._until(b"\r\n", 0, "a chunk is")  # it must end where its length says
            length = self._chunk_size()
        self._start -= 2  # the end of the last line begins the trailers, as that of the status line begins the headers
        check_trailers(self._until(b"\r\n\r\n", LONGEST, "trailers are"))

    def until_closed(self) -> Iterator[memoryview]:
        """All that comes until the server closes the connection, likewise."""
        with contextlib.suppress(http.client.IncompleteRead):
            while True:
                if self._start == self._end:
                    self._start = self._end = 0
                    self._receive()
                start, self._start = self._start, self._end
                yield self._view[start:self._end]

    def _chunk_size(self) -> int:
        return chunk_size(self._until(b"\r\n", _LONGEST_LINE, "the line before a chunk is"))

    def _until(self, mark: bytes, longest: int, what: str) -> bytes:
        """What comes before `mark`, at most `longest` bytes."""
        while True:
            limit = self._start + longest + len(mark)
            found = self._buffer.find(mark, self._start, min(limit, self._end))
            if found >= 0:
                data = self._buffer[self._start:found]
                self._start = found + len(mark)
                return data
            if self._end >= limit:
                raise BadReply(f"{what} too long")
            if self._end == _BUFFER:
                self._end -= self._start
                self._buffer.move(0, self._start, self._end)
                self._start = 0
            self._receive()

    def _receive(self, size: Optional[int] = None) -> None:
        """Receive `size` bytes; if it is None at least one byte, and what fits."""
        limit = _BUFFER if size is None else self._end + size
        while True:
            began = time.monotonic()
            received = self._socket.recv_into(self._view[self._end:limit])
            if not received:
                raise http.client.IncompleteRead(b"", None if size is None else limit - self._end)
            self._end += received
            self._pace.add(time.monotonic() - began, received)
            if size is None or self._end == limit:
                return


class Reply:
    """A reply whose body is still to be read; then `reusable` says whether the connection can have another request.

    `length` is the number of bytes that Content-Length states, in the reply to a HEAD as well, or None.
    """

    def __init__(self, connection: Connection, head: Head):
        self.connection = connection
        self.status, self.reason, self.headers, self.length, self._chunked, self._keeps = head
        self.reusable = False

    def body(self) -> Iterator[memoryview]:
        """The body in pieces, each valid until the next one is requested. Raises OSError, HTTPException."""
        connection = self.connection
        if connection.request.startswith(b"HEAD ") or self.status in (204, 304):
            pass
        elif self._chunked:
            yield from connection.chunks()
        elif self.length is not None:
            yield from connection.pieces(self.length)
        else:
            yield from connection.until_closed()
            return
        self.reusable = self._keeps


def is_quiet(connected: socket.socket) -> bool:
    """Whether nothing has arrived that is unread, not even the end of the connection."""
    poll = select.poll()
    poll.register(connected, select.POLLIN)
    tls = isinstance(connected, ssl.SSLSocket)
    if not poll.poll(0) and not (tls and connected.pending()):
        return True
    return tls and _only_tickets(connected)


def _only_tickets(connected: ssl.SSLSocket) -> bool:
    """Whether what has arrived holds no data and no end: TLS 1.3 sends tickets for later sessions at any time."""
    timeout = connected.gettimeout()
    connected.settimeout(0.0)
    try:
        connected.recv(1)
        return False
    except OSError as error:
        return isinstance(error, ssl.SSLWantReadError)
    finally:
        connected.settimeout(timeout)
