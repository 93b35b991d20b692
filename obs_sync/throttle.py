"""A limit on bytes per second, shared by all transfers of a store and all their threads."""
from __future__ import annotations

import threading
import time
from typing import Any, Callable, Iterable, Iterator, List, Optional, Sequence

from obs_sync.store import ObjectInfo, OnBytes, Store

_LONGEST_SLEEP = 0.2   # seconds; a transfer can be stopped between two sleeps
_LONGEST_PAUSE = 10.0  # seconds that a connection may wait: servers close idle ones
_CHUNK = 1 << 20       # bytes, the most that a transfer moves between two reports


class Throttle:
    """A transfer that has moved bytes waits until all bytes so far fit the rate.

    It is a token bucket of size zero: no burst follows a pause. Bytes of failed attempts count, because they used the
    link.
    """

    def __init__(self, bytes_per_second: float, clock: Callable[[], float] = time.monotonic,
                 sleep: Callable[[float], None] = time.sleep):
        if not bytes_per_second > 0:
            raise ValueError(f"bytes_per_second={bytes_per_second}: expected more than 0")
        self.rate = bytes_per_second
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._paid_until = clock()

    def pay(self, amount: int, check: Callable[[], Any] = lambda: None) -> None:
        """Wait for `amount` bytes. `check` is called about every 0.2 s; what it raises ends the wait."""
        with self._lock:
            self._paid_until = max(self._paid_until, self._clock()) + amount / self.rate
            until = self._paid_until
        while True:
            left = until - self._clock()
            if left <= 0:
                return
            self._sleep(min(left, _LONGEST_SLEEP))
            check()

    def workers(self, wanted: int) -> int:
        """How many transfers may share the rate, so that none waits longer than servers allow."""
        return max(1, min(wanted, int(_LONGEST_PAUSE * self.rate / _CHUNK)))


class ThrottledStore(Store):
    """Another store, with its reads and writes held to a throttle."""

    def __init__(self, store: Store, throttle: Throttle):
        self._store = store
        self._throttle = throttle
        self.url = store.url

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        return self._store.list(prefix)

    def list_completely(self, prefix: str, wants: Callable[[str], bool]) -> Iterator[ObjectInfo]:
        return self._store.list_completely(prefix, wants)

    def head(self, key: str) -> ObjectInfo:
        return self._store.head(key)

    def read(self, key: str) -> bytes:
        data = self._store.read(key)
        self._throttle.pay(len(data))
        return data

    def write(self, key: str, data: bytes) -> ObjectInfo:
        self._throttle.pay(len(data))
        return self._store.write(key, data)

    def download(self, info: ObjectInfo, path: str, on_bytes: Optional[OnBytes] = None) -> None:
        self._store.download(info, path, self._paid(on_bytes))

    def read_range(self, info: ObjectInfo, offset: int, size: int, on_bytes: Optional[OnBytes] = None) -> bytes:
        return self._store.read_range(info, offset, size, self._paid(on_bytes))

    def together(self, infos: Iterable[ObjectInfo]) -> List[List[ObjectInfo]]:
        return self._store.together(infos)

    def download_all(self, infos: Sequence[ObjectInfo], paths: Sequence[str],
                     on_bytes: Optional[OnBytes] = None) -> None:
        self._store.download_all(infos, paths, self._paid(on_bytes))

    def upload(self, path: str, key: str, on_bytes: Optional[OnBytes] = None, with_md5: bool = True) -> ObjectInfo:
        return self._store.upload(path, key, self._paid(on_bytes), with_md5)

    def check_places(self, keys: Iterable[str]) -> None:
        self._store.check_places(keys)

    def delete(self, keys: Iterable[str]) -> None:
        self._store.delete(keys)

    def server_time(self) -> float:
        return self._store.server_time()

    def close(self) -> None:
        self._store.close()

    def _paid(self, on_bytes: Optional[OnBytes]) -> OnBytes:
        def count(amount: int) -> None:
            if on_bytes is not None:
                on_bytes(amount)
            if amount > 0:
                self._throttle.pay(amount, lambda: on_bytes and on_bytes(0))

        return count
