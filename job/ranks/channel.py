"""Messages between the ranks of a job: which ranks are there, which one failed, and the values that they exchange.

Every rank holds one TCP connection to rank 0, which carries lines of JSON. Three things use it:

- ``gather``: every rank gives a value and gets the values of all. There the ranks also wait for one another.
- A rank that ends sends its exit code as a goodbye, and all others end with the same code. A rank that was killed
  cannot send one, but the operating system closes its connection; a machine that disappeared sends nothing for
  ``SILENCE`` seconds.
- A rank that learns of a failure may be inside a collective that never ends and that Python cannot interrupt. It has
  ``PATIENCE`` seconds to end by itself; then ``last_words`` is called and the rank's process is ended.
"""
from __future__ import annotations

import json
import logging
import os
import socket
import threading
import time
from typing import Any, Callable, Dict, List, Optional, Tuple

from job.errors import ConfigError, PeerFailed
from job.exits import RANK_LOST, ending

log = logging.getLogger(__name__)

JOIN = 600.0  # seconds until all ranks must have joined: a machine may have to download its image first
BEAT = 5.0  # seconds between two signs of life
SILENCE = 30.0  # seconds without a sign of life after which a rank counts as lost
PATIENCE = 8.0  # seconds that a rank has to end by itself after another one failed
LAST_WORDS = 5.0  # seconds that ``last_words`` may take
LONGEST = 64 * 2 ** 20  # characters of a line


class Channel:
    """The end of one rank; a context manager that sends the goodbye.

    Args:
        rank, size: of this rank, and the number of ranks. address: (host, port) where rank 0 listens.
        job: sent to rank 0, so that the ranks of two jobs cannot mix. on_wait: called about five times a second while
            waiting; an exception from it ends the waiting. exit: ends the process with a code, without any clean-up.

    Attributes:
        host: this machine's address as the other ranks reach it. last_words: called with the ``PeerFailed`` before the
            process is ended; may be set later.

    Raises:
        ConfigError: a rank did not join within ``JOIN`` seconds, or the ranks contradict one another.
    """

    def __init__(self, rank: int, size: int, address: Tuple[str, int], job: str = "",
                 on_wait: Callable[[], None] = lambda: None, exit: Callable[[int], Any] = os._exit):
        self.rank, self.size, self.host = rank, size, address[0]
        self.last_words: Callable[[PeerFailed], None] = lambda error: None
        self._address, self._job, self._on_wait, self._exit = address, job, on_wait, exit
        self._peers: Dict[int, "_Peer"] = {}
        self._changed = threading.Condition()
        self._values: Dict[int, List[Any]] = {}  # on rank 0: rank → its values that were not gathered yet
        self._replies: List[List[Any]] = []
        self._failure: Optional[PeerFailed] = None
        self._left = threading.Event()

    def __enter__(self) -> "Channel":
        self._meet()
        self._values = {rank: [] for rank in self._peers}
        for rank, peer in self._peers.items():
            threading.Thread(target=self._listen, args=(rank, peer), name=f"rank {rank}", daemon=True).start()
        threading.Thread(target=self._beat, name="signs of life", daemon=True).start()
        return self

    def __exit__(self, kind: Any, error: Optional[BaseException], trace: Any) -> None:
        end = ending(error) if error is not None else None
        self.leave(*(end.code, end.message) if end else (0, ""))

    def gather(self, value: Any, what: str = "this point", seconds: float = 600.0) -> List[Any]:
        """The JSON values of all ranks, in their order; waits until every rank has called this as often as this one.

        Args:
            what: name of this point of the run, for messages. seconds: how long to wait for the other ranks.

        Raises:
            PeerFailed: another rank failed, or did not get here within so many seconds.
        """
        limit = time.monotonic() + seconds
        if self.rank:
            self._send({"value": value})
            self._wait(lambda: bool(self._replies), what, limit)
            return self._replies.pop(0)
        self._wait(lambda: all(self._values.values()), what, limit)
        values = [json.loads(json.dumps(value))] + [self._values[rank].pop(0) for rank in sorted(self._values)]
        self._send({"values": values})
        return values

    def blame(self, seconds: float = 3.0) -> None:
        """Raise PeerFailed if another rank has failed, or fails within so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._failure is not None, seconds)
            if self._failure is not None:
                raise self._failure

    def disband(self) -> None:
        """From now on this rank ignores what happens to the others."""
        self._left.set()

    def leave(self, code: int, message: str) -> None:
        """Send the goodbye: the exit code, and the reason if it is not 0."""
        self.disband()
        self._send({"bye": code, "message": message, "rank": self.rank})
        for peer in self._peers.values():
            peer.close()

    def _meet(self) -> None:
        limit = time.monotonic() + JOIN
        if self.rank == 0:
            self._welcome(limit)
            return
        while True:
            self._on_wait()
            try:
                connection = socket.create_connection(self._address, timeout=SILENCE)
                peer = _Peer(connection)
                peer.send({"hello": self.rank, "size": self.size, "job": self._job})
                answer = peer.receive()
                if answer is not None:
                    break
            except (OSError, ValueError):
                pass
            if time.monotonic() > limit:
                host, port = self._address
                raise ConfigError(f"rank {self.rank} could not connect to rank 0 at {host}:{port} within {JOIN:.0f} s; "
                                  "check that rank 0 is running and that this machine may connect to it")
            time.sleep(0.2)
        if "refused" in answer:
            raise ConfigError(answer["refused"])
        self.host = connection.getsockname()[0]
        self._peers[0] = peer

    def _welcome(self, limit: float) -> None:
        loopback = self._address[0] in ("127.0.0.1", "localhost")
        with socket.socket() as door:
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                door.bind(("127.0.0.1" if loopback else "", self._address[1]))
            except OSError as error:
                raise ConfigError(f"rank 0 cannot listen on port {self._address[1]}: {error.strerror}; choose another "
                                  "port with RANK_CONTROL=host:port") from error
            door.listen(self.size)
            door.settimeout(0.2)
            while len(self._peers) < self.size - 1:
                self._on_wait()
                if time.monotonic() > limit:
                    missing = [str(rank) for rank in range(1, self.size) if rank not in self._peers]
                    raise ConfigError(f"RANK_SIZE={self.size}, but rank {', '.join(missing)} did not join within "
                                      f"{JOIN:.0f} s; check that every rank was started")
                try:
                    connection, _ = door.accept()
                except socket.timeout:
                    continue
                self._admit(_Peer(connection))
        for peer in self._peers.values():
            peer.send({"welcome": self.size})

    def _admit(self, peer: "_Peer") -> None:
        try:
            hello = peer.receive(5.0) or {}
            rank = hello.get("hello")
        except (OSError, ValueError):
            rank = None
        if not isinstance(rank, int) or hello.get("job") != self._job:
            peer.close()  # not a rank of this job
            return
        problem = ""
        if hello.get("size") != self.size:
            problem = (f"rank {rank} has RANK_SIZE={hello.get('size')}, but rank 0 has RANK_SIZE={self.size}: start "
                       "all ranks with the same RANK_SIZE")
        elif rank in self._peers or not 0 < rank < self.size:
            problem = f"RANK_ID={rank} is used twice, or is not between 1 and {self.size - 1}: give every rank its own"
        if problem:
            peer.send({"refused": problem})
            raise ConfigError(problem)
        self._peers[rank] = peer

    def _wait(self, ready: Callable[[], bool], what: str, limit: float) -> None:
        while True:
            with self._changed:
                if ready():
                    return
                if self._failure is not None:
                    raise self._failure
                self._changed.wait(0.2)
            self._on_wait()
            if time.monotonic() > limit:
                missing = [rank for rank, values in self._values.items() if not values] if self.rank == 0 else [0]
                raise PeerFailed(f"rank {', '.join(map(str, missing))} did not reach {what} in time", RANK_LOST)

    def _listen(self, rank: int, peer: "_Peer") -> None:
        """The thread that receives what one rank sends, until that rank has ended."""
        try:
            while True:
                said = peer.receive(SILENCE)
                if said is None:
                    raise PeerFailed(f"rank {rank} was lost: its connection closed without a report of its end",
                                     RANK_LOST)
                if "bye" in said:
                    if said["bye"]:
                        raise PeerFailed(f"rank {said['rank']} has ended: {said['message']}", said["bye"])
                    if not self.rank:
                        return  # it has finished its part
                    raise PeerFailed(f"rank {said['rank']} ended before the others were done", RANK_LOST)
                with self._changed:
                    if "value" in said:
                        self._values[rank].append(said["value"])
                    elif "values" in said:
                        self._replies.append(said["values"])
                    self._changed.notify_all()
        except PeerFailed as error:
            self._fail(error)
        except (OSError, ValueError) as error:
            reason = f"no sign of life for {SILENCE:.0f} s" if isinstance(error, socket.timeout) else error
            self._fail(PeerFailed(f"rank {rank} was lost: {reason}", RANK_LOST))

    def _fail(self, error: PeerFailed) -> None:
        """Tell the other ranks, and make sure that this process ends."""
        with self._changed:
            if self._left.is_set() or self._failure is not None:
                return
            self._failure = error
            self._changed.notify_all()
        if self.rank == 0:
            self._send({"bye": error.code, "message": str(error), "rank": 0})
        if self._left.wait(PATIENCE):
            return
        log.error("%s. Rank %d was waiting for it and ends now", error, self.rank)
        words = threading.Thread(target=self.last_words, args=(error,), name="last words", daemon=True)
        words.start()
        words.join(LAST_WORDS)
        self._exit(error.code)

    def _beat(self) -> None:
        while not self._left.wait(BEAT):
            self._send({"beat": 1})

    def _send(self, said: Dict[str, Any]) -> None:
        for peer in self._peers.values():
            try:
                peer.send(said)
            except OSError:
                pass  # the thread that listens to this rank notices


class _Peer:
    """A connection that carries one JSON object a line."""

    def __init__(self, connection: socket.socket):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection = connection
        self._sending = threading.Lock()
        self._unread = b""

    def send(self, said: Dict[str, Any]) -> None:
        data = json.dumps(said).encode("ascii") + b"\n"
        with self._sending:
            self._connection.sendall(data)

    def receive(self, seconds: Optional[float] = JOIN) -> Optional[Dict[str, Any]]:
        """The next object; None once the other end is closed.

        Raises:
            socket.timeout: nothing came for so many seconds. ValueError: what came is not a JSON object.
        """
        while b"\n" not in self._unread:
            self._connection.settimeout(seconds)
            data = self._connection.recv(1 << 16)
            if not data:
                return None
            self._unread += data
            if len(self._unread) > LONGEST:
                raise ValueError(f"a line of more than {LONGEST} bytes")
        line, _, self._unread = self._unread.partition(b"\n")
        said = json.loads(line.decode("utf-8"))
        if not isinstance(said, dict):
            raise ValueError("no JSON object")
        return said

    def close(self) -> None:
        try:
            self._connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._connection.close()
