"""Tests what a user may do below a store's prefix: write, read and delete a small object, and one in parts.

The object has the name of an unfinished checkpoint: readers ignore it, and if the process is killed, `python -m job
sync gc` finds it, as well as an upload in parts that was not completed.
"""
from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
import uuid
from typing import List, Tuple

from obs_sync.errors import AccessDenied, IntegrityError, StoreError
from obs_sync.esdk.store import EsdkStore
from obs_sync.esdk.upload import put_file
from obs_sync.store import Store

SIZE = 2 << 20       # bytes of the object
PART_SIZE = 100 << 10  # bytes, the smallest part that OBS accepts, except for the last
_S3_PART_SIZE = 5 << 20  # bytes, the smallest part that other servers accept
_LAST_WAIT = 5.0     # seconds that `end` waits for a running operation before it deletes everything


class Abandoned(Exception):
    """Another thread ended the probe."""


class Probe:
    """Objects of our own below `store`; a context manager that always deletes them.

    Another thread may call `end`: nothing is stored afterwards.
    """

    def __init__(self, store: Store, name: str = "ckpt-000000-probe"):
        """`name` is that of an unfinished checkpoint; a random suffix is added."""
        self._store = store
        self._folder = f"checkpoints/{name}-{uuid.uuid4().hex[:8]}/"
        self._data = os.urandom(SIZE)
        self._keys: List[str] = []  # of objects that may exist
        self._lock = threading.Lock()
        self._ended = False
        self.may_not_remove = False  # the server refused to delete

    def __enter__(self) -> Probe:
        return self

    def __exit__(self, *exc_info: object) -> None:
        with contextlib.suppress(StoreError):
            self.end()

    @property
    def url(self) -> str:
        """The folder of everything that the probe stores."""
        return self._store.locate(self._folder)

    def write(self) -> float:
        """The seconds it took. Raises StoreError, Abandoned."""
        return self._timed(lambda key: self._store.write(key, self._data), "object")

    def read(self) -> float:
        """The seconds it took. Raises StoreError; IntegrityError if other bytes are read than were written."""
        key = self._folder + "object"
        started = time.monotonic()
        found = self._store.read(key)
        seconds = time.monotonic() - started
        if found != self._data:
            raise IntegrityError("the object that was read is not the one that was written", self._store.locate(key))
        return seconds

    def write_in_parts(self) -> bool:
        """False if the store has no uploads in parts, or decides itself about them. Raises StoreError, Abandoned."""
        store = self._store
        if not isinstance(store, EsdkStore):
            return False

        def put(key: str, part_size: int, size: int) -> None:
            with tempfile.NamedTemporaryFile() as file:
                file.write((self._data * (size // SIZE + 1))[:size])
                file.flush()
                put_file(store._calls, store._full(key), file.name, store.locate(key), None, part_size=part_size,
                         largest_put=1)

        def upload(key: str) -> None:
            try:
                put(key, PART_SIZE, 2 * PART_SIZE + 1)
            except StoreError as error:
                if "EntityTooSmall" not in error.what:
                    raise
                put(key, _S3_PART_SIZE, _S3_PART_SIZE + 1)

        self._timed(upload, "in-parts")
        return True

    def remove(self) -> float:
        """The seconds it took. Raises StoreError naming what remains, and leaves what may not be deleted."""
        started = time.monotonic()
        if self._keys:
            try:
                self._store.delete(self._keys)
            except AccessDenied:
                self.may_not_remove = True
                self._keys = []
                raise
            self._keys = []
        return time.monotonic() - started

    def end(self) -> None:
        """Store nothing more, and delete all objects and unfinished uploads of the probe. Raises StoreError."""
        self._ended = True
        waited = self._lock.acquire(timeout=_LAST_WAIT)
        try:
            touched = bool(self._keys)
            self.remove()
            if touched and isinstance(self._store, EsdkStore):
                with contextlib.suppress(StoreError):  # this user may not be allowed to list uploads
                    for upload in self._store.unfinished_uploads(self._folder):
                        self._store.abort_upload(upload.key, upload.upload_id)
        finally:
            if waited:
                self._lock.release()

    def _timed(self, store, name: str) -> float:
        with self._lock:
            if self._ended:
                raise Abandoned()
            key = self._folder + name
            self._keys.append(key)
            started = time.monotonic()
            store(key)
            return time.monotonic() - started


def clock_ahead(store: Store) -> Tuple[float, float]:
    """(seconds by which the storage's clock is ahead of ours, seconds that the request took). Raises StoreError."""
    started = time.time()
    there = store.server_time()
    ended = time.time()
    # A Date is cut off to whole seconds, which loses half a second on average.
    return there + 0.5 - (started + ended) / 2.0, ended - started
