"""Start one process a card of this machine, and stay until all of them have ended.

The first that fails decides: the others get SIGTERM, and SIGKILL when the platform's patience is over; its exit code is
the job's. SIGTERM, SIGINT and SIGHUP are passed on. Nothing is left behind: each process leads a group of its own,
which is killed at the end, and the system stops it if this process should die without a word. If nobody reads what they
print any more, they are stopped as by a failure.
"""
from __future__ import annotations

import ctypes
import glob
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

from job.environment import CONTROL_PORT, read_environment
from job.errors import ConfigError
from job.ranks.table import Table, find_rank_table, on_server
from job.standard_output import UNREAD, discard_output
from job.stopping import heard_signals

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PATIENCE = 15.0  # seconds from SIGTERM to SIGKILL, as the platform has it
POLL = 0.05  # seconds
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


def number_of_processes(text: str) -> int:
    """Raises ConfigError where it is none."""
    if not text.isdigit() or int(text) < 1:
        raise ConfigError(f"--processes={text}: expected a whole number from 1")
    return int(text)


def job_command(words: Sequence[str]) -> List[str]:
    """``python -m job WORDS``."""
    return [sys.executable, "-m", "job"] + list(words)


def launch(processes: int, command: Sequence[str], environ: Mapping[str, str], patience: float = PATIENCE) -> int:
    """Run the command in so many processes. Only the main thread can do this.

    Returns:
        The exit code: 0 when all ended so, else that of the first that did not; 128 + the signal's number where one
        was killed, ``UNREAD`` where they were stopped because the output was closed.

    Raises:
        ConfigError: this machine is not where the environment says, or has not so many cards.
    """
    places = environments(processes, environ)
    # The platform starts its boot file from another directory than the one these packages are in.
    path = os.pathsep.join([ROOT] + [each for each in [environ.get("PYTHONPATH")] if each])
    found = dict(environ, PYTHONPATH=path)
    heard: List[int] = []
    before = {signum: signal.signal(signum, lambda signum, frame: heard.append(signum)) for signum in heard_signals()}
    started: List[_Started] = []
    unread = threading.Event()
    try:
        for place in places:
            started.append(_Started(command, dict(found, **place), unread))
        return _attend(started, heard, unread, patience)
    finally:
        for process in started:
            process.kill()
        for process in started:
            process.finish()
        for signum, handler in before.items():
            signal.signal(signum, handler)


def environments(processes: int, environ: Mapping[str, str]) -> List[Dict[str, str]]:
    """What each process finds in its environment beside what is in ``environ``."""
    found = read_environment(environ)
    if "RANK_ID" in environ:
        raise ConfigError("RANK_ID={} is set, so this is one of several processes already: start the command itself, "
                          "or unset RANK_ID".format(environ["RANK_ID"]))
    rank_table = None if found.rank_table is None else find_rank_table(found.rank_table)
    if rank_table is not None:
        return _on_ascend(processes, environ, found, rank_table)
    if found.host_count > 1 and found.control is None:
        raise ConfigError(f"{found.host_count} hosts: say where rank 0 is with RANK_CONTROL=host:port")
    control = found.control or ("127.0.0.1", free_port())
    cards = _cuda_cards(processes, environ)
    threads = str(max(1, _cores() // processes))
    places = []
    for local in range(processes):
        place = {"RANK_ID": str(found.host_index * processes + local),
                 "RANK_SIZE": str(found.host_count * processes), "RANK_CONTROL": "{}:{}".format(*control)}
        if cards:
            place["CUDA_VISIBLE_DEVICES"] = cards[local]
        for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
            place[name] = environ.get(name, threads)
        places.append(place)
    return places


def _on_ascend(processes: int, environ: Mapping[str, str], found: Any, rank_table: Table) -> List[Dict[str, str]]:
    cards = rank_table.cards
    ours = on_server(cards, environ)
    if len(ours) != processes:
        raise ConfigError(f"--processes={processes}, but the rank table gives this machine {len(ours)} cards")
    several = len({card.server for card in cards}) > 1
    control = found.control or ((cards[0].server, CONTROL_PORT) if several else ("127.0.0.1", free_port()))
    return [{"RANK_ID": str(card.rank), "RANK_SIZE": str(len(cards)), "RANK_CONTROL": "{}:{}".format(*control),
             "RANK_TABLE_FILE": rank_table.path, "ASCEND_DEVICE_ID": str(local), "DEVICE_ID": str(local),
             "JOB_ID": environ.get("JOB_ID") or "10087",
             "HCCL_CONNECT_TIMEOUT": environ.get("HCCL_CONNECT_TIMEOUT") or "1800"}
            for local, card in enumerate(ours)]


def _cuda_cards(processes: int, environ: Mapping[str, str]) -> List[str]:
    """The GPU of each process, or nothing where there are none."""
    visible = environ.get("CUDA_VISIBLE_DEVICES")
    cards = ([each for each in visible.split(",") if each.strip()] if visible is not None
             else [str(number) for number in range(len(glob.glob("/dev/nvidia[0-9]*")))])
    if cards and cards[0] != "-1" and len(cards) < processes:
        raise ConfigError(f"--processes={processes}, but there are {len(cards)} GPUs: give at most as many, or set "
                          "CUDA_VISIBLE_DEVICES=-1 for processors alone")
    return cards if cards and cards[0] != "-1" else []


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_port() -> int:
    """A port of 127.0.0.1 at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _attend(started: List["_Started"], heard: List[int], unread: threading.Event, patience: float) -> int:
    """Wait for all; stop them when one fails, a signal comes, or nobody reads what they print."""
    code, passed_on, kill_at = 0, 0, None  # type: int, int, Optional[float]
    while True:
        running = [process for process in started if process.code is None]
        for process in running:
            if process.poll() and not code:
                code = process.code
        if unread.is_set() and not code and any(process.code is None for process in running):
            code = UNREAD
        if len(heard) > passed_on:
            for process in running:
                process.signal(heard[passed_on])
            passed_on += 1
        elif code and kill_at is None and not passed_on:
            for process in running:
                process.signal(signal.SIGTERM)
        if (code or passed_on) and kill_at is None:
            kill_at = time.monotonic() + patience
        if all(process.code is not None for process in started):
            return code
        if kill_at is not None and time.monotonic() > kill_at:
            for process in running:
                process.kill()
        time.sleep(POLL)


class _Started:
    """A process of the job, and the two threads that pass on what it prints."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], unread: threading.Event):
        self.code: Optional[int] = None
        prefix = "[{}] ".format(environ["RANK_ID"])
        self._process = subprocess.Popen(
            command, env=dict(environ), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True, preexec_fn=_dying_with(os.getpid()))
        self._printing = [
            threading.Thread(target=_pass_on, args=(source, sink, prefix, unread), daemon=True)
            for source, sink in ((self._process.stdout, sys.stdout), (self._process.stderr, sys.stderr))]
        for thread in self._printing:
            thread.start()

    def poll(self) -> bool:
        """Whether it has ended with a code that is not 0."""
        code = self._process.poll()
        if code is not None:
            self.code = 128 - code if code < 0 else code
        return bool(self.code)

    def signal(self, signum: int) -> None:
        self._process.send_signal(signum)

    def kill(self) -> None:
        """It, and whatever it has started."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass

    def finish(self) -> None:
        """Wait for its end and for what it has printed."""
        self._process.wait()
        for thread in self._printing:
            thread.join(5.0)


def _dying_with(parent: int) -> Callable[[], None]:
    """What a child does first: have itself stopped when its parent dies, even by SIGKILL."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)  # Linux has it

    def ask() -> None:
        if prctl is not None:
            prctl(DIE_WITH_PARENT, int(signal.SIGTERM))
            if os.getppid() != parent:
                os._exit(128 + signal.SIGTERM)

    return ask


def _pass_on(source: Any, sink: Any, prefix: str, unread: threading.Event) -> None:
    """Print what comes, line by line, each with the prefix. unread: set when the output was found closed; what comes
    then goes nowhere, so that no process waits for it to be read."""
    with source:
        for line in iter(source.readline, b""):
            try:
                sink.write(prefix + line.decode("utf-8", "replace").rstrip("\r\n") + "\n")
                sink.flush()
            except BrokenPipeError:
                discard_output(sink)
                unread.set()
