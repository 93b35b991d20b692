"""A store that hands everything to another one, to be overridden where a test wants trouble."""

from __future__ import annotations

import threading
from typing import Callable, List

from obs_sync import Store


class WrappedStore(Store):
    def __init__(self, inner: Store):
        self.inner = inner
        self.url = inner.url
        self.calls: List[str] = []
        self._lock = threading.Lock()

    def before(self, operation: str, key: str) -> None:
        """Called before every operation. Raise to make it fail."""

    def after(self, operation: str, key: str) -> None:
        """Called after every operation that was applied. Raise to lose its reply."""

    def _pass(self, operation: str, key: str, call: Callable):
        with self._lock:
            self.calls.append(f"{operation} {key}")
        self.before(operation, key)
        result = call()
        self.after(operation, key)
        return result

    def list(self, prefix=""):
        return iter(self._pass("list", prefix, lambda: list(self.inner.list(prefix))))

    def head(self, key):
        return self._pass("head", key, lambda: self.inner.head(key))

    def read(self, key):
        return self._pass("read", key, lambda: self.inner.read(key))

    def write(self, key, data):
        return self._pass("write", key, lambda: self.inner.write(key, data))

    def download(self, info, path, on_bytes=None):
        return self._pass("download", info.key, lambda: self.inner.download(info, path, on_bytes))

    def read_range(self, info, offset, size, on_bytes=None):
        return self._pass("read_range", info.key, lambda: self.inner.read_range(info, offset, size, on_bytes))

    def upload(self, path, key, on_bytes=None, with_md5=True):
        return self._pass("upload", key, lambda: self.inner.upload(path, key, on_bytes, with_md5))

    def delete(self, keys):
        for key in keys:
            self._pass("delete", key, lambda: self.inner.delete([key]))  # noqa: B023  (called at once)

    def calls_of(self, operation: str) -> List[str]:
        return sorted(call.partition(" ")[2] for call in self.calls if call.startswith(operation + " "))


class Killed(BaseException):
    """The process ends here: nothing catches this."""


class KilledAt(WrappedStore):
    """Dies before, or right after, its n-th operation (from 0), and stays dead."""

    def __init__(self, inner: Store, at: int, after: bool = False):
        super().__init__(inner)
        self._at = at
        self._after = after

    def before(self, operation, key):
        if len(self.calls) > self._at + self._after:
            raise Killed()

    def after(self, operation, key):
        if self._after and len(self.calls) > self._at:
            raise Killed()
