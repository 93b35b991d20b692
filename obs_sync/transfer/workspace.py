"""The private corner of a destination: the lock of the one pull at a time, and its unfinished files."""
from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
import json
import logging
import os
import time
from typing import Callable, Iterable, Optional

from obs_sync.keys import PRIVATE_DIRECTORY
from obs_sync.local.files import local_storage, make_directory, refuse_links, remove_quietly
from obs_sync.store import LARGE, ObjectInfo

_POLL = 0.2  # seconds

_log = logging.getLogger(__name__)


class Workspace:
    """`.obs_sync/` below `destination`, locked while the context is open.

    Temporary files are on the file system of the destination, so that a rename puts them in place; they are
    gone when the context ends, and those of a pull that was killed when the next one begins. What has come of large
    objects stays, to be gone on with. None of it may be a symbolic link.
    A second process waits for the first: it then finds everything present.
    """

    def __init__(self, destination: str, while_waiting: Callable[[], None] = lambda: None,
                 sleep: Callable[[float], None] = time.sleep):
        """`while_waiting` is called about every 0.2 s until the lock is ours; what it raises propagates."""
        self.destination = destination
        self._directory = os.path.join(destination, PRIVATE_DIRECTORY)
        self._partial = os.path.join(self._directory, "partial")
        self._resumed = os.path.join(self._directory, "resume")
        self._while_waiting = while_waiting
        self._sleep = sleep
        self._lock: Optional[int] = None
        self._numbers = itertools.count()  # nobody else is here while we have the lock

    def __enter__(self) -> "Workspace":
        self._refuse_links()
        make_directory(self._directory)
        with local_storage(self._directory):
            self._lock = os.open(os.path.join(self._directory, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            if not self._try_lock():
                _log.info("waiting for another process that is fetching to %s", self.destination)
                self._wait_for_lock()
            remove_quietly(self._partial)
            make_directory(self._partial)
        except BaseException:
            self._unlock()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        remove_quietly(self._partial)
        self._sweep(lambda name: os.path.exists(os.path.join(self._resumed, f"{name}.pieces")))
        self._unlock()

    def path(self, name: str) -> str:
        """Where a file of bookkeeping is kept."""
        return os.path.join(self._directory, name)

    def temporary(self) -> str:
        """A fresh name for an unfinished file or directory."""
        return os.path.join(self._partial, str(next(self._numbers)))

    def unfinished(self, info: ObjectInfo) -> str:
        """Where a file is written: for a version of a large object always the same name."""
        if info.size < LARGE or info.etag is None:
            return self.temporary()
        make_directory(self._resumed)
        version = json.dumps([info.key, info.etag, info.size])
        return os.path.join(self._resumed, hashlib.sha256(version.encode("ascii")).hexdigest())

    def keep_unfinished(self, infos: Iterable[ObjectInfo]) -> int:
        """Remove what has come of other versions than these; returns the bytes that what is kept takes."""
        kept = {os.path.basename(self.unfinished(info)) for info in infos if info.size >= LARGE}
        self._sweep(lambda name: name in kept)
        held = 0
        for name in kept:
            with contextlib.suppress(OSError):
                held += 512 * os.stat(os.path.join(self._resumed, name)).st_blocks
        return held

    def _refuse_links(self) -> None:
        """Through a link, something outside the destination would be written, or removed as left over."""
        refuse_links(self._directory)
        for directory in (self._directory, self._resumed):
            with local_storage(directory):
                try:
                    names = os.listdir(directory)
                except FileNotFoundError:  # never made, or removed by the pull before
                    continue
            refuse_links(*(os.path.join(directory, name) for name in names))

    def _sweep(self, keeps: Callable[[str], bool]) -> None:
        """Remove the unfinished large files that are not to be kept, with what belongs to them."""
        with contextlib.suppress(OSError):  # nothing was ever left
            for name in os.listdir(self._resumed):
                if not keeps(name.partition(".")[0]):
                    remove_quietly(os.path.join(self._resumed, name))
            os.rmdir(self._resumed)  # unless something is left

    def _wait_for_lock(self) -> None:
        while not self._try_lock():
            self._while_waiting()
            self._sleep(_POLL)

    def _try_lock(self) -> bool:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)  # gives up the lock
            self._lock = None
