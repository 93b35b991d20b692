"""Connections to one server, kept open and reused, through a proxy where one is set."""
from __future__ import annotations

import base64
import contextlib
import os
import socket
import ssl
from typing import List, Optional

from obs_sync.http.proxies import HttpProxy
from obs_sync.http.reply import Connection, Reply


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

    def ask(self, request: bytes) -> Connection:
        """Send a GET or HEAD; its reply may be taken later. Raises OSError, HTTPException."""
        if self._process != os.getpid():  # after a fork the other process uses the same connections
            self._idle, self._process = [], os.getpid()
        connection = self._kept()
        if connection is None:
            return self._ask_anew(request)
        try:
            connection.send(request)
            return connection
        except ConnectionError:
            return self._ask_again(request)

    def reply(self, connection: Connection) -> Reply:
        """The reply to what was asked, to be put back afterwards. Raises OSError, HTTPException."""
        try:
            reply = connection.reply()
            if reply.status != 408 or not connection.reused:
                return reply
            connection.close()  # the server closes a connection that was idle, and had not received the request
        except ConnectionError:
            if not connection.reused:
                raise
        return self._ask_again(connection.request).reply()

    def put_back(self, reply: Reply) -> None:
        """Keep the connection for another request, or close it if the body was not read to its end."""
        if reply.reusable:
            reply.connection.reused = True
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

    def _ask_again(self, request: bytes) -> Connection:
        """The server closed an idle connection before it received the request. It may have closed the others too."""
        self.drop_idle()
        return self._ask_anew(request)

    def _ask_anew(self, request: bytes) -> Connection:
        connection = Connection(self._connect(), self._timeout)
        connection.send(request)
        return connection

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
        tunnel = Connection(connected, self._timeout)
        tunnel.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        reply = tunnel.reply()
        if reply.status != 200:
            raise ConnectionError(f"the proxy answers {reply.status} {reply.reason:.80}")
        if not tunnel.is_quiet():  # the server speaks only when it is spoken to
            raise ConnectionError("the proxy sends more than its answer")
