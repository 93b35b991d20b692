"""Soak: many threads use a store for some minutes while the mocked OBS injects random faults. Is a result ever wrong?

Every worker has its own keys and knows their content. After each operation that succeeds, the result is compared with
that content byte by byte. After one that fails, the object must have its old or its new content. A checkpoint must be
visible as a whole or not at all. The faults come from a seed: those of the mock's preset `storm`, and some more of most
kinds.

    python -m benchmarks.soak --minutes 5 --seed 1
"""
from __future__ import annotations

import collections
import contextlib
import os
import sys
import tempfile
import threading
import time
from typing import Callable, Counter, Dict, Iterable, Iterator, List, NamedTuple

from benchmarks.measuring import Figure, lane, parser, report
from benchmarks.small_parts import PART, small_parts
from benchmarks.soak_worker import SoakWorker
from obs_sync import IntegrityError, ObjectChanged, ObjectNotFound, StoreError, open_store
from obs_sync.esdk.client import Calls
from obs_sync.mock import Faults, MockObs, mock_obs
from obs_sync.retry import Retry

BUCKET = "soak"
WORKERS = 6
LONGEST_DELAY = 0.05  # seconds before a retry
MORE = (
    "probability=0.004 status=503 code=SlowDown",
    "probability=0.003 reset=after",
    "probability=0.003 reset=before",
    "GetObject probability=0.01 flip=0.3",
    "GetObject probability=0.01 cut=0.2",
    "GetObject probability=0.005 etag=missing",
    "PutObject,UploadPart probability=0.01 flip=0.9 of=upload",
    "HeadObject probability=0.01 status=403 code=AccessDenied",
)


class Outcome(NamedTuple):
    """The result of a soak."""

    seconds: float
    operations: Dict[str, int]   # name to number of those that succeeded
    refused: Dict[str, int]      # class of StoreError to number of operations that raised it
    injected: Dict[str, int]     # kind to number of faults
    retries: int                 # inside operations
    noticed: Dict[str, int]      # class of error to number of attempts that failed, also of those that were retried
    mismatches: int              # of these attempts, those with wrong bytes, a wrong length or a wrong version
    verified: int                # bytes that were compared with the expected ones
    wrong: List[str]             # one sentence for each wrong result


def main() -> None:
    arguments = parser("benchmarks.soak", __doc__, rounds=1)
    arguments.add_argument("--minutes", type=float, default=5.0, help="how long it runs (default %(default)s)")
    arguments.add_argument("--seed", type=int, default=1, help="of operations and faults (default %(default)s)")
    arguments = arguments.parse_args()
    outcome = soak(60 * arguments.minutes, arguments.seed, say=print)
    faults = "; ".join(f"{kind} {count}" for kind, count in sorted(outcome.injected.items()))
    report("soak", "Soak: random faults", [
        Figure("wrong results", [len(outcome.wrong)], "", ("<=", 0)),
        Figure("operations", [sum(outcome.operations.values())], ""),
        Figure("faults injected", [sum(outcome.injected.values())], ""),
        Figure("attempts that failed", [sum(outcome.noticed.values())], ""),
        Figure("of these, detected mismatches", [outcome.mismatches], ""),
        Figure("retries inside operations", [outcome.retries], ""),
        Figure("operations that raised an error, as they had to", [sum(outcome.refused.values())], ""),
        Figure("verified", [outcome.verified / 1e6], "MB"),
    ], arguments.out, [
        f"{lane()}: {outcome.seconds:.0f} s, {WORKERS} threads, seed {arguments.seed}.",
        f"Faults in {lane()}: {faults}.",
        f"Failed attempts in {lane()}: {_listed(outcome.noticed)}.",
        "A fault after which the attempt still succeeds is not counted among the failed attempts: a stall, an "
        "ignored range, an ETag that is missing or is looked up, a second look into the pack or the pool of "
        "connections.",
        f"Operations in {lane()}: {_listed(outcome.operations)}; errors: {_listed(outcome.refused) or 'none'}."])
    for text in outcome.wrong:
        print("WRONG: " + text)
    if outcome.wrong:
        sys.exit(1)


@contextlib.contextmanager
def counted_failures(failures: List[StoreError]) -> Iterator[None]:
    """Appends the error of each attempt that fails to the list, once. ObjectNotFound is not a failure."""
    def noting(method):
        def call(self, attempt):
            def noted():
                try:
                    return attempt()
                except StoreError as error:
                    if not isinstance(error, ObjectNotFound) and not getattr(error, "noted", False):
                        error.noted = True  # errors made from this one copy the attribute
                        failures.append(error)
                    raise
            return method(self, noted)
        return call

    before = {name: getattr(Calls, name) for name in ("repeat", "works")}
    for name, method in before.items():
        setattr(Calls, name, noting(method))
    try:
        yield
    finally:
        for name, method in before.items():
            setattr(Calls, name, method)


def soak(seconds: float, seed: int, workers: int = WORKERS, say: Callable[[str], None] = lambda text: None) -> Outcome:
    """Uses a mocked OBS under faults for so many seconds."""
    failures: List[StoreError] = []
    pause = _CountedPause()
    retry = Retry(attempts=8, first_delay=0.005, longest_delay=LONGEST_DELAY, sleep=pause)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="masf-soak-") as directory, mock_obs(buckets=[BUCKET]) as obs, \
            small_parts(PART), counted_failures(failures):
        obs.faults = Faults(["storm"] + list(MORE), seed)
        with open_store(f"obs://{BUCKET}/base/", obs.environment(), retry=retry) as store:
            crew = [SoakWorker(number, seed, store, os.path.join(directory, str(number))) for number in range(workers)]
            _work(crew, obs, started, seconds, say)
            obs.faults = Faults()
            for worker in crew:
                worker.compare_all()
        injected = dict(obs.injected)
    return Outcome(
        time.monotonic() - started, _sum(worker.operations for worker in crew),
        _sum(worker.refused for worker in crew), injected, pause.count,
        dict(collections.Counter(type(error).__name__ for error in failures)),
        sum(isinstance(error, (IntegrityError, ObjectChanged)) for error in failures),
        sum(worker.verified for worker in crew), [text for worker in crew for text in worker.wrong])


class _CountedPause:
    """The sleep before a retry: counted, and short even where the server asks for more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.count = 0

    def __call__(self, delay: float) -> None:
        with self._lock:
            self.count += 1
        time.sleep(min(delay, LONGEST_DELAY))


def _work(crew: List[SoakWorker], obs: MockObs, started: float, seconds: float, say: Callable[[str], None]) -> None:
    """Lets all workers work at once until `seconds` after `started`, and says now and then how far they are."""
    threads = [threading.Thread(target=worker.run, args=(started + seconds,), daemon=True) for worker in crew]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        time.sleep(min(10.0, seconds / 4 + 0.1))
        operations = sum(sum(worker.operations.values()) for worker in crew)
        say(f"{time.monotonic() - started:5.0f} s: {operations} operations, {sum(obs.injected.values())} faults, "
            f"{sum(len(worker.wrong) for worker in crew)} wrong")


def _sum(counters: Iterable[Counter[str]]) -> Dict[str, int]:
    return dict(sum(counters, collections.Counter()))


def _listed(counts: Dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))


if __name__ == "__main__":
    main()
