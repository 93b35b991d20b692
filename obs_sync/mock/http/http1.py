"""HTTP/1.1, as much of it as a server for machines needs: keep-alive, chunked bodies, 100-continue."""
from __future__ import annotations

import functools
import socket
import time
from http import HTTPStatus
from typing import BinaryIO, Dict, NamedTuple, Optional

from obs_sync.mock.clock import http_date
from obs_sync.mock.shelf.bodies import SMALL
from obs_sync.mock.wire.incoming import IncomingBody
from obs_sync.mock.wire.messages import Response

_MAX_LINE = 65536
_MAX_HEADERS = 200


class BadRequest(Exception):
    """What came is not an HTTP/1.x request; the connection is of no further use."""


class Head(NamedTuple):
    """Request line and headers."""

    method: str
    target: str
    headers: Dict[str, str]  # names in lower case; a repeated one has its values joined with commas
    keep_alive: bool


def read_head(stream: BinaryIO) -> Optional[Head]:
    """The next request of a connection, or None when the client closed it. Raises BadRequest."""
    line = stream.readline(_MAX_LINE)
    if line == b"\r\n":  # some clients end a body with a superfluous one
        line = stream.readline(_MAX_LINE)
    if not line:
        return None
    parts = line.decode("latin-1").split()
    if len(parts) != 3 or not parts[1].startswith("/") or parts[2] not in ("HTTP/1.1", "HTTP/1.0"):
        raise BadRequest(f"the request line is {line[:200]!r}")
    headers: Dict[str, str] = {}
    for _ in range(_MAX_HEADERS):
        line = stream.readline(_MAX_LINE)
        if line in (b"\r\n", b"\n"):
            break
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or not value.endswith("\n"):
            raise BadRequest(f"a header line is {line[:200]!r}")
        name, value = name.lower(), value.strip()
        headers[name] = headers[name] + "," + value if name in headers else value
    else:
        raise BadRequest(f"more than {_MAX_HEADERS} headers")
    connection = headers.get("connection", "").lower()
    keep_alive = "keep-alive" in connection if parts[2] == "HTTP/1.0" else "close" not in connection
    return Head(parts[0], parts[1], headers, keep_alive)


def body_of(head: Head, stream: BinaryIO, connection: socket.socket) -> IncomingBody:
    """The body that follows a head. Raises BadRequest when its length makes no sense."""
    invite = None
    if "100-continue" in head.headers.get("expect", "").lower():
        invite = functools.partial(connection.sendall, b"HTTP/1.1 100 Continue\r\n\r\n")
    if "chunked" in head.headers.get("transfer-encoding", "").lower():
        return IncomingBody(stream, None, invite)
    length = head.headers.get("content-length", "0")
    if not length.isdecimal():
        raise BadRequest(f"Content-Length is {length!r}")
    return IncomingBody(stream, int(length), invite)


def send(connection: socket.socket, response: Response, head_only: bool, keep_alive: bool) -> None:
    """Writes a reply without mishaps; a small one in one piece."""
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
