"""A store in a directory that fails when told to, and remembers what was asked of it."""
from __future__ import annotations

import threading

from obs_sync import LocalStore, StoreUnavailable


class FaultyStore(LocalStore):
    """``fail(operation, key)`` decides before each change; it may raise, or wait."""

    def __init__(self, path):
        super().__init__(str(path))
        self.fail = lambda operation, key: None
        self.changes = []
        self._lock = threading.Lock()

    def _change(self, operation, key):
        with self._lock:
            self.changes.append((operation, key))
        self.fail(operation, key)

    def write(self, key, data):
        self._change("write", key)
        return super().write(key, data)

    def upload(self, path, key, on_bytes=None, with_md5=True):
        self._change("upload", key)
        return super().upload(path, key, on_bytes, with_md5)

    def delete(self, keys):
        keys = list(keys)
        self._change("delete", keys)
        return super().delete(keys)


class Gate:
    """A ``fail`` that holds whoever changes the store until it is opened."""

    def __init__(self):
        self._met, self._opened = threading.Event(), threading.Event()

    def __call__(self, operation, key):
        self._met.set()
        assert self._opened.wait(20)

    def wait(self):
        """Until somebody is held."""
        assert self._met.wait(20)

    def open(self):
        self._opened.set()


def failing_with(kind, told):
    """What a ``FaultyStore`` may be told to do: raise ``kind`` of every operation."""
    def fail(operation, key):
        raise kind(told, key)

    return fail


outage = failing_with(StoreUnavailable, "the storage is away")
