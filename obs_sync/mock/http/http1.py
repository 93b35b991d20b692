"""HTTP/1.1: requests are read, replies are written. Knows keep-alive, chunked bodies and 100-continue."""
from __future__ import annotations

import functools
import re
import socket
import time
from http import HTTPStatus
from typing import BinaryIO, Dict, NamedTuple, Optional

from obs_sync.mock.clock import http_date
from obs_sync.mock.shelf.bodies import SMALL
from obs_sync.mock.wire.fields import whole_number
from obs_sync.mock.wire.incoming import IncomingBody
from obs_sync.mock.wire.messages import Response

_MAX_LINE = 65536  # bytes
_MAX_HEADERS = 200
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST_LINE = re.compile(rf"({_TOKEN}) (/[\x21-\x7e]*) (HTTP/1\.[01])")  # a URL is ASCII; the rest of it is escaped
_HEADER = re.compile(rf"({_TOKEN}):([^\x00-\x08\x0a-\x1f\x7f]*)")         # no control character but the tab


class BadRequest(Exception):
    """The bytes are not an HTTP/1.x request, so the connection must be closed."""


class Head(NamedTuple):
    """Request line and headers."""

    method: str
    target: str
    headers: Dict[str, str]  # names in lower case; the values of a repeated header are joined with commas
    keep_alive: bool


def read_head(stream: BinaryIO) -> Optional[Head]:
    """The next request of a connection, or None if the connection ends before it does. Raises BadRequest."""
    try:
        line = _read_line(stream) or _read_line(stream)  # some clients end a body with a superfluous empty line
        request_line = _REQUEST_LINE.fullmatch(line)
        if request_line is None:
            raise BadRequest(f"the request line is {line[:200]!r}")
        headers = _read_headers(stream)
    except EOFError:
        return None
    method, target, version = request_line.groups()
    connection = headers.get("connection", "").lower()
    keep_alive = "keep-alive" in connection if version == "HTTP/1.0" else "close" not in connection
    return Head(method, target, headers, keep_alive)


def _read_headers(stream: BinaryIO) -> Dict[str, str]:
    headers: Dict[str, str] = {}
    for _ in range(_MAX_HEADERS):
        line = _read_line(stream)
        if line == "":
            return headers
        header = _HEADER.fullmatch(line)
        if header is None:
            raise BadRequest(f"a header line is {line[:200]!r}")
        name, value = header.group(1).lower(), header.group(2).strip(" \t")
        headers[name] = headers[name] + "," + value if name in headers else value
    raise BadRequest(f"there are more than {_MAX_HEADERS} headers")


def _read_line(stream: BinaryIO) -> str:
    """The next line without its end. Raises EOFError if the stream ends before, BadRequest if the line is too long."""
    line = stream.readline(_MAX_LINE)
    if not line.endswith(b"\n"):
        if len(line) < _MAX_LINE:
            raise EOFError
        raise BadRequest(f"a line has more than {_MAX_LINE} bytes: {line[:200]!r}")
    return line[:-2 if line.endswith(b"\r\n") else -1].decode("latin-1")


def body_of(head: Head, stream: BinaryIO, connection: socket.socket) -> IncomingBody:
    """The body that follows a head. Raises BadRequest if its length is malformed."""
    invite = None
    if "100-continue" in head.headers.get("expect", "").lower():
        invite = functools.partial(connection.sendall, b"HTTP/1.1 100 Continue\r\n\r\n")
    coding = head.headers.get("transfer-encoding")
    if coding is not None:
        if coding.lower() != "chunked" or "content-length" in head.headers:
            raise BadRequest(f"Transfer-Encoding is {coding!r}; only chunked is known, and without Content-Length")
        return IncomingBody(stream, None, invite)
    text = head.headers.get("content-length", "0")
    length = whole_number(text)
    if length is None:
        raise BadRequest(f"Content-Length is {text[:200]!r}")
    return IncomingBody(stream, length, invite)


def send(connection: socket.socket, response: Response, head_only: bool, keep_alive: bool) -> None:
    """Sends a reply that has no mishaps; a small one with one call."""
    head = head_of(response, keep_alive)
    if head_only or response.length == 0:
        connection.sendall(head)
    elif response.content is None:
        connection.sendall(head + response.body)
    elif response.length <= SMALL:
        connection.sendall(head + response.content.read())
    else:
        connection.sendall(head)
        response.content.send(connection)


def head_of(response: Response, keep_alive: bool) -> bytes:
    """Status line and headers."""
    lines = [f"HTTP/1.1 {response.status} {_reason(response.status)}", "Server: OBS",
             "Connection: keep-alive" if keep_alive else "Connection: close"]
    if "Date" not in response.headers:
        lines.append(_date_line(int(time.time())))
    lines += [f"{name}: {value}" for name, value in response.headers.items()]
    if "Content-Length" not in response.headers and response.status not in (204, 304):
        lines.append(f"Content-Length: {response.length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


@functools.lru_cache(maxsize=600)
def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


@functools.lru_cache(maxsize=4)
def _date_line(second: int) -> str:
    return "Date: " + http_date(second)
