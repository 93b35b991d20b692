"""Try out what a user may do below a store's prefix: store, read and remove a small object, and one in parts.

The object lies where an unfinished checkpoint would: readers pass over it, and should the process be killed in between,
`python -m job sync gc` finds it, as it finds an upload in parts that was begun.
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
PART_SIZE = 100 << 10  # bytes, the smallest that OBS takes but for the last part
_S3_PART_SIZE = 5 << 20  # bytes, the smallest that other servers take
_LAST_WAIT = 5.0     # seconds for an operation under way before everything is removed


class Abandoned(Exception):
    """The probe was ended from another thread."""


class Probe:
    """Objects of our own below `store`; a context manager that removes them, whatever happens.

    `end` may be called from another thread: nothing is stored afterwards.
    """

    def __init__(self, store: Store, name: str = "ckpt-000000-probe"):
        """`name` is that of an unfinished checkpoint, to which a part that nobody else has is added."""
        self._store = store
        self._folder = f"checkpoints/{name}-{uuid.uuid4().hex[:8]}/"
        self._data = os.urandom(SIZE)
        self._keys: List[str] = []  # that may be there
        self._lock = threading.Lock()
        self._ended = False
        self.may_not_remove = False  # the server said so

    def __enter__(self) -> Probe:
        return self

    def __exit__(self, *exc_info: object) -> None:
        with contextlib.suppress(StoreError):
            self.end()

    @property
    def url(self) -> str:
        """Below which everything of it lies."""
        return self._store.locate(self._folder)

    def write(self) -> float:
        """Returns the seconds it took. Raises StoreError, Abandoned."""
        return self._timed(lambda key: self._store.write(key, self._data), "object")

    def read(self) -> float:
        """Raises also IntegrityError, if what comes is not what was written."""
        key = self._folder + "object"
        started = time.monotonic()
        found = self._store.read(key)
        seconds = time.monotonic() - started
        if found != self._data:
            raise IntegrityError("what was read is not what was written", self._store.locate(key))
        return seconds

    def write_in_parts(self) -> bool:
        """Returns False where the store has no such uploads, or makes them by itself. Raises StoreError, Abandoned."""
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
        """Returns the seconds it took. Raises StoreError naming what stays; what may not be removed is left there."""
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
        """Store nothing more, and remove what there is: parts that were begun as well. Raises StoreError."""
        self._ended = True
        waited = self._lock.acquire(timeout=_LAST_WAIT)
        try:
            touched = bool(self._keys)
            self.remove()
            if touched and isinstance(self._store, EsdkStore):
                with contextlib.suppress(StoreError):  # not everybody may list uploads
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
    """(seconds that the storage's clock is ahead of ours, seconds that the question took). Raises StoreError."""
    started = time.time()
    there = store.server_time()
    ended = time.time()
    # A Date has whole seconds, cut off: half a one is lost on average.
    return there + 0.5 - (started + ended) / 2.0, ended - started
