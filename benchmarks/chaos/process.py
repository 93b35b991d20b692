"""Starts a command again and again until it succeeds, and kills it on the way."""
from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from benchmarks.chaos.proxy import ChaosProxy
from benchmarks.chaos.tally import Tally

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
JOB = (sys.executable, "-m", "benchmarks.small_parts")  # `python -m job`, with parts of 150 KB
DONE, STORAGE, STOPPED = 0, 4, 143  # exit codes, as docs/errors.md has them
MOST_ATTEMPTS = 40
LONGEST = 300.0  # seconds of one process
_POLL = 0.002    # seconds


class Doom(NamedTuple):
    """When a process gets a signal, and which.

    Attributes:
        carried: bytes that pass the proxy before, from the start of the process on. Bytes rather than seconds, so that
            a slow machine does not kill all processes while they start.
        seconds: waited after that.
        number: SIGKILL, or SIGTERM.
    """

    carried: int
    seconds: float
    number: int


def draw_doom(rng: random.Random, total: int, seconds: float) -> Doom:
    """A signal at a random moment of a process that is expected to carry `total` bytes."""
    return Doom(rng.randint(1, total), rng.uniform(0.0, seconds), rng.choice([signal.SIGKILL] * 3 + [signal.SIGTERM]))


def insist(arguments: Sequence[str], environ: Dict[str, str], proxy: ChaosProxy, tally: Tally, dooms: List[Doom],
           check: Callable[[], None] = lambda: None, program: Sequence[str] = JOB) -> bool:
    """Runs a command until it exits with 0, and sends the first processes the signals of `dooms`.

    Args:
        arguments: of `python -m job`.
        check: called after each process, as what an ended process leaves must be sound at any moment.
        program: what is run with the arguments.

    Returns:
        whether it succeeded. `tally.wrong` gets a line for an exit code that is not documented for failures of the
        storage, for an exit without an error message, for a stack trace, and for a process that does not end.
    """
    what = " ".join(arguments[:2])
    for attempt in range(MOST_ATTEMPTS):
        tally.processes += 1
        code, sent, output = _run(list(program) + list(arguments), environ, proxy,
                                  dooms[attempt] if attempt < len(dooms) else None)
        if code == -signal.SIGKILL and sent == signal.SIGKILL:
            tally.kills += 1
        elif code == STOPPED and sent == signal.SIGTERM or code == -signal.SIGTERM and sent == signal.SIGTERM:
            tally.stops += 1
        elif code == STORAGE:
            tally.refusals += 1
            if " error: " not in output:
                tally.wrong.append(f"{what}: exit code {code} without an error message: {output[-2000:]}")
        elif code != DONE:
            tally.wrong.append(f"{what}: exit code {code} after signal {sent}: {output[-2000:]}")
        if "Traceback (most recent call last)" in output:
            tally.wrong.append(f"{what}: a stack trace: {output[-3000:]}")
        check()
        if code == DONE:
            return True
        if code is None:
            return False
    tally.wrong.append(f"{what}: no success in {MOST_ATTEMPTS} attempts: {output[-2000:]}")
    return False


def _run(command: List[str], environ: Dict[str, str], proxy: ChaosProxy,
         doom: Optional[Doom]) -> Tuple[Optional[int], Optional[int], str]:
    """Exit code (None: it did not end), signal that was sent, output."""
    sent = None
    began, carried = time.monotonic(), proxy.carried
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, env=environ, cwd=REPOSITORY, stdout=output, stderr=subprocess.STDOUT)
        try:
            if doom is not None:
                while process.poll() is None and proxy.carried - carried < doom.carried \
                        and time.monotonic() - began < LONGEST:
                    time.sleep(_POLL)
                try:
                    process.wait(doom.seconds)
                except subprocess.TimeoutExpired:
                    sent = doom.number
                    process.send_signal(sent)
            try:
                code: Optional[int] = process.wait(max(1.0, began + LONGEST - time.monotonic()))
            except subprocess.TimeoutExpired:
                code = None
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        output.seek(0)
        return code, sent, output.read().decode("utf-8", "replace")
