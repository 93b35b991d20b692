"""One kept connection of HTTP/1.1 that reads: a request's bytes go out in one call, a small reply comes in in one.

What goes wrong is raised as `http.client` would: OSError, HTTPException.
"""
from __future__ import annotations

import errno
import http.client
import socket
import struct
import time
from typing import Any, Dict, Iterator, Optional, Tuple

from obs_sync.http.pace import Pace

_FIRST_BUFFER = 1 << 16  # bytes; small replies need no more, and there may be many connections
_BUFFER = 1 << 18        # bytes; a body up to this size is handed over in one piece
_MOST_HEAD = 1 << 15     # bytes
_META = ("x-obs-meta-", "x-amz-meta-")
_VENDOR = ("x-obs-", "x-amz-")


class Stale(ConnectionError):
    """The server had closed the connection before it heard the request, which may be sent again at once."""


class Connection:
    """A connected socket and its buffer. Of use to one thread at a time."""

    def __init__(self, connected: socket.socket, timeout: float):
        """`timeout` in seconds, for each call; how little may come within it is the affair of `Pace`."""
        self._socket = connected
        self._plain = type(connected) is socket.socket
        if self._plain:
            # The system's own time-outs: with Python's every call would be two.
            spent = struct.pack("ll", int(timeout), int(timeout % 1 * 1e6))
            connected.settimeout(None)
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, spent)
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, spent)
        else:
            connected.settimeout(timeout)
        self._set_buffer(min(_FIRST_BUFFER, _BUFFER))
        self._pace = Pace()
        self._start = self._end = 0  # what of the buffer has been received and not been read

    def send(self, request: bytes) -> None:
        """Send a GET or HEAD, whose reply is to be taken next. Raises Stale."""
        self._start = self._end = 0
        self._pace.begin()
        try:
            self._socket.sendall(request)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Stale(*error.args) from error
        except BlockingIOError as error:
            raise _timed_out() from error

    def reply(self, has_body: bool = True) -> "Reply":
        """The reply to the request that was sent, its head read; that to a HEAD has no body. Raises Stale."""
        try:
            self._receive(1)
        except ConnectionResetError as error:
            raise Stale(*error.args) from error
        except http.client.IncompleteRead as error:
            raise Stale(errno.ECONNRESET, "closed without a reply") from error
        while True:
            protocol, status, reason, headers = _parsed(self._head())
            if status >= 200:
                return Reply(self, protocol, status, reason, headers, has_body)

    def close(self) -> None:
        self._socket.close()

    def _head(self) -> bytes:
        """Up to the empty line, without it."""
        looked = self._start
        while True:
            found = self._buffer.find(b"\r\n\r\n", looked, self._end)
            if found >= 0:
                head = bytes(self._view[self._start:found])
                self._start = found + 4
                return head
            if self._end - self._start > _MOST_HEAD:
                raise http.client.LineTooLong("headers")
            looked = max(self._start, self._end - 3)
            self._receive(1)

    def line(self) -> bytes:
        """The next line of a body, without its end."""
        while True:
            found = self._buffer.find(b"\n", self._start, self._end)
            if found >= 0:
                line = bytes(self._view[self._start:found])
                self._start = found + 1
                return line.rstrip(b"\r")
            if self._end - self._start > 1024:
                raise http.client.LineTooLong("chunk")
            if self._end == self._size:
                self._compact()
            self._receive(1)

    def pieces(self, length: int) -> Iterator[memoryview]:
        """The next `length` bytes; each piece is good until the next one is asked for."""
        if self._start + length > self._size < _BUFFER:
            received = bytes(self._view[self._start:self._end])
            self._set_buffer(_BUFFER)
            self._view[:len(received)] = received
            self._start, self._end = 0, len(received)
        if length <= self._size < self._start + length:
            self._compact()
        if self._start + length > self._size and self._end > self._start:  # what came with the head, first
            size = min(length, self._end - self._start)
            self._start += size
            length -= size
            yield self._view[self._start - size:self._start]
        while length:
            if self._start + min(length, self._size) > self._size:
                self._compact()
            size = min(length, self._size)
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

    def _set_buffer(self, size: int) -> None:
        self._size = size
        self._buffer = bytearray(size)
        self._view = memoryview(self._buffer)

    def _compact(self) -> None:
        left = self._end - self._start
        self._view[:left] = bytes(self._view[self._start:self._end])
        self._start, self._end = 0, left

    def _receive(self, least: int, most: Optional[int] = None) -> None:
        """Receive at least `least` bytes, and what fits or `most`."""
        end = self._end + least
        limit = self._size if most is None else self._end + most
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

    def __init__(self, connection: Connection, protocol: str, status: int, reason: str, headers: Dict[str, str],
                 has_body: bool = True):
        """`headers` have names in lower case without x-obs-, x-amz- and meta- prefixes, as the SDK has them."""
        self.connection = connection
        self.status = status
        self.reason = reason
        self.headers = headers
        self.reusable = False
        self._has_body = has_body and status not in (204, 304)
        tokens = headers.get("connection", "").lower()
        self._keeps = "close" not in tokens and (protocol != "HTTP/1.0" or "keep-alive" in tokens)

    @property
    def header(self) -> Any:
        """Pairs, as the SDK's results have them."""
        return self.headers.items()

    def body(self) -> Iterator[memoryview]:
        """The body in pieces, each good until the next one is asked for. Raises IncompleteRead if it is cut short."""
        length = self.headers.get("content-length")
        if not self._has_body:
            pass
        elif "chunked" in self.headers.get("transfer-encoding", "").lower():
            yield from self._chunks()
        elif length is None:
            self._keeps = False
            yield from self.connection.until_closed()
        elif length.isdecimal():
            yield from self.connection.pieces(int(length))
        else:
            raise http.client.BadStatusLine(f"Content-Length: {length[:40]}")
        self.reusable = self._keeps

    def _chunks(self) -> Iterator[memoryview]:
        while True:
            size = self.connection.line().partition(b";")[0].strip()
            try:
                length = int(size, 16)
            except ValueError:
                raise http.client.BadStatusLine(f"chunk size {size[:40]!r}") from None
            if length < 0:
                raise http.client.BadStatusLine(f"chunk size {size[:40]!r}")
            if length == 0:
                break
            yield from self.connection.pieces(length)
            if self.connection.line():
                raise http.client.BadStatusLine("a chunk without an end")
        while self.connection.line():  # trailers
            pass


def _parsed(head: bytes) -> Tuple[str, int, str, Dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    protocol, _, rest = first.partition(" ")
    status, _, reason = rest.partition(" ")
    if not protocol.startswith("HTTP/1.") or len(status) != 3 or not status.isdecimal():
        raise http.client.BadStatusLine(first[:80])
    headers: Dict[str, str] = {}
    metadata: Dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        name = name.lower()
        if name.startswith(_META):
            metadata[name[11:]] = value.strip()
        elif name.startswith(_VENDOR):
            headers[name[6:]] = value.strip()
        else:
            headers[name] = value.strip()
    for name, value in metadata.items():  # which the user names, and must not pass for the server's own
        headers.setdefault(name, value)
    return protocol, int(status), reason, headers


def _timed_out() -> socket.timeout:
    return socket.timeout("timed out")
