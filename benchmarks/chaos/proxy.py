"""A TCP proxy on 127.0.0.1 that breaks connections at random places, from a seed.

It knows nothing of HTTP: it breaks a connection after a number of bytes, wherever in a header or a body that is. The
faults of the mocked OBS, which concern whole requests, cannot do that.

    reset     both ends are reset (RST)
    close     both ends are closed (FIN)
    half      the receiver gets a FIN while the sender may go on for a while; then both ends are closed
    drip      the bytes that follow pass one by one for a while
    stall     nothing passes for a while
    swallow   the rest of what the server sends is lost, and after a while both ends are reset
    refuse    the connection is reset as soon as it is accepted
"""
from __future__ import annotations

import collections
import contextlib
import random
import socket
import struct
import threading
import time
from typing import Callable, Counter, NamedTuple, Optional, Set, Tuple

REQUEST, REPLY = "request", "reply"  # directions: to the server, and from it
WEIGHTS = {"reset": 6, "close": 6, "half": 2, "drip": 2, "stall": 2, "swallow": 2, "refuse": 1}
_CHUNK = 64 * 1024     # bytes
_DRIP_SECONDS = 0.005  # between two bytes
_LARGEST = 400_000     # bytes; the place of a mishap is drawn so that small and large numbers are equally likely


class Mishap(NamedTuple):
    """What happens to one connection.

    Attributes:
        kind: one of `WEIGHTS`.
        direction: REQUEST or REPLY, whose bytes count and are hit.
        after: bytes of that direction that pass before it happens.
        seconds: how long it lasts, where it lasts.
    """

    kind: str
    direction: str
    after: int
    seconds: float


def draw_mishap(rng: random.Random, rate: float = 0.4, longest: float = 0.5) -> Optional[Mishap]:
    """A mishap with probability `rate`, of at most `longest` seconds; otherwise None."""
    if rng.random() >= rate:
        return None
    kind = rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    direction = REPLY if kind == "swallow" or rng.random() < 0.6 else REQUEST
    return Mishap(kind, direction, int(_LARGEST ** rng.uniform(0.0, 1.0)), longest * rng.uniform(0.2, 1.0))


class ChaosProxy:
    """Forwards connections to a port of this machine; a context manager.

    Args:
        port: of the server.
        seed: of the mishaps. They are drawn in the order in which connections are accepted, so connections that race
            each other may change places.
        draw: gives the mishap of the next connection, or None. A connection that ends before the place of its mishap
            does not notice it.

    Attributes:
        port: on which it listens.
        connections: accepted so far.
        carried: bytes that passed, in both directions.
        mishaps: kind to the number of those that happened.
    """

    def __init__(self, port: int, seed: str, draw: Callable[[random.Random], Optional[Mishap]] = draw_mishap):
        self._server_port = port
        self._random = random.Random(seed)
        self._draw = draw
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._links: Set[_Link] = set()
        self._threads: Set[threading.Thread] = set()
        self.connections = self.carried = 0
        self.mishaps: Counter[str] = collections.Counter()
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(256)
        self.port: int = self._listener.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> "ChaosProxy":
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Ends all connections and all threads."""
        self._over.set()
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as connection:
            connection.connect_ex(("127.0.0.1", self.port))  # wakes the thread that accepts
        self._accepting.join(10)
        self._listener.close()
        with self._lock:
            links, threads = list(self._links), list(self._threads)
        for link in links:
            link.wake(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(10)

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            if self._over.is_set():
                client.close()
                return
            with self._lock:
                self.connections += 1
                mishap = self._draw(self._random)
                thread = threading.Thread(target=self._serve, args=(client, mishap), daemon=True)
                self._threads.add(thread)
            thread.start()

    def _serve(self, client: socket.socket, mishap: Optional[Mishap]) -> None:
        try:
            if mishap is not None and mishap.kind == "refuse":
                self._count(mishap)
                _close(client, True)
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._server_port), timeout=10)
            except OSError:
                _close(client, True)
                return
            self._carry(_Link(client, server, mishap))
        finally:
            with self._lock:
                self._threads.discard(threading.current_thread())

    def _carry(self, link: "_Link") -> None:
        with self._lock:
            self._links.add(link)
        upwards = threading.Thread(target=self._pump, args=(link, REQUEST), daemon=True)
        upwards.start()
        self._pump(link, REPLY)
        upwards.join()
        link.close()
        with self._lock:
            self._links.discard(link)

    def _pump(self, link: "_Link", direction: str) -> None:
        """Forwards one direction to its end, with its mishap on the way."""
        source, target = link.ends(direction)
        mishap = link.mishap if link.mishap is not None and link.mishap.direction == direction else None
        passed = 0
        with contextlib.suppress(OSError):  # an end went away, which the other one is told below
            while True:
                data = source.recv(_CHUNK)
                if not data:
                    break
                if mishap is not None and passed + len(data) > mishap.after:
                    before = mishap.after - passed
                    target.sendall(data[:before])
                    self._count(mishap)
                    data = self._strike(link, mishap, source, target, data[before:])
                    mishap = None
                target.sendall(data)
                passed += len(data)
                with self._lock:
                    self.carried += len(data)
        if not link.ended:
            with contextlib.suppress(OSError):
                target.shutdown(socket.SHUT_WR)

    def _strike(self, link: "_Link", mishap: Mishap, source: socket.socket, target: socket.socket,
                data: bytes) -> bytes:
        """Has the mishap happen; returns the bytes that still have to pass. Raises OSError where none has to."""
        if mishap.kind == "stall":
            self._over.wait(mishap.seconds)
            return data
        if mishap.kind == "drip":
            end = time.monotonic() + mishap.seconds
            at = 0
            while at < len(data) and time.monotonic() < end and not self._over.is_set():
                target.sendall(data[at:at + 1])
                at += 1
                time.sleep(_DRIP_SECONDS)
            return data[at:]
        if mishap.kind in ("half", "swallow"):
            if mishap.kind == "half":
                target.shutdown(socket.SHUT_WR)
            source.settimeout(0.05)
            end = time.monotonic() + mishap.seconds
            while time.monotonic() < end and not self._over.is_set():
                with contextlib.suppress(socket.timeout):
                    if not source.recv(_CHUNK):
                        break
        link.end(reset=mishap.kind in ("reset", "swallow"))
        raise ConnectionAbortedError(mishap.kind)

    def _count(self, mishap: Mishap) -> None:
        with self._lock:
            self.mishaps[mishap.kind] += 1


class _Link:
    """The two ends of one connection."""

    def __init__(self, client: socket.socket, server: socket.socket, mishap: Optional[Mishap]):
        self.mishap = mishap
        self.ended = False   # on purpose: what is left does not pass
        self._reset = False
        self._client, self._server = client, server
        for end in (client, server):
            end.settimeout(None)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ends(self, direction: str) -> Tuple[socket.socket, socket.socket]:
        return (self._client, self._server) if direction == REQUEST else (self._server, self._client)

    def end(self, reset: bool) -> None:
        self.ended, self._reset = True, reset
        self.wake()

    def wake(self, how: int = socket.SHUT_RD) -> None:
        """Has threads that wait for bytes, or (SHUT_RDWR) to send some, go on: closing a socket does not."""
        for end in (self._client, self._server):
            with contextlib.suppress(OSError):
                end.shutdown(how)

    def close(self) -> None:
        for end in (self._client, self._server):
            _close(end, self._reset)


def _close(connection: socket.socket, reset: bool) -> None:
    if reset:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
