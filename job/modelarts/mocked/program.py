"""A mocked ModelArts, OBS and IAM for other processes: what `python -m job mock serve` runs."""
from __future__ import annotations

import shlex
import signal
import threading
from typing import Iterator

from job.modelarts.mocked.control import TOKEN_VARIABLE
from job.modelarts.mocked.mocked import MockModelArts
from obs_sync.mock.faults.plan import Faults
from obs_sync.mock.faults.text import describe_injected


def serve(mock: MockModelArts, platform: Faults, obs: Faults) -> None:
    """Runs a mock until SIGINT or SIGTERM, and prints what points other processes at it.

    Args:
        mock: is started here, and stopped with all its containers.
        platform, obs: faults of ModelArts, and of OBS.

    Raises:
        OSError, RootInUse: it cannot be started.
    """
    stopped = threading.Event()
    before = {number: signal.signal(number, lambda *_: stopped.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        mock.start()
        try:
            mock.faults, mock.obs.faults = platform, obs
            for line in announcement(mock):
                print(line)
            print("# stop with Ctrl-C or SIGTERM", flush=True)
            stopped.wait()
        finally:
            mock.stop()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for name, service in (("ModelArts", mock), ("OBS", mock.obs)):
        counts = service.injected
        told = "; " + describe_injected(counts) if any(counts.values()) else ""
        print(f"# {name}: {sum(service.counts.values())} requests{told}")
    print("# stopped", flush=True)


def announcement(mock: MockModelArts) -> Iterator[str]:
    """Lines that a person can read and a shell can evaluate."""
    yield f"# mocked ModelArts and IAM on {mock.endpoint}, region {mock.region}"
    yield f"# mocked OBS on {mock.obs.endpoint}: buckets {', '.join(mock.obs.buckets()) or '(none)'}"
    yield (f"# faults, journals and clocks: {mock.endpoint}/_mock/, with the header "
           f"Authorization: Bearer ${TOKEN_VARIABLE}")
    yield "# point a program at them with:"
    for name, value in sorted(mock.variables({}).items()):
        rest = {"PYTHONPATH": '"${PYTHONPATH:+:$PYTHONPATH}"', "NO_PROXY": '"${NO_PROXY:+,$NO_PROXY}"'}.get(name, "")
        yield f"export {name}={shlex.quote(value)}{rest}"
    yield f"export {TOKEN_VARIABLE}={mock.token}"
