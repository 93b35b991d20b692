"""A mocked OBS in its own process, with its own network, and the processor time of that process."""
from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from typing import Iterator, NamedTuple, Optional

from obs_sync.mock import DEFAULT_HOST_NAME, resolver

BUCKET = "benchmark"
ROOM = 8e9  # bytes: three checkpoints of 1.2 GB, and the parts of one
NICENESS = 5  # a real OBS runs elsewhere; with an even lower priority the mock would not answer in time
REPOSITORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Served(NamedTuple):
    """A running mock."""

    process: subprocess.Popen
    environ: dict  # os.environ, with the variables that point this process and its children at the mock

    def cpu_seconds(self) -> float:
        """Processor time of the mock so far, in seconds."""
        with open(f"/proc/{self.process.pid}/stat") as stream:
            fields = stream.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def bucket_directory() -> Iterator[str]:
    """A directory for a mock's objects: in memory if possible, as a real OBS uses no disk of this machine."""
    parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) and shutil.disk_usage("/dev/shm").free > ROOM else None
    directory = tempfile.mkdtemp(prefix="masf-bucket-", dir=parent)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def served(root: str, mb_per_second: Optional[float] = None) -> Iterator[Served]:
    """A ``Served`` with its objects below ``root``, behind a link of ``mb_per_second`` (10^6 bytes) if given."""
    command = [sys.executable, "-m", "obs_sync.mock", "serve", "--root", root, "--bucket", BUCKET]
    if mb_per_second is not None:
        command += ["--link-mb-per-second", str(mb_per_second)]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, universal_newlines=True,
                               preexec_fn=lambda: os.nice(NICENESS))
    try:
        environ = dict(os.environ)
        for line in iter(process.stdout.readline, ""):
            if line.startswith("export "):
                name, _, value = line[len("export "):].strip().partition("=")
                environ[name] = shlex.split(value.replace('"${PYTHONPATH:+:$PYTHONPATH}"', ""))[0]
            elif line.startswith("# stop"):
                break
        else:
            raise RuntimeError("the mocked OBS did not start")
        resolver.resolve(DEFAULT_HOST_NAME)
        try:
            yield Served(process, environ)
        finally:
            resolver.forget(DEFAULT_HOST_NAME)
    finally:
        process.terminate()
        process.communicate()
