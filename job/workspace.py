"""Where things lie on the local disk of a run.

    <work_dir>/inputs/<name>-<digest>/   what was pulled from data_url, shared by all runs that use the same URL
    <work_dir>/weights/                  a weights file pulled from a URL of its own
    <work_dir>/decoded/                  the decode cache
    <work_dir>/kernels/                  operations that were compiled for an Ascend (or --compile_cache_dir)
    <work_dir>/evaluate/                 what is wrong with the data of an evaluation
    <work_dir>/sweep/                    configuration and output of each run of a sweep
    <work_dir>/COMMAND/cann/rank-N/      where rank N of another command (bench, evaluate, parity, predict) works
                                         on an Ascend
    <work_dir>/runs/<run_name>/          logs of this run (or --logdir), spool/ with checkpoints on their way out, and
                                         cann/rank-N/, where rank N works on an Ascend
"""
from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import posixpath
from typing import Iterator, NamedTuple, Optional, Tuple

from job.errors import ConfigError
from obs_sync import LocalStorageError


OTHER_WORK_DIR = "Free some space, or choose another --work_dir"  # where a file is made that goes to a bucket

# The directories in work_dir.
WRITTEN = ("inputs", "weights", "decoded", "kernels", "runs", "evaluate", "bench", "parity", "predict", "sweep")


@contextlib.contextmanager
def writing(place: str, mend: str, done: str = "written") -> Iterator[None]:
    """A context manager for what writes a file or folder that a user has asked for.

    Args:
        place: its path. mend: for the message. done: "made" or "written".

    Raises:
        LocalStorageError: instead of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise LocalStorageError(f"cannot be {done} ({error.strerror or error})", place, mend) from error


class Workspace(NamedTuple):
    """Local directories of a run, as absolute paths; made by ``prepare_workspace``."""

    root: str
    decoded: str
    logs: str
    spool: str

    def inputs(self, url: str) -> str:
        """Where the content of ``url`` is pulled to: readable, and distinct for distinct URLs."""
        name = posixpath.basename(url.rstrip("/")) or "data"
        return os.path.join(self.root, "inputs", f"{name}-{hashlib.sha256(url.encode()).hexdigest()[:8]}")

    def weights(self, url: str) -> str:
        """Where a single weights file is pulled to."""
        digest = hashlib.sha256(url.encode()).hexdigest()[:8]
        return os.path.join(self.root, "weights", f"{digest}-{posixpath.basename(url)}")

    @property
    def kernels(self) -> str:
        """Where operations that were compiled for an Ascend are kept, for this start and the next ones."""
        return os.path.join(self.root, "kernels")

    @property
    def cann(self) -> str:
        """What CANN writes into current directories, in a folder for each rank."""
        return os.path.join(os.path.dirname(self.spool), "cann")

    def log(self, name: str) -> str:
        """Path of one of the run's log files."""
        return os.path.join(self.logs, name)


def is_work_dir(directory: str) -> bool:
    """Whether a run has used ``directory`` as its work_dir, as the directories that every run makes there tell."""
    runs = os.path.join(directory, "runs")
    try:
        names = os.listdir(runs)
    except OSError:
        return False
    return os.path.isdir(os.path.join(directory, "decoded")) and any(
        os.path.isdir(os.path.join(runs, name, "spool")) for name in names)


@contextlib.contextmanager
def sole_user(workspace: Workspace, run_name: str) -> Iterator[None]:
    """Lock the run's local directory: no other process of this machine may use it meanwhile.

    Raises:
        ConfigError: another process uses it; names it.
    """
    with open(os.path.join(workspace.root, "runs", run_name, ".lock"), "a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            owner = lock.read().strip() or "(unknown)"
            raise ConfigError(f"run {run_name} is in use by process {owner} of this machine. Wait until it ends, or "
                              "give another --run_name") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def prepare_workspace(work_dir: str, run_name: str, logdir: Optional[str] = None) -> Workspace:
    """Make the directories and prove that they can be written.

    Raises:
        LocalStorageError: not writable; names the directory and the setting that moves it.
    """
    work_dir = os.path.abspath(work_dir)  # the current directory changes where a run is on an Ascend
    logs = os.path.abspath(logdir) if logdir else os.path.join(work_dir, "runs", run_name)
    spool = os.path.join(work_dir, "runs", run_name, "spool")
    workspace = Workspace(root=work_dir, decoded=os.path.join(work_dir, "decoded"), logs=logs, spool=spool)
    _prove_writable((workspace.decoded, "--work_dir"), (spool, "--work_dir"), (logs, "--logdir"))
    return workspace


def evaluation_workspace(work_dir: str) -> Workspace:
    """The directories of an evaluation, which writes nothing into those of a run. It has no spool.

    Raises:
        LocalStorageError: as of ``prepare_workspace``.
    """
    workspace = Workspace(root=work_dir, decoded=os.path.join(work_dir, "decoded"),
                          logs=os.path.join(work_dir, "evaluate"), spool="")
    _prove_writable((workspace.decoded, "--work_dir"), (workspace.logs, "--work_dir"))
    return workspace


def _prove_writable(*directories: Tuple[str, str]) -> None:
    """Make directories and write to them. directories: (directory, the setting that moves it)."""
    for directory, setting in directories:
        probe = os.path.join(directory, f".writable-{os.getpid()}")
        try:
            os.makedirs(directory, exist_ok=True)
            with open(probe, "w"):
                pass
            os.remove(probe)
        except OSError as error:
            raise LocalStorageError(f"cannot write to {directory}: {error.strerror or error}. Choose a directory "
                                    f"that can be written with {setting}.") from error
