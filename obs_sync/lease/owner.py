"""Who holds a lease: tells a person where to look, and another process whether the holder has ended."""
from __future__ import annotations

import os
import socket
from dataclasses import asdict, dataclass
from typing import Any, Dict, Optional

from obs_sync.json_document import members, optional, text, whole

_LONGEST = 1000  # characters of a name
SHAPE = members({"host": text(_LONGEST), "pid": whole(), "machine": text(_LONGEST), "started": text(_LONGEST),
                 "job": optional(text(_LONGEST))})


@dataclass(frozen=True)
class Owner:
    """A process.

    host: name of its machine. machine: host, boot and pid namespace, within which a pid names one process at a time;
    "" if unknown. started: when the process began, in ticks of the kernel; "" if unknown. It tells two processes apart
    that had the same pid one after the other. job: the platform's name of the job, which stays the same when the
    platform restarts the job; None if unknown.
    """

    host: str
    pid: int
    machine: str = ""
    started: str = ""
    job: Optional[str] = None

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}" + (f" (job {self.job})" if self.job else "")

    def to_json(self) -> Dict[str, Any]:
        return asdict(self)

    def has_ended(self) -> bool:
        """Whether this was a process of this machine and has ended; False if that cannot be known."""
        return bool(self.machine and self.started) and self.machine == _machine() and _started(self.pid) != self.started

    def is_restarted_as(self, other: Owner) -> bool:
        """Whether `other` is a restart of the same job on another machine.

        The platform restarts a job only when the earlier process has ended, or when it has given that process up.
        """
        return self.job is not None and self.job == other.job and self.machine != other.machine


def this_process(job: Optional[str] = None) -> Owner:
    return Owner(socket.gethostname(), os.getpid(), _machine(), _started(os.getpid()) or "", job)


def parse_owner(content: Any) -> Owner:
    """The owner that `to_json` gave. Raises DocumentError if the content has another shape."""
    SHAPE(content, "")
    return Owner(content["host"], content["pid"], content["machine"], content["started"], content["job"])


def _machine() -> str:
    """Two containers of one machine can have the same host name and use the same pid for different processes."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
            boot = stream.read().strip()
        return f"{socket.gethostname()} {boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _started(pid: int) -> Optional[str]:
    """None if there is no such process, or if it has ended and its parent has not yet read its exit code."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stream:
            fields = stream.read().rpartition(")")[2].split()  # the name before it may contain anything
    except OSError:
        return None
    return None if fields[0] in ("Z", "X") else fields[19]
