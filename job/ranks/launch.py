"""Start the ranks of this machine, one for each card, and wait until all of them have ended.

If a rank fails, the others get SIGTERM, and SIGKILL ``PATIENCE`` seconds later. The job ends with the exit code of the
rank that failed first. SIGTERM, SIGINT and SIGHUP are passed on to the ranks. No process outlives this command: each
rank leads its own process group, which is killed at the end, and the operating system stops the rank if this process is
killed. If the output is closed, so that nobody reads the lines of the ranks, they are stopped as after a failure.
"""
from __future__ import annotations

import ctypes
import glob
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

from job.cann_logs import explanation
from job.environment import CONTROL_PORT, read_environment
from job.errors import ConfigError
from job.exits import ABORTED
from job.ranks.table import Table, find_rank_table, on_server
from job.standard_output import UNREAD, discard_output
from job.stopping import heard_signals

log = logging.getLogger(__name__)

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PATIENCE = 15.0  # seconds from SIGTERM to SIGKILL, the same as on the platform
POLL = 0.05  # seconds
GPUS = "/dev/nvidia[0-9]*"
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


def number_of_processes(text: str) -> int:
    """The number of ranks that ``--processes`` gives. Raises ConfigError for anything but a whole number from 1."""
    if not text.isdigit() or int(text) < 1:
        raise ConfigError(f"--processes={text}: expected a whole number from 1")
    return int(text)


def job_command(words: Sequence[str]) -> List[str]:
    """``python -m job WORDS``."""
    return [sys.executable, "-m", "job"] + list(words)


def launch(processes: int, command: Sequence[str], environ: Mapping[str, str], patience: float = PATIENCE) -> int:
    """Run the command in so many ranks. Only the main thread can do this, because it handles signals.

    Returns:
        The exit code: 0 when all ranks ended with 0, else that of the first that did not. It is 128 + the number of
        the signal where a rank was killed, and ``UNREAD`` where the ranks were stopped because the output was closed.

    Raises:
        ConfigError: the environment does not fit this machine, or this machine has fewer cards.
    """
    places = environments(processes, environ)
    # The platform starts its boot file from another directory than the one these packages are in.
    path = os.pathsep.join([ROOT] + [each for each in [environ.get("PYTHONPATH")] if each])
    found = dict(environ, PYTHONPATH=path)
    heard: List[int] = []
    begun = time.time()
    before = {signum: signal.signal(signum, lambda signum, frame: heard.append(signum)) for signum in heard_signals()}
    started: List[_Started] = []
    unread = threading.Event()
    try:
        for place in places:
            started.append(_Started(command, dict(found, **place), unread))
        code = _attend(started, heard, unread, patience)
    finally:
        for process in started:
            process.kill()
        for process in started:
            process.finish()
        for signum, handler in before.items():
            signal.signal(signum, handler)
    _explain_aborts(started, found, begun)
    return code


def _explain_aborts(started: List["_Started"], environ: Mapping[str, str], begun: float) -> None:
    """Log why a rank may have been aborted, which it cannot do itself. begun: seconds since 1970."""
    aborted = [rank.name for rank in started if rank.code == ABORTED]
    if aborted:
        log.error("native code aborted rank %s (SIGABRT, exit code %d). CANN and the adapter abort a process, without "
                  "an error in Python, if a card cannot be initialised or dump_path or work_path is no folder. %s",
                  ", ".join(aborted), ABORTED, explanation(environ, begun))


def environments(processes: int, environ: Mapping[str, str]) -> List[Dict[str, str]]:
    """The environment variables of each rank, in addition to those in ``environ``."""
    found = read_environment(environ)
    if "RANK_ID" in environ:
        raise ConfigError(f"RANK_ID={environ['RANK_ID']} is set, so this process is already one of several ranks: "
                          "start the command itself, or unset RANK_ID")
    rank_table = None if found.rank_table is None else find_rank_table(found.rank_table)
    if rank_table is not None:
        return _on_ascend(processes, environ, found, rank_table)
    if found.host_count > 1 and found.control is None:
        raise ConfigError(f"there are {found.host_count} hosts, and RANK_CONTROL is not set: set it to the address of "
                          "rank 0, RANK_CONTROL=host:port")
    control = found.control or ("127.0.0.1", free_port())
    gpus = _gpus(processes, environ)
    threads = str(max(1, usable_cores() // processes))
    places = []
    for local in range(processes):
        place = {"RANK_ID": str(found.host_index * processes + local),
                 "RANK_SIZE": str(found.host_count * processes), "RANK_CONTROL": f"{control[0]}:{control[1]}"}
        if gpus:
            place["CUDA_VISIBLE_DEVICES"] = gpus[local]
        for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
            place[name] = environ.get(name, threads)
        places.append(place)
    return places


def _on_ascend(processes: int, environ: Mapping[str, str], found: Any, rank_table: Table) -> List[Dict[str, str]]:
    cards = rank_table.cards
    ours = on_server(cards, environ)
    if len(ours) != processes:
        raise ConfigError(f"--processes={processes}, but the rank table lists {len(ours)} cards for this machine: give "
                          f"--processes={len(ours)}")
    several = len({card.server for card in cards}) > 1
    control = found.control or ((cards[0].server, CONTROL_PORT) if several else ("127.0.0.1", free_port()))
    return [{"RANK_ID": str(card.rank), "RANK_SIZE": str(len(cards)), "RANK_CONTROL": f"{control[0]}:{control[1]}",
             "RANK_TABLE_FILE": rank_table.path, "ASCEND_DEVICE_ID": str(local), "DEVICE_ID": str(local),
             "JOB_ID": environ.get("JOB_ID") or "10087",
             "HCCL_CONNECT_TIMEOUT": environ.get("HCCL_CONNECT_TIMEOUT") or "1800"}
            for local, card in enumerate(ours)]


def _gpus(processes: int, environ: Mapping[str, str]) -> List[str]:
    """As ``visible_gpus``. Raises ConfigError if there are GPUs, and fewer than ranks."""
    gpus = visible_gpus(environ)
    if gpus and len(gpus) < processes:
        raise ConfigError(f"--processes={processes}, but there are {len(gpus)} GPUs: give at most {len(gpus)}, or set "
                          "CUDA_VISIBLE_DEVICES=-1 to train on the processor")
    return gpus


def visible_gpus(environ: Mapping[str, str]) -> List[str]:
    """The GPUs of this machine that CUDA_VISIBLE_DEVICES allows; empty where there are none."""
    visible = environ.get("CUDA_VISIBLE_DEVICES")
    gpus = ([each for each in visible.split(",") if each.strip()] if visible is not None
            else [str(number) for number in range(len(glob.glob(GPUS)))])
    return [] if not gpus or gpus[0] == "-1" else gpus


def usable_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_port() -> int:
    """A port of 127.0.0.1 at which no process listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _attend(started: List["_Started"], heard: List[int], unread: threading.Event, patience: float) -> int:
    """Wait until all ranks have ended; stop them when one fails, a signal comes, or nobody reads what they print.

    Returns:
        The exit code, see ``launch``.
    """
    code, passed_on = 0, 0
    kill_at: Optional[float] = None  # set as soon as the ranks were told to stop
    while True:
        for rank in started:
            rank.poll()
        running = [rank for rank in started if rank.code is None]
        code = code or _reason_to_stop(started, unread)
        if not running:
            return code
        if len(heard) > passed_on:
            _signal(running, heard[passed_on])
            passed_on += 1
        elif code and kill_at is None:
            _signal(running, signal.SIGTERM)
        if kill_at is None and (code or passed_on):
            kill_at = time.monotonic() + patience
        elif kill_at is not None and time.monotonic() > kill_at:
            for rank in running:
                rank.kill()
        time.sleep(POLL)


def _reason_to_stop(started: List["_Started"], unread: threading.Event) -> int:
    """The exit code of the first rank that failed; ``UNREAD`` where ranks print what nobody reads; else 0."""
    failed = [rank.code for rank in started if rank.code]
    if failed:
        return failed[0]
    return UNREAD if unread.is_set() and any(rank.code is None for rank in started) else 0


def _signal(running: List["_Started"], signum: int) -> None:
    for rank in running:
        rank.signal(signum)


class _Started:
    """A rank that was started, and the two threads that pass on what it prints.

    Attributes:
        name: its rank. code: its exit code, 128 + the number of the signal that killed it; None while it runs.
    """

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], unread: threading.Event):
        self.code: Optional[int] = None
        self.name = environ["RANK_ID"]
        prefix = f"[{self.name}] "
        self._process = subprocess.Popen(
            command, env=dict(environ), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True, preexec_fn=dying_with(os.getpid()))
        self._printing = [
            threading.Thread(target=_pass_on, args=(source, sink, prefix, unread), daemon=True)
            for source, sink in ((self._process.stdout, sys.stdout), (self._process.stderr, sys.stderr))]
        for thread in self._printing:
            thread.start()

    def poll(self) -> None:
        """Note its exit code if it has ended."""
        code = self._process.poll()
        if code is not None:
            self.code = 128 - code if code < 0 else code

    def signal(self, signum: int) -> None:
        self._process.send_signal(signum)

    def kill(self) -> None:
        """Kill it and every process that it started."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass

    def finish(self) -> None:
        """Wait until it has ended and what it printed was passed on."""
        self._process.wait()
        for thread in self._printing:
            thread.join(5.0)


def dying_with(parent: int) -> Callable[[], None]:
    """What a child runs first: it asks the system to stop it when its parent dies, even by SIGKILL."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)  # Linux has it

    def ask() -> None:
        if prctl is not None:
            prctl(DIE_WITH_PARENT, int(signal.SIGTERM))
            if os.getppid() != parent:
                os._exit(128 + signal.SIGTERM)

    return ask


def _pass_on(source: Any, sink: Any, prefix: str, unread: threading.Event) -> None:
    """Print every line of ``source`` to ``sink``, with the prefix.

    unread: set when the output turns out to be closed. What comes after that is read and discarded, so that no rank
    waits for a reader.
    """
    with source:
        for line in iter(source.readline, b""):
            try:
                sink.write(prefix + line.decode("utf-8", "replace").rstrip("\r\n") + "\n")
                sink.flush()
            except BrokenPipeError:
                discard_output(sink)
                unread.set()
