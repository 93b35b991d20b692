"""Sockets and threads: each connection has a thread, from a pool that grows as needed."""
from __future__ import annotations

import logging
import socket
import threading
import time
from typing import Optional, Set

from obs_sync.mock.errors import ObsError
from obs_sync.mock.http.http1 import BadRequest, body_of, head_of, read_head, send
from obs_sync.mock.http.link import Link
from obs_sync.mock.service import Service
from obs_sync.mock.shelf.bodies import ChangedOnDisk
from obs_sync.mock.wire.messages import Request, Response
from obs_sync.mock.wire.mishaps import HungUp, send_with_mishaps

log = logging.getLogger(__name__)

_READ_BUFFER = 64 * 1024  # bytes
_LINGER_SECONDS = 1.0
_LINGER_BYTES = 1024 * 1024


class Server:
    """Listens on 127.0.0.1 only.

    Every worker accepts a connection, serves it to its end, and then accepts the next one. When the last free worker
    becomes busy, it starts another one. So one worker is always free, and no connection is handed over to another
    thread.

    Args:
        service: answers the requests.
        host_name: a request to `<bucket>.<host_name>` has its bucket in the host name, any other one in the path.
        port: 0 for any free one.
        link: limits the rate of all connections together; None for no limit.

    Raises:
        OSError: the port is in use.
    """

    def __init__(self, service: Service, host_name: str, port: int = 0, link: Optional[Link] = None):
        self._service = service
        self._link = link
        self._host_name = host_name
        self._lock = threading.Lock()
        self._waiting = 0
        self._closing = False
        self._stopped = threading.Event()
        self._workers: Set[threading.Thread] = set()
        self._connections: Set[socket.socket] = set()
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listener.bind(("127.0.0.1", port))
            self._listener.listen(1024)
        except OSError:
            self._listener.close()
            raise
        self.port: int = self._listener.getsockname()[1]

    def start(self) -> None:
        with self._lock:
            self._add_worker()

    def stop(self) -> None:
        """Closes all connections and ends all threads."""
        with self._lock:
            self._closing = True
            self._stopped.set()
            connections, workers = list(self._connections), list(self._workers)
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)  # wakes a worker that reads or writes on it
            except OSError:
                pass
        for _ in workers:
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as connection:
                connection.settimeout(1)
                connection.connect_ex(("127.0.0.1", self.port))  # wakes a worker that waits for a connection
        for worker in workers:
            worker.join(timeout=10)
        self._listener.close()

    def _add_worker(self) -> None:
        worker = threading.Thread(target=self._work, name=f"mock-obs-{self.port}", daemon=True)
        self._workers.add(worker)
        self._waiting += 1
        worker.start()

    def _work(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # too many open files, or the client has gone already
                time.sleep(0.01)
                continue
            with self._lock:
                if self._closing:
                    connection.close()
                    return
                self._connections.add(connection)
                self._waiting -= 1
                if self._waiting == 0:
                    self._add_worker()
            try:
                self._serve(connection)
            except OSError:
                pass  # the client went away
            except Exception:
                log.exception("the mocked OBS failed and closed a connection")
            with self._lock:
                self._connections.discard(connection)
                self._waiting += 1
            connection.close()

    def _serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        socket_below = connection
        if self._link is not None:
            connection = self._link.connection(connection)
        with connection.makefile("rb", _READ_BUFFER) as stream:
            keep_alive = True
            while keep_alive and not self._closing:
                try:
                    head = read_head(stream)
                    if head is None:
                        return
                    body = body_of(head, stream, connection)
                except BadRequest as error:
                    log.warning("malformed request: %s", error)
                    send(connection, Response(400), False, False)
                    _linger(socket_below)
                    return
                request = Request(head.method, head.target, head.headers, body, self._host_name)
                request.pause = self._stopped.wait
                response = self._service.answer(request)
                keep_alive = head.keep_alive and not body.awaited and not body.broken
                try:
                    if not body.awaited and not (response.mishaps and response.is_never_sent):
                        body.drain()
                    if response.mishaps:
                        send_with_mishaps(connection, socket_below, head_of(response, keep_alive), response,
                                          self._stopped.wait, head.method == "HEAD")
                    else:
                        send(connection, response, head.method == "HEAD", keep_alive)
                except (ObsError, ChangedOnDisk, HungUp):  # the body ended early, or cannot be sent to its end
                    return
                finally:
                    if response.content is not None:
                        response.content.close()
                if body.broken:
                    _linger(socket_below)


def _linger(connection: socket.socket) -> None:
    """Reads and drops what the client still sends, for a short time. A socket that is closed with unread bytes resets
    the connection, and then the client may lose the reply."""
    connection.shutdown(socket.SHUT_WR)
    deadline = time.monotonic() + _LINGER_SECONDS
    left = _LINGER_BYTES
    while left > 0:
        connection.settimeout(max(0.01, deadline - time.monotonic()))
        received = len(connection.recv(_READ_BUFFER))  # a timeout is an OSError, which ends the connection
        if received == 0 or time.monotonic() > deadline:
            return
        left -= received
