"""Who holds a lease: enough to tell a person where to look, and another process whether the holder has ended."""
from __future__ import annotations

import os
import socket
from dataclasses import asdict, dataclass
from typing import Any, Dict, Optional


@dataclass(frozen=True)
class Owner:
    """A process.

    host: name of its machine. machine: where its pid means that process, and no other: host, boot and pid namespace,
    or "" where that cannot be known. started: when the process began, in the kernel's own ticks, "" if unknown: a pid
    is used again. job: what the platform calls the job, the same for each restart of it, or None.
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
        """Whether it was a process of this machine that runs no more; False where that cannot be known."""
        return bool(self.machine and self.started) and self.machine == _machine() and _started(self.pid) != self.started

    def is_restarted_as(self, other: Owner) -> bool:
        """Whether `other` is a later start of the same job, on a machine that says nothing about this process.

        The platform starts a job again when it has ended, or given up, the one before.
        """
        return self.job is not None and self.job == other.job and self.machine != other.machine


def this_process(job: Optional[str] = None) -> Owner:
    return Owner(socket.gethostname(), os.getpid(), _machine(), _started(os.getpid()) or "", job)


def parse_owner(content: Any) -> Owner:
    """From JSON. Raises ValueError if it is no owner."""
    texts = ("host", "machine", "started")
    if not isinstance(content, dict) or any(not isinstance(content.get(name), str) for name in texts) \
            or not isinstance(content.get("pid"), int) or not isinstance(content.get("job"), (str, type(None))):
        raise ValueError(f"no owner of a lease: {content!r}")
    return Owner(content["host"], content["pid"], content["machine"], content["started"], content["job"])


def _machine() -> str:
    """Containers of one machine can have the same host name, and then different processes under the same pid."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
            boot = stream.read().strip()
        return f"{socket.gethostname()} {boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _started(pid: int) -> Optional[str]:
    """None if there is no such process, or only the remains of one that nobody has asked for its exit code."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stream:
            fields = stream.read().rpartition(")")[2].split()  # the name before may hold anything
    except OSError:
        return None
    return None if fields[0] in ("Z", "X") else fields[19]
