"""Runs as processes of this machine.

Each process leads a process group of its own, so that Ctrl-C in a terminal does not reach it: the sweep stops it with
SIGTERM, after which it publishes its last checkpoint. If the sweep is killed, the operating system sends that SIGTERM.
What the process prints goes to ``<work_dir>/sweep/<run_name>.log``.
"""
from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from typing import Callable, Dict, List, Mapping, Optional, Sequence

from job.config.loading import to_yaml
from job.exits import RANK_LOST, STORAGE
from job.printable import printable
from job.ranks.launch import PATIENCE, ROOT, dying_with, job_command
from job.sweep.plan import PlannedRun
from job.sweep.runner import Ended, Runner
from masf_core.records.files import replace_text
from obs_sync import LocalStorageError, is_remote

log = logging.getLogger(__name__)

FOLDER = "sweep"  # in work_dir
OUTSIDE = (STORAGE, RANK_LOST, 128 + signal.SIGKILL)  # exit codes after which another attempt may succeed
POLL = 0.05  # seconds
LONGEST = 2000  # bytes of a log in which its last line is looked for


class LocalRunner(Runner):
    """Runs that run here, one in each share of the machine.

    Args:
        folder: for the configurations and logs of the runs. shares: what `shares.shares_of` returns.
        environ: environment variables. command: from the path of a configuration file to the command that trains with
            it. patience: seconds from SIGTERM to SIGKILL.
    """

    def __init__(self, folder: str, shares: Sequence[Mapping[str, str]], environ: Mapping[str, str],
                 command: Optional[Callable[[str], List[str]]] = None, patience: float = PATIENCE) -> None:
        self._folder, self._shares, self._environ = folder, list(shares), environ
        self._command = command or (lambda path: job_command(["run", f"--config={path}"]))
        self._patience = patience
        self._started: Dict[int, _Process] = {}  # number of the share → the process there

    def adopt(self, runs: Sequence[PlannedRun]) -> List[PlannedRun]:
        return []  # a process of an earlier sweep holds the lease of its run

    def free(self) -> int:
        return len(self._shares) - len(self._started)

    def start(self, run: PlannedRun) -> None:
        """Raises LocalStorageError if the folder cannot be written."""
        number = next(number for number in range(len(self._shares)) if number not in self._started)
        path = os.path.join(self._folder, run.name)
        try:
            os.makedirs(self._folder, exist_ok=True)
            replace_text(path + ".yaml", to_yaml(run.config))
            with open(path + ".log", "ab") as output:
                self._started[number] = _Process(run, subprocess.Popen(
                    self._command(path + ".yaml"), env=self._environment(number), stdin=subprocess.DEVNULL,
                    stdout=output, stderr=output, start_new_session=True, preexec_fn=dying_with(os.getpid())), path)
        except OSError as error:
            raise LocalStorageError(f"cannot be written ({error.strerror or error})", self._folder,
                                    "Choose another directory with --work_dir") from error

    def running(self) -> List[PlannedRun]:
        return [each.run for each in self._started.values()]

    def poll(self) -> List[Ended]:
        ended = []
        for number, each in list(self._started.items()):
            code = each.code()
            if code is not None:
                del self._started[number]
                ended.append(Ended(each.run, code, code in OUTSIDE, "" if code == 0 else each.last_line()))
        return ended

    def close(self) -> None:
        """Stop the processes, and wait until they have published what they can; kill them after ``patience``."""
        if self._started:
            log.info("stopping %s; each publishes its last checkpoint, which takes up to %.0f s",
                     ", ".join(run.name for run in self.running()), self._patience)
        for each in self._started.values():
            each.signal(signal.SIGTERM)
        end = time.monotonic() + self._patience
        while any(each.code() is None for each in self._started.values()) and time.monotonic() < end:
            time.sleep(POLL)
        for each in self._started.values():
            each.kill()
        self._started.clear()

    def _environment(self, number: int) -> Dict[str, str]:
        # The packages may be in another directory than the current one.
        path = os.pathsep.join([ROOT] + [each for each in [self._environ.get("PYTHONPATH")] if each])
        return dict(self._environ, PYTHONPATH=path, **self._shares[number])


def check_writable(url: str) -> None:
    """Check that the folder of a run can be made, if it is a local one: another attempt would not help.

    Raises:
        LocalStorageError: it cannot.
    """
    if is_remote(url):
        return
    folder = os.path.abspath(url)
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK | os.X_OK):
        why = "read-only, or permission denied" if os.path.isdir(folder) else "not a folder"
        raise LocalStorageError(f"the results cannot be written ({why})", folder, "Choose another --train_url")


class _Process:
    """A process that trains. path: of its log, without the suffix."""

    def __init__(self, run: PlannedRun, process: subprocess.Popen, path: str) -> None:
        self.run = run
        self._process, self._log = process, path + ".log"

    def code(self) -> Optional[int]:
        """Its exit code, 128 + the number of the signal that killed it; None while it runs."""
        code = self._process.poll()
        return None if code is None else 128 - code if code < 0 else code

    def signal(self, signum: int) -> None:
        self._process.send_signal(signum)

    def kill(self) -> None:
        """Kill it and every process that it started."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        self._process.wait()

    def last_line(self) -> str:
        """The last line that it printed, and where the others are."""
        try:
            with open(self._log, "rb") as stream:
                stream.seek(max(0, os.path.getsize(self._log) - LONGEST))
                lines = stream.read().decode("utf-8", "replace").strip().splitlines()
        except OSError:
            lines = []
        return f"{printable(lines[-1])} (see {self._log})" if lines else f"see {self._log}"
