"""The life of a container: pull, start, synchronise, stop, restart."""
from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
import threading
from typing import Any, Dict, List, Mapping, Optional

from job.modelarts.mocked.container import init_process
from job.modelarts.mocked.container.disk import Disk
from job.modelarts.mocked.container.spec import ContainerError, ContainerSpec, boot_path, code_folder
from job.modelarts.mocked.container.transfers import MOST_CODE_FILES, OutputSync, pull
from job.modelarts.mocked.container.variables import card_variables, container_variables, rank_table
from obs_sync.mock.mocked import MockObs

GRACE = 15.0  # seconds from SIGTERM to SIGKILL
SYNC_SECONDS = 5.0  # from one upload of the outputs to the next
REQUIREMENTS = "pip-requirements.txt"  # beside the boot file: what the real platform installs
CANNOT_START = 1  # exit code
TERMINATED, KILLED = 143, 137  # exit codes of a container that ends before its processes have started


class Container:
    """The container of one task of a job.

    Args:
        spec: what it runs. obs: the mocked OBS. folder: of this container; ``disk`` in it stands for the node's
            disk, ``log.txt`` is what its processes print.
        python: the interpreter, with its packages, that starts the boot file.
        environ: variables that the platform adds, such as the address of OBS and credentials for it.
        predownload: whether a container on a new disk finds what its outputs hold already, as where "Predownload" is
            chosen in the console. sync_seconds: from one upload of the outputs to the next.
    """

    def __init__(self, spec: ContainerSpec, obs: MockObs, folder: str, *, python: str = sys.executable,
                 environ: Optional[Mapping[str, str]] = None, predownload: bool = False,
                 sync_seconds: float = SYNC_SECONDS):
        self._spec = spec
        self._obs = obs
        self._folder = os.path.abspath(folder)
        self._disk = Disk(os.path.join(self._folder, "disk"))
        self._python = python
        self._environ = dict(environ or {})
        self._predownload = predownload
        self._sync_seconds = sync_seconds
        self._outputs: List[OutputSync] = []
        self._prepared = False
        self._lock = threading.Lock()  # guards the fields below
        self._thread: Optional[threading.Thread] = None
        self._init: Optional[subprocess.Popen] = None
        self._end: Optional[int] = None  # the exit code that was asked for: TERMINATED or KILLED
        self._code: Optional[int] = None
        self.problem: Optional[str] = None  # why the container could not start

    def __enter__(self) -> Container:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def log_path(self) -> str:
        """File with everything that the container has printed, in all its starts."""
        return os.path.join(self._folder, "log.txt")

    @property
    def disk(self) -> Disk:
        """The folders that stand for the node's disk."""
        return self._disk

    def start(self) -> None:
        """Begin to pull and to start. Returns at once. Raises RuntimeError if the container runs."""
        with self._lock:
            if self._thread is not None and self._code is None:
                raise RuntimeError("this container runs already")
            os.makedirs(self._folder, exist_ok=True)
            self._code = self._end = self._init = self.problem = None
            self._thread = threading.Thread(target=self._live, name="container " + self._spec.job_name, daemon=True)
            self._thread.start()

    def restart(self) -> None:
        """Start again in place: on the same disk, without pulling code and inputs again. Returns at once.

        Raises RuntimeError if the container runs.
        """
        self.start()

    def poll(self) -> Optional[int]:
        """The exit code once the container has ended and its outputs are uploaded, None before.

        It is that of the process which failed first, or 128 + the number of the signal that killed it; 1 if the
        container could not start, for the reason in ``problem``.
        """
        return self._code

    def wait(self, seconds: Optional[float] = None) -> Optional[int]:
        """Wait for the end, at most so long. Returns what ``poll`` does."""
        if self._thread is not None:
            self._thread.join(seconds)
        return self.poll()

    def terminate(self, grace_seconds: float = GRACE) -> None:
        """Send SIGTERM to the processes, and SIGKILL after the grace period. Returns at once."""
        with self._lock:
            self._end = self._end or TERMINATED
            self._command({"terminate": grace_seconds})

    def kill(self, lose_disk: bool = False) -> None:
        """Kill every process at once. Outputs that were not uploaded yet are not uploaded any more.

        lose_disk: whether the node is lost, with everything on its disk. The log stays.
        """
        with self._lock:
            self._end = KILLED
            if self._init is not None:
                _close(self._init.stdin)
        self.wait()
        if lose_disk:
            self._disk.lose()
            self._prepared = False

    def close(self) -> None:
        """End every process. The folder stays."""
        self.kill()

    # --- the background thread

    @property
    def _code_folder(self) -> str:
        return os.path.join(self._disk.code, code_folder(self._spec))

    def _live(self) -> None:
        code = CANNOT_START
        try:
            if not self._prepared:
                self._prepare()
            code = self._attend(self._launch())
        except _Ended:
            code = self._end or KILLED
        except (ContainerError, OSError) as error:
            self.problem = str(error)
            self._say("ERROR", self.problem)
        finally:  # whatever happens, whoever asks learns that the container has ended
            with self._lock:
                self._code = code

    def _prepare(self) -> None:
        """Pull code and inputs, and make what the processes find on the disk."""
        spec, disk = self._spec, self._disk
        disk.lose()  # a start that was interrupted may have left half of it
        disk.make()
        boot = os.path.join(self._code_folder, *boot_path(spec).split("/"))
        pulled = pull(self._obs, spec.code_dir, self._code_folder, self._check, MOST_CODE_FILES)
        self._say("INFO", f"pulled the code, {pulled.files} files, from {spec.code_dir}")
        if not os.path.isfile(boot):
            raise ContainerError(f"boot_file {spec.boot_file}: there is no such object")
        if os.path.isfile(os.path.join(os.path.dirname(boot), REQUIREMENTS)):
            self._say("WARNING", f"{REQUIREMENTS} is not installed here; {self._python} has the packages that it has")
        for name, place in spec.inputs:
            pulled = pull(self._obs, place, disk.input(name), self._check)
            self._say("INFO", f"downloaded input {name}, {pulled.files} files, {pulled.size:,} bytes, from {place}")
        self._outputs = [OutputSync(self._obs, place, disk.output(name)) for name, place in spec.outputs]
        for output, (name, place) in zip(self._outputs, spec.outputs):
            os.makedirs(disk.output(name), exist_ok=True)
            if self._predownload:
                pulled = output.restore(self._check)
                self._say("INFO", f"restored output {name}, {pulled.files} files, from {place}")
        if spec.cards:
            with open(disk.rank_table, "w", encoding="utf-8") as stream:
                json.dump(rank_table(spec), stream, indent=1)
        self._prepared = True

    def _launch(self) -> subprocess.Popen:
        """Start the processes of the container, unless its end was asked for meanwhile."""
        processes = self._processes()
        plan = {"log": self.log_path, "grace": GRACE, "processes": processes}
        what = f"{len(processes)} processes, one for each Ascend card" if self._spec.cards else "one process"
        self._say("INFO", f"starting {self._spec.boot_file}: {what}")
        with self._lock:
            if self._end is not None:
                raise _Ended
            with open(self.log_path, "ab") as log:  # where it would say why it cannot go on
                # -I -S: nothing of the host's Python settings concerns the init process, and it starts sooner.
                self._init = subprocess.Popen(
                    [sys.executable, "-I", "-S", init_process.__file__], stdin=subprocess.PIPE, stdout=log, stderr=log,
                    start_new_session=True)
            self._command(plan)
            return self._init

    def _processes(self) -> List[Dict[str, Any]]:
        """Command, variables and current directory of each process."""
        spec, disk = self._spec, self._disk
        command = [self._python, os.path.join(self._code_folder, *boot_path(spec).split("/"))]
        command += [f"--{name}={disk.input(name)}" for name, _ in spec.inputs]
        command += [f"--{name}={disk.output(name)}" for name, _ in spec.outputs]
        command += [f"--{name}={value}" for name, value in spec.parameters]
        variables = container_variables(spec, disk, self._python, self._environ, os.environ)
        if not spec.cards:
            return [{"command": command, "environ": variables, "cwd": disk.workspace}]
        processes = []
        for card in range(spec.cards):
            os.makedirs(disk.current_directory(card), exist_ok=True)
            processes.append({"command": command, "cwd": disk.current_directory(card),
                              "environ": dict(variables, **card_variables(spec, disk, card, variables))})
        return processes

    def _attend(self, init: subprocess.Popen) -> int:
        """Synchronise the outputs until the processes have ended, and once more. Returns the exit code."""
        while True:
            try:
                code = init.wait(self._sync_seconds if self._outputs else None)
                break
            except subprocess.TimeoutExpired:
                self._sync()
        with self._lock:
            _close(init.stdin)
            killed = self._end == KILLED
        code = KILLED if killed else 128 - code if code < 0 else code
        self._say("INFO", f"the container ended with exit code {code}")
        if not killed:
            self._sync()
        return code

    def _sync(self) -> None:
        for output in self._outputs:
            try:
                output.sync()
            except ContainerError as error:
                self._say("ERROR", f"cannot upload the output: {error}")

    def _check(self) -> None:
        """Raise _Ended if the end was asked for."""
        if self._end is not None:
            raise _Ended

    def _command(self, words: Dict[str, Any]) -> None:
        """Write a line to the init process, if it runs. The lock is held."""
        if self._init is not None:
            try:
                self._init.stdin.write(json.dumps(words).encode() + b"\n")
                self._init.stdin.flush()
            except (BrokenPipeError, ValueError):  # it has just ended
                pass

    def _say(self, level: str, text: str) -> None:
        """Write a line of the platform to the log."""
        moment = datetime.datetime.now().strftime("%Y-%m-%d %H:%M:%S,%f")[:-3]
        with open(self.log_path, "ab") as log:
            log.write(f"[ModelArts Service Log]{moment} - {level} - {text}\n".encode("utf-8", "replace"))


class _Ended(Exception):
    """The end of the container was asked for before its processes have started."""


def _close(stream: Any) -> None:
    try:
        stream.close()
    except BrokenPipeError:  # what was buffered cannot be written any more
        pass
