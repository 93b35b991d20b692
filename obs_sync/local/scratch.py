"""Directories for temporary files. The next process deletes those that a killed process left."""
from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from typing import Iterator, Optional, Tuple

from obs_sync.local.files import remove_quietly

_LOCK = "lock"


@contextlib.contextmanager
def scratch_directory(prefix: str) -> Iterator[str]:
    """An empty directory below TMPDIR, which is deleted when the block ends.

    First, directories with the same `prefix` whose process has ended are deleted: a process holds a lock in its
    directory as long as it lives. Raises OSError.
    """
    _remove_the_dead_ones(prefix)
    outer, lock = _made(prefix)
    try:
        inner = os.path.join(outer, "files")  # so that the lock file is not among the files
        os.mkdir(inner)
        yield inner
    finally:
        remove_quietly(outer)
        os.close(lock)


def _made(prefix: str) -> Tuple[str, int]:
    """A new directory, and the descriptor of its lock."""
    while True:
        outer = tempfile.mkdtemp(prefix=prefix)
        path = os.path.join(outer, _LOCK)
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.stat(path), os.fstat(lock)):
                return outer, lock
        except (BlockingIOError, FileNotFoundError):  # another process took it for abandoned, just before it was locked
            pass
        except OSError:  # a file system without locks: without a lock file nobody takes it for abandoned
            os.remove(path)
            return outer, lock
        os.close(lock)


def _remove_the_dead_ones(prefix: str) -> None:
    with contextlib.suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        for entry in entries:
            if entry.name.startswith(prefix) and entry.is_dir(follow_symlinks=False) \
                    and entry.stat(follow_symlinks=False).st_uid == os.getuid():
                lock = _lock_of_the_dead(os.path.join(entry.path, _LOCK))
                if lock is not None:
                    remove_quietly(entry.path)
                    os.close(lock)


def _lock_of_the_dead(path: str) -> Optional[int]:
    """The descriptor of the lock, now ours; None if its process is alive, or if there is no lock file."""
    try:
        lock = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock
