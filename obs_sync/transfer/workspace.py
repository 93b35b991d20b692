"""Our own directory in a destination: the lock, so that one pull runs at a time, and its unfinished files."""
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

    Temporary files are on the file system of the destination, so that renaming puts them in place. They are deleted
    when the context ends; those of a killed pull, when the next one begins. Unfinished files of large objects stay, so
    that the next pull resumes them. None of these files may be a symbolic link. A second process waits for the first;
    then it finds everything present.
    """

    def __init__(self, destination: str, while_waiting: Callable[[], None] = lambda: None,
                 sleep: Callable[[float], None] = time.sleep):
        """`while_waiting` is called every 0.2 s until we have the lock; an exception that it raises propagates."""
        self.destination = destination
        self._directory = os.path.join(destination, PRIVATE_DIRECTORY)
        self._partial = os.path.join(self._directory, "partial")
        self._resumed = os.path.join(self._directory, "resume")
        self._while_waiting = while_waiting
        self._sleep = sleep
        self._lock: Optional[int] = None
        self._numbers = itertools.count()  # no other process uses the directory while we have the lock

    def __enter__(self) -> "Workspace":
        self._refuse_links()
        make_directory(self._directory)
        with local_storage(self._directory):
            self._lock = os.open(os.path.join(self._directory, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            if not self._try_lock():
                _log.info("waiting for another process that fetches to %s", self.destination)
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
        """The path of a bookkeeping file."""
        return os.path.join(self._directory, name)

    def temporary(self) -> str:
        """A new path for an unfinished file or directory."""
        return os.path.join(self._partial, str(next(self._numbers)))

    def unfinished(self, info: ObjectInfo) -> str:
        """The path to download an object to. A version of a large object always has the same one, to resume."""
        if info.size < LARGE or info.etag is None:
            return self.temporary()
        make_directory(self._resumed)
        version = json.dumps([info.key, info.etag, info.size])
        return os.path.join(self._resumed, hashlib.sha256(version.encode("ascii")).hexdigest())

    def keep_unfinished(self, infos: Iterable[ObjectInfo]) -> int:
        """Delete unfinished files of other versions than these. Returns the bytes that the others take on the disk."""
        kept = {os.path.basename(self.unfinished(info)) for info in infos if info.size >= LARGE}
        self._sweep(lambda name: name in kept)
        held = 0
        for name in kept:
            with contextlib.suppress(OSError):
                held += 512 * os.stat(os.path.join(self._resumed, name)).st_blocks
        return held

    def _refuse_links(self) -> None:
        """Refuse links: through one, something outside the destination would be written or deleted."""
        refuse_links(self._directory)
        for directory in (self._directory, self._resumed):
            with local_storage(directory):
                try:
                    names = os.listdir(directory)
                except FileNotFoundError:  # never made, or deleted by an earlier pull
                    continue
            refuse_links(*(os.path.join(directory, name) for name in names))

    def _sweep(self, keeps: Callable[[str], bool]) -> None:
        """Delete the unfinished large files, and their maps, whose name `keeps` refuses."""
        with contextlib.suppress(OSError):  # there is no such directory
            for name in os.listdir(self._resumed):
                if not keeps(name.partition(".")[0]):
                    remove_quietly(os.path.join(self._resumed, name))
            os.rmdir(self._resumed)  # fails if a file is left in it

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
            os.close(self._lock)  # releases the lock
            self._lock = None
