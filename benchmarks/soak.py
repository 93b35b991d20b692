"""Soak: many threads use a store for some minutes while the mocked OBS fails at random; is anything ever wrong?

Every worker has keys of its own and knows what they hold: after each operation that said it succeeded its outcome
is compared with that, byte for byte, and after one that failed the object must be what it was before or what it was
to become. Checkpoints must be seen whole or not at all. The faults come from a seed: those of the mock's `storm`, and
a bit more of most kinds.

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
    """What came of a soak."""

    seconds: float
    operations: Dict[str, int]   # that succeeded, by name
    refused: Dict[str, int]      # that raised a StoreError, by its class
    injected: Dict[str, int]     # faults, by kind
    retries: int                 # attempts that failed and were made again inside operations
    noticed: Dict[str, int]      # attempts that failed, whatever came of it, by the class of the error
    mismatches: int              # of these, those with wrong bytes, a wrong length or a wrong version
    verified: int                # bytes that were compared with what they had to be
    wrong: List[str]             # results that were not what they had to be


def main() -> None:
    arguments = parser("benchmarks.soak", __doc__, rounds=1)
    arguments.add_argument("--minutes", type=float, default=5.0, help="default %(default)s")
    arguments.add_argument("--seed", type=int, default=1, help="of the operations and the faults (default %(default)s)")
    arguments = arguments.parse_args()
    outcome = soak(60 * arguments.minutes, arguments.seed, say=print)
    faults = "; ".join(f"{kind} {count}" for kind, count in sorted(outcome.injected.items()))
    report("soak", "Soak: random faults", [
        Figure("results that were wrong", [len(outcome.wrong)], "", ("<=", 0)),
        Figure("operations", [sum(outcome.operations.values())], ""),
        Figure("faults injected", [sum(outcome.injected.values())], ""),
        Figure("faults noticed: attempts that failed", [sum(outcome.noticed.values())], ""),
        Figure("of these, mismatches that were caught", [outcome.mismatches], ""),
        Figure("attempts made again inside operations", [outcome.retries], ""),
        Figure("operations that raised, and had to", [sum(outcome.refused.values())], ""),
        Figure("verified", [outcome.verified / 1e6], "MB"),
    ], arguments.out, [
        f"{lane()}: {outcome.seconds:.0f} s, {WORKERS} threads, seed {arguments.seed}.",
        f"Faults in {lane()}: {faults}.",
        f"Noticed in {lane()}: {_listed(outcome.noticed)}.",
        "A fault that needs no second attempt (a stall, a range ignored, an ETag left out or looked up) is "
        "not counted, nor one that a second look in the pack or the pool of connections got over.",
        f"Operations in {lane()}: {_listed(outcome.operations)}; raised: {_listed(outcome.refused) or 'none'}."])
    for text in outcome.wrong:
        print("WRONG: " + text)
    if outcome.wrong:
        sys.exit(1)


@contextlib.contextmanager
def counted_failures(failures: List[StoreError]) -> Iterator[None]:
    """Let each attempt that fails put its error on the list, once; that there is no such object is no failure."""
    def noting(method):
        def call(self, attempt):
            def noted():
                try:
                    return attempt()
                except StoreError as error:
                    if not isinstance(error, ObjectNotFound) and not getattr(error, "noted", False):
                        error.noted = True  # those that it is told as have it, too
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
