"""One kept connection of HTTP/1.1 that reads: one call sends a request, and one call receives a small reply.

Faults are raised as `http.client` raises them: OSError, HTTPException.
"""
from __future__ import annotations

import errno
import http.client
import mmap
import select
import socket
import ssl
import struct
import time
from typing import Any, Dict, Iterator, Optional

from obs_sync.http.head import (
    CHUNKED, LONGEST, UNTIL_CLOSED, BadReply, Head, check_trailers, chunk_size, parse_head,
)
from obs_sync.http.pace import Pace

_BUFFER = 1 << 18      # bytes; a body comes in pieces of about this size
_LONGEST_LINE = 256    # bytes, of the line before a chunk


class Stale(ConnectionError):
    """The server had closed the connection before it received the request, which may be sent again at once."""


class Connection:
    """A connected socket and its buffer. Only one thread may use it at a time."""

    def __init__(self, connected: socket.socket, timeout: float):
        """`timeout` in seconds, for each call; `Pace` judges how little may come within it."""
        self._socket = connected
        self._plain = type(connected) is socket.socket
        if self._plain:
            # The system's own time-outs: with those of Python every call would be two.
            spent = struct.pack("ll", int(timeout), int(timeout % 1 * 1e6))
            connected.settimeout(None)
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, spent)
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, spent)
        else:
            connected.settimeout(timeout)
        self._buffer = mmap.mmap(-1, _BUFFER, mmap.MAP_PRIVATE)  # takes only the pages that are used
        self._view = memoryview(self._buffer)
        self._pace = Pace()
        self._start = self._end = 0  # the part of the buffer that has been received and not been read

    def is_quiet(self) -> bool:
        """Whether nothing is unread, so that what comes next is the reply to the next request."""
        return self._start == self._end and is_quiet(self._socket)

    def send(self, request: bytes) -> None:
        """Send a GET or HEAD; `reply` must take its reply next. Raises Stale."""
        self._start = self._end = 0
        self._pace.begin()
        try:
            self._socket.sendall(request)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Stale(*error.args) from error
        except BlockingIOError as error:
            raise _timed_out() from error

    def reply(self, has_body: bool = True) -> "Reply":
        """The reply to the request that was sent, its head read. `has_body`: False after a HEAD. Raises Stale."""
        try:
            self._receive(1)
        except ConnectionResetError as error:
            raise Stale(*error.args) from error
        except http.client.IncompleteRead as error:
            raise Stale(errno.ECONNRESET, "closed without a reply") from error
        while True:
            head = parse_head(self._until(b"\r\n\r\n", LONGEST - self._start, "headers are"))
            if head.status == 101:
                raise BadReply("the server switches to another protocol without a request for it")
            if head.status >= 200:
                return Reply(self, head, has_body)

    def close(self) -> None:
        self._socket.close()

    def line(self, longest: int = _LONGEST_LINE) -> bytes:
        """The next line of a body, without its end."""
        return self._until(b"\r\n", longest, "a line between chunks is")

    def _until(self, mark: bytes, longest: int, what: str) -> bytes:
        """What comes before `mark`, at most `longest` bytes."""
        looked = self._start
        while True:
            found = self._buffer.find(mark, looked, self._end)
            if 0 <= found <= self._start + longest:
                data = self._buffer[self._start:found]
                self._start = found + len(mark)
                return data
            if self._end - self._start >= longest + len(mark):
                raise BadReply(f"{what} too long")
            looked = max(self._start, self._end - len(mark) + 1)
            if self._end == _BUFFER:
                left = self._buffer[self._start:self._end]
                self._view[:len(left)] = left
                self._start, self._end, looked = 0, len(left), 0
            self._receive(1)

    def pieces(self, length: int) -> Iterator[memoryview]:
        """The next `length` bytes; each piece is valid until the next one is requested."""
        while length:
            if self._start == self._end:
                self._start = self._end = 0
            size = min(length, _BUFFER - self._start)
            missing = self._start + size - self._end
            if missing > 0:
                self._receive(missing, missing)
            self._start += size
            length -= size
            yield self._view[self._start - size:self._start]

    def until_closed(self) -> Iterator[memoryview]:
        """All that comes until the server closes the connection."""
        while True:
            if self._end > self._start:
                start, self._start = self._start, self._end
                yield self._view[start:self._end]
            self._start = self._end = 0
            try:
                self._receive(1)
            except http.client.IncompleteRead:
                return

    def _receive(self, least: int, most: Optional[int] = None) -> None:
        """Receive at least `least` bytes, and what fits or `most`."""
        end = self._end + least
        limit = _BUFFER if most is None else self._end + most
        while self._end < end:
            began = time.monotonic()
            try:
                if self._plain and most is not None:  # sleep until all is there
                    received = self._socket.recv_into(self._view[self._end:limit], 0, socket.MSG_WAITALL)
                else:
                    received = self._socket.recv_into(self._view[self._end:limit])
            except BlockingIOError as error:
                raise _timed_out() from error
            if not received:
                raise http.client.IncompleteRead(b"", end - self._end)
            self._end += received
            self._pace.add(time.monotonic() - began, received)


class Reply:
    """A reply whose body is still to be read; then `reusable` says whether the connection can have another request."""

    def __init__(self, connection: Connection, head: Head, has_body: bool = True):
        self.connection = connection
        self.status = head.status
        self.reason = head.reason
        self.headers: Dict[str, str] = head.headers
        self.length = head.length
        """The bytes of the object or document by Content-Length, in the reply to a HEAD as well; None if not stated."""
        self.reusable = False
        self._end = head.end_of_body(has_body)
        self._keeps = head.keeps

    @property
    def header(self) -> Any:
        """Pairs, as the SDK's results have them."""
        return self.headers.items()

    def body(self) -> Iterator[memoryview]:
        """The body in pieces, each valid until the next one is requested. Raises IncompleteRead, BadReply."""
        if self._end == CHUNKED:
            yield from self._chunks()
        elif self._end == UNTIL_CLOSED:
            self._keeps = False
            yield from self.connection.until_closed()
        else:
            yield from self.connection.pieces(self._end)
        self.reusable = self._keeps

    def _chunks(self) -> Iterator[memoryview]:
        connection = self.connection
        length = chunk_size(connection.line())
        while length:
            yield from connection.pieces(length)
            connection.line(0)  # a chunk must end where its length says
            length = chunk_size(connection.line())
        trailers, line = b"", connection.line(LONGEST)
        while line:
            trailers += line + b"\r\n"
            line = connection.line(LONGEST - len(trailers))
        check_trailers(trailers)


def is_quiet(connected: socket.socket) -> bool:
    """Whether nothing has arrived that is unread, not even the end of the connection."""
    poll = select.poll()
    poll.register(connected, select.POLLIN)
    if not isinstance(connected, ssl.SSLSocket):
        return not poll.poll(0)
    return not connected.pending() and (not poll.poll(0) or _only_tls_tickets(connected))


def _only_tls_tickets(connected: ssl.SSLSocket) -> bool:
    """Whether what has arrived holds no data and no end: TLS 1.3 sends tickets for later sessions at any time."""
    timeout = connected.gettimeout()
    connected.settimeout(0.0)
    try:
        connected.recv(1)
    except ssl.SSLWantReadError:
        return True
    except OSError:
        return False
    finally:
        connected.settimeout(timeout)
    return False


def _timed_out() -> socket.timeout:
    return socket.timeout("timed out")
