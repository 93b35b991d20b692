"""The first process of a container: starts the others, writes what they print to the log, and ends when they end.

The mocked platform starts this file as a program, ``python -I -S init_process.py``, and holds the other end of its
standard input. The first line there is the plan, as JSON:

    {"log": path, "processes": [{"command": [...], "environ": {...}, "cwd": path}, ...], "grace": seconds}

A later line ``{"terminate": seconds}`` sends SIGTERM to every process group, and SIGKILL that many seconds later. The
end of standard input, which also comes when the platform's process is killed, is SIGKILL at once. If one process ends
with another code than 0, the others get SIGTERM, and SIGKILL after ``grace`` seconds. The exit code is that of the
process which failed first; 128 + the number of the signal that killed it, or 0 if none failed.

This file imports only the standard library.
"""
from __future__ import annotations

import ctypes
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from typing import Any, Callable, Dict, List, Optional

POLL = 0.05  # seconds
LAST_OUTPUT = 1.0  # seconds to wait for output after all processes were killed
LONGEST_LINE = 1 << 20  # bytes; a longer line is written in pieces
DIE_WITH_PARENT, ADOPT_ORPHANS = 1, 36  # PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER of Linux


class Member:
    """A process of the container. code: its exit code, None while it runs."""

    def __init__(self, described: Dict[str, Any]):
        self.code: Optional[int] = None
        self.unfinished = b""  # the line that it is printing
        self.process = subprocess.Popen(
            described["command"], env=described["environ"], cwd=described["cwd"], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=dying_with_parent())

    def signal(self, signum: int) -> None:
        """Send a signal to the process and to everything in its group."""
        try:
            os.killpg(self.process.pid, signum)
        except (ProcessLookupError, PermissionError):
            pass


def run(plan: Dict[str, Any], commands: "Commands") -> int:
    """Run the processes of the plan until all have ended. Returns the exit code of the container."""
    adopt_orphans()
    log = os.open(plan["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    members = [Member(each) for each in plan["processes"]]
    selector = selectors.DefaultSelector()
    selector.register(commands.descriptor, selectors.EVENT_READ, None)
    for member in members:
        selector.register(member.process.stdout, selectors.EVENT_READ, member)
    first_failure = 0
    kill_at: Optional[float] = None
    while any(member.code is None for member in members):
        listen(selector, POLL, log, commands)
        ended = reap(members)
        failed = [member.code for member in ended if member.code]
        first_failure = first_failure or (failed[0] if failed else 0)
        grace = commands.grace if commands.grace is not None else (plan["grace"] if first_failure else None)
        if commands.ended:
            signal_all(members, signal.SIGKILL)
        elif grace is not None and kill_at is None:
            signal_all(members, signal.SIGTERM)
            kill_at = time.monotonic() + grace
        elif kill_at is not None and time.monotonic() > kill_at:
            signal_all(members, signal.SIGKILL)
    end_descendants(members)
    finish_output(selector, log, members, commands)
    return first_failure


class Commands:
    """What the platform writes to standard input.

    Attributes:
        grace: seconds from SIGTERM to SIGKILL, once the platform asked to terminate. ended: the input has ended.
    """

    def __init__(self, descriptor: int):
        self.descriptor = descriptor
        self.grace: Optional[float] = None
        self.ended = False
        self._unread = b""

    def first_line(self) -> Dict[str, Any]:
        """The plan. Raises ValueError where the input ends before."""
        while b"\n" not in self._unread and not self.ended:
            self._receive()
        line, _, self._unread = self._unread.partition(b"\n")
        return json.loads(line.decode())

    def read(self) -> None:
        """Take what has come."""
        self._receive()
        *lines, self._unread = self._unread.split(b"\n")
        for line in lines:
            if self.grace is None:
                self.grace = float(json.loads(line.decode())["terminate"])

    def _receive(self) -> None:
        data = os.read(self.descriptor, 65536)
        self.ended = not data
        self._unread += data


def listen(selector: selectors.BaseSelector, seconds: float, log: int, commands: Commands) -> None:
    """Wait for commands and for output; write complete lines to the log."""
    for key, _ in selector.select(seconds):
        if key.data is None:
            commands.read()
            if commands.ended:
                selector.unregister(key.fileobj)
        else:
            data = os.read(key.fd, 65536)
            if not data:
                selector.unregister(key.fileobj)
            write_lines(log, key.data, data)


def write_lines(log: int, member: Member, data: bytes) -> None:
    """Write the lines that are complete now, in one piece, so that those of several processes do not mix."""
    text = member.unfinished + data
    end = len(text) if len(text) > LONGEST_LINE else text.rfind(b"\n") + 1
    member.unfinished = text[end:]
    write(log, text[:end])


def write(log: int, data: bytes) -> None:
    while data:
        data = data[os.write(log, data):]


def reap(members: List[Member]) -> List[Member]:
    """Note the exit codes of the members that have ended, and return them in that order; bury orphans."""
    by_pid = {member.process.pid: member for member in members}
    ended = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            pid = 0
        if pid == 0:
            return ended
        member = by_pid.get(pid)
        if member is not None:
            member.code = (128 + os.WTERMSIG(status)) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
            member.process.returncode = member.code  # so that Popen does not wait for it
            ended.append(member)


def signal_all(members: List[Member], signum: int) -> None:
    for member in members:
        if member.code is None:
            member.signal(signum)


def end_descendants(members: List[Member]) -> None:
    """Kill what the members have started and left behind, in their groups and elsewhere."""
    for member in members:
        member.signal(signal.SIGKILL)
    deadline = time.monotonic() + LAST_OUTPUT
    while time.monotonic() < deadline:
        reap(members)
        orphans = children()
        if not orphans:
            return
        for pid in orphans:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.01)


def children() -> List[int]:
    """Process numbers of the children of this process, where the system has /proc."""
    found = []
    for name in os.listdir("/proc") if os.path.isdir("/proc/self") else ():
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as stream:
                    parent = int(stream.read().rpartition(b")")[2].split()[1])
            except (OSError, IndexError, ValueError):  # it has just ended
                continue
            if parent == os.getpid():
                found.append(int(name))
    return found


def finish_output(selector: selectors.BaseSelector, log: int, members: List[Member], commands: Commands) -> None:
    """Write what the members had printed when they ended. A line that was cut off is ended."""
    deadline = time.monotonic() + LAST_OUTPUT
    while any(key.data is not None for key in selector.get_map().values()) and time.monotonic() < deadline:
        listen(selector, POLL, log, commands)
    for member in members:
        if member.unfinished:
            write(log, member.unfinished + b"\n")


def dying_with_parent() -> Callable[[], None]:
    """What a child runs first: the system kills it if this process is killed."""
    parent, prctl = os.getpid(), getattr(ctypes.CDLL(None), "prctl", None)  # Linux has it

    def ask() -> None:
        if prctl is not None:
            prctl(DIE_WITH_PARENT, int(signal.SIGKILL))
            if os.getppid() != parent:
                os._exit(128 + signal.SIGKILL)

    return ask


def adopt_orphans() -> None:
    """Become the parent of descendants whose parent ends, as the first process of a container is."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(ADOPT_ORPHANS, 1, 0, 0, 0)


if __name__ == "__main__":
    heard = Commands(0)
    sys.exit(run(heard.first_line(), heard))
