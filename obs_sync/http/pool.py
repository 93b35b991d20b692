"""Connections to one server, kept open and reused, through a proxy where one is set."""
from __future__ import annotations

import base64
import contextlib
import os
import socket
import ssl
import time
from typing import List, NamedTuple, Optional

from obs_sync.http.head import LONGEST, parse_head
from obs_sync.http.pace import Pace
from obs_sync.http.proxies import HttpProxy
from obs_sync.http.reply import Connection, Reply, Stale


class Pool:
    """Safe to use from several threads. There is a connection for each request that runs at the same time."""

    def __init__(self, host: str, port: int, context: Optional[ssl.SSLContext], timeout: float,
                 proxy: Optional[HttpProxy] = None):
        """`context` says how the server's certificate and name are verified; None for plain HTTP."""
        self._host = host
        self._port = port
        self._context = context
        self._timeout = timeout
        self._proxy = proxy
        self._idle: List[Connection] = []
        self._process = os.getpid()

    def ask(self, request: bytes) -> "Asked":
        """Send a GET or HEAD; its reply may be taken later. Raises OSError."""
        if self._process != os.getpid():  # after a fork the other process uses the same connections
            self._idle, self._process = [], os.getpid()
        connection = self._kept()
        if connection is not None:
            try:
                return _sent(request, connection, True)
            except Stale:
                self.drop_idle()
        return self._ask_anew(request)

    def reply(self, asked: "Asked") -> Reply:
        """The reply, to be put back afterwards. Raises OSError, HTTPException."""
        try:
            reply = _received(asked)
            if reply.status != 408 or not asked.reused:
                return reply
            asked.connection.close()  # the server closes a connection that was idle, and had not received the request
        except Stale:
            if not asked.reused:
                raise
        self.drop_idle()  # servers and switches forget all idle connections at once
        return _received(self._ask_anew(asked.request))

    def put_back(self, reply: Reply) -> None:
        """Keep the connection for another request, or close it if the body was not read to its end."""
        if reply.reusable:
            self._idle.append(reply.connection)
        else:
            reply.connection.close()

    def drop_idle(self) -> None:
        with contextlib.suppress(IndexError):
            while True:
                self._idle.pop().close()

    def _kept(self) -> Optional[Connection]:
        """An idle connection, if there is one. What a server sends unasked must not pass for the next reply."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if connection.is_quiet():
                return connection
            connection.close()

    def _ask_anew(self, request: bytes) -> "Asked":
        return _sent(request, Connection(self._connect(), self._timeout), False)

    def _connect(self) -> socket.socket:
        host, port = (self._host, self._port) if self._proxy is None else (self._proxy.host, self._proxy.port)
        connected = socket.create_connection((host, port), self._timeout)
        try:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._proxy is not None:
                self._open_tunnel(connected, self._proxy)
            if self._context is not None:
                connected = self._context.wrap_socket(connected, server_hostname=self._host)
        except BaseException:
            connected.close()
            raise
        return connected

    def _open_tunnel(self, connected: socket.socket, proxy: HttpProxy) -> None:
        place = f"[{self._host}]:{self._port}" if ":" in self._host else f"{self._host}:{self._port}"
        lines = [f"CONNECT {place} HTTP/1.1", f"Host: {place}"]
        if proxy.username is not None and proxy.password is not None:
            login = base64.b64encode(f"{proxy.username}:{proxy.password}".encode("utf-8")).decode("ascii")
            lines.append(f"Proxy-Authorization: Basic {login}")
        connected.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        head, pace = b"", Pace()
        while not head.endswith(b"\r\n\r\n"):  # byte by byte: what follows belongs to the server
            began = time.monotonic()
            byte = connected.recv(1)
            pace.add(time.monotonic() - began, 1)
            if not byte or len(head) > LONGEST:
                raise ConnectionError("the proxy does not answer")
            head += byte
        if parse_head(head[:-4]).status != 200:
            raise ConnectionError(f"the proxy answers {head.splitlines()[0][:80].decode('latin-1')!r}")


class Asked(NamedTuple):
    """A request that was sent. Its repr shows no signature or token."""

    request: bytes
    connection: Connection
    reused: bool  # the server may have closed it meanwhile

    @property
    def has_body(self) -> bool:
        """Whether its reply has a body."""
        return not self.request.startswith(b"HEAD ")

    def __repr__(self) -> str:
        return f"Asked({self.request.split(b' ', 2)[:2]!r})"


def _sent(request: bytes, connection: Connection, reused: bool) -> Asked:
    try:
        connection.send(request)
    except BaseException:
        connection.close()
        raise
    return Asked(request, connection, reused)


def _received(asked: Asked) -> Reply:
    try:
        return asked.connection.reply(asked.has_body)
    except BaseException:
        asked.connection.close()
        raise
