"""How the job ends: an exit code with a meaning, and one clear message.

ModelArts shows the first code of a job's processes that is not 0 as the job's own.
"""

from __future__ import annotations

import errno
import signal
from typing import NamedTuple

from job.errors import CannFailed, ConfigError, ModelArtsError, NoSuchPlace, PeerFailed
from job.stopping import Stopped
from masf_core.errors import (
    CacheError,
    CheckpointError,
    DataError,
    MasfError,
    ParityError,
    TrainingDiverged,
    WeightsError,
)
from obs_sync.errors import InvalidUrl, LeaseHeld, StoreError

DONE = 0
UNEXPECTED = 1
CONFIGURATION = 2
DATA = 3
STORAGE = 4
DIVERGED = 5
FOUND = 6
RANK_LOST = 7
MODELARTS = 8
ABORTED = 128 + signal.SIGABRT
STOPPED = 128 + signal.SIGTERM
INTERRUPTED = 128 + signal.SIGINT

MEANING = {
    DONE: "done",
    UNEXPECTED: "unexpected error",
    CONFIGURATION: "usage or configuration, or the run name is in use",
    DATA: "data or weights",
    STORAGE: "storage",
    DIVERGED: "training diverged, parity not met, or an export computes other numbers",
    FOUND: "check-graph, doctor or submit found something to correct",
    RANK_LOST: "another process of the job was lost",
    MODELARTS: "ModelArts refused a request, or could not be reached",
    ABORTED: "native code such as CANN aborted the process",
    STOPPED: "stopped by SIGTERM or SIGHUP",
    INTERRUPTED: "stopped from the keyboard",
}

OTHER_SIGNALS = {
    signal.SIGKILL: "killed: out of memory, or still running 15 s after SIGTERM",
    signal.SIGSEGV: "native code crashed (segmentation fault)",
}

# The first line that fits counts: the special before the general.
CODES = (
    (NoSuchPlace, STORAGE),
    ((ConfigError, InvalidUrl, LeaseHeld), CONFIGURATION),
    (ModelArtsError, MODELARTS),
    ((DataError, WeightsError), DATA),
    ((StoreError, CacheError, CheckpointError), STORAGE),
    ((TrainingDiverged, ParityError), DIVERGED),
    (MasfError, CONFIGURATION),
)

# Errors of the local disk are no faults of the program, wherever they are noticed.
DISK = {errno.ENOSPC: "the disk is full; free some space, or choose another --work_dir",
        errno.EDQUOT: "the disk quota is used up; free some space, or choose another --work_dir",
        errno.EROFS: "the file system is read-only; choose another --work_dir",
        errno.EACCES: "permission denied; make it accessible, or choose another --work_dir"}


class Ending(NamedTuple):
    """code: exit code. message: for the user. expected: False asks for the stack trace."""

    code: int
    message: str
    expected: bool


def ending(error: BaseException) -> Ending:
    """What an exception that reached the top means."""
    if isinstance(error, Stopped):
        return Ending(128 + error.signum, str(error), True)
    if isinstance(error, PeerFailed):
        return Ending(error.code, str(error), True)
    if isinstance(error, CannFailed):
        return Ending(UNEXPECTED, str(error), False)
    if isinstance(error, KeyboardInterrupt):
        return Ending(INTERRUPTED, "interrupted", True)
    for classes, code in CODES:
        if isinstance(error, classes):
            return Ending(code, str(error), True)
    if isinstance(error, OSError) and error.errno in DISK:
        return Ending(STORAGE, f"{error.filename or 'local disk'}: {DISK[error.errno]}", True)
    return Ending(UNEXPECTED, f"unexpected {type(error).__name__}: {error}", False)


def exit_code(error: BaseException) -> int:
    """The exit code that ``error`` leads to."""
    return ending(error).code


def meaning_of(code: int) -> str:
    """What an exit code means, in words; also a code that this job does not choose."""
    if code in MEANING:
        return MEANING[code]
    signum = code - 128 if code > 128 else -code
    if signum in OTHER_SIGNALS:
        return OTHER_SIGNALS[signum]
    try:
        return f"ended by {signal.Signals(signum).name}"
    except ValueError:
        return "not an exit code of this job"
