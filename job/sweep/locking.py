"""One ``sweep run`` of a study at a time on a machine, and its end from another terminal."""
from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import signal
import time
from typing import Iterator, Optional

from job.errors import ConfigError
from obs_sync import LocalStorageError

POLL = 0.1  # seconds


def lock_path(folder: str, study: str) -> str:
    """The lock of the study in the file ``study``, in ``folder``."""
    return os.path.join(folder, f"{hashlib.sha256(os.path.abspath(study).encode()).hexdigest()[:12]}.lock")


@contextlib.contextmanager
def sole_sweep(folder: str, study: str) -> Iterator[None]:
    """Hold the lock of a study. The operating system releases it when the process ends.

    Raises:
        ConfigError: another process of this machine holds it. LocalStorageError: the folder cannot be written.
    """
    path = lock_path(folder, study)
    try:
        os.makedirs(folder, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise LocalStorageError(f"cannot be written ({error.strerror})", folder,
                                "Choose another directory with --work_dir") from error
    try:
        if not _locks(handle):
            raise ConfigError(f"process {_owner(path) or '(unknown)'} of this machine runs this sweep already; "
                              "`python -m job sweep FILE stop` stops it")
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(handle)


def stop_sweep(folder: str, study: str, seconds: float) -> Optional[int]:
    """Ask the process that runs the study on this machine to stop, and wait until it has ended.

    Returns:
        Its process id; None if there is no such process.

    Raises:
        ConfigError: it did not end within ``seconds``.
    """
    path = lock_path(folder, study)
    try:
        handle = os.open(path, os.O_RDWR)
    except OSError:
        return None
    try:
        if _locks(handle):
            return None
        pid = _owner(path)
        if pid is None:
            return None
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + seconds
        while not _locks(handle):
            if time.monotonic() > end:
                raise ConfigError(f"process {pid}, which runs this sweep, did not end within {seconds:.0f} s")
            time.sleep(POLL)
        return pid
    finally:
        os.close(handle)


def _locks(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _owner(path: str) -> Optional[int]:
    with open(path, encoding="ascii", errors="replace") as stream:
        text = stream.read().strip()
    return int(text) if text.isdigit() else None
