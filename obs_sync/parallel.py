"""Work spread over threads, watched from the thread that asked for it."""
from __future__ import annotations

import contextlib
import queue
import threading
import time
from typing import Any, Callable, Generic, Iterator, List, Optional, Sequence, Tuple, TypeVar

T = TypeVar("T")
OnProgress = Callable[[int, int], None]

_TICK = 0.2           # seconds between two calls of on_progress
_LEAVE_AFTER = 5.0    # seconds that an aborted run waits for its threads
_PATIENCE = 1.0       # seconds that a thread waits for its turn

_turn = threading.Lock()


class Aborted(Exception):
    """Raised in a worker by `Progress.add` once the run has been given up. Never seen by the caller."""


class Progress:
    """A count that workers add to and the caller reads; and the word that all is off."""

    def __init__(self, total: int, on_progress: Optional[OnProgress]):
        self._total = total
        self._on_progress = on_progress
        self._lock = threading.Lock()
        self._done = 0
        self._aborted = threading.Event()

    def add(self, amount: int) -> None:
        """From a worker: `amount` more is done (less, if negative). Raises Aborted after `abort`."""
        self.check()
        with self._lock:
            self._done += amount

    def check(self) -> None:
        """Raises Aborted once the run has been given up."""
        if self._aborted.is_set():
            raise Aborted()

    def abort(self) -> None:
        self._aborted.set()

    def report(self) -> None:
        """From the caller's thread. What on_progress raises propagates."""
        if self._on_progress is not None:
            with self._lock:
                done = self._done
            self._on_progress(max(0, min(done, self._total)), self._total)


def run_parallel(work: Callable[[T], Any], items: Sequence[T], workers: int, progress: Progress) -> List[Any]:
    """[work(item) for item in items] on up to `workers` threads, results in the order of `items`.

    `progress.report()` is called from this thread at the start, every 0.2 s and at the end. The first
    exception, of a worker or of the report, aborts the run: workers stop at their next `progress.add`, and it
    propagates from here. A worker that is stuck in the network then is waited for no longer than 5 s: it is a
    daemon thread, and it too ends at its next `add`.
    """
    results: List[Any] = [None] * len(items)
    if not items:
        progress.report()
        return results
    pool = _Pool(work, items, progress)
    try:
        progress.report()
        pool.start(min(workers, len(items)))
        for index, result in pool.results():
            results[index] = result
        progress.report()
    except BaseException:
        progress.abort()
        pool.join(_LEAVE_AFTER)
        raise
    pool.join(None)
    return results


def run_aside(work: Callable[[], T], progress: Progress) -> T:
    """work() on another thread, while this one reports progress (and so can be told to stop)."""
    return run_parallel(lambda _: work(), [None], 1, progress)[0]


@contextlib.contextmanager
def in_turn() -> Iterator[None]:
    """Around many short calls of the system, such as those that make a file: one thread at a time does them.

    Each such call gives up the interpreter and must have it back, which costs far more than the call when several
    threads do that at once. It is a courtesy and protects nothing: after a second of waiting, for somebody who is
    stuck, a thread goes on without.
    """
    mine = _turn.acquire(timeout=_PATIENCE)
    try:
        yield
    finally:
        if mine:
            _turn.release()


class _Pool(Generic[T]):
    def __init__(self, work: Callable[[T], Any], items: Sequence[T], progress: Progress):
        self._work = work
        self._progress = progress
        self._count = len(items)
        self._todo: "queue.Queue[Tuple[int, T]]" = queue.Queue()
        for pair in enumerate(items):
            self._todo.put(pair)
        self._finished: "queue.Queue[Tuple[int, Any, Optional[BaseException]]]" = queue.Queue()
        self._threads: List[threading.Thread] = []

    def start(self, workers: int) -> None:
        for number in range(workers):
            thread = threading.Thread(target=self._loop, name=f"obs_sync-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def results(self) -> Any:
        """Yield (index, result) as work ends, reporting progress between; raise what a worker raised."""
        remaining, next_report = self._count, time.monotonic() + _TICK
        while remaining:
            try:
                index, result, error = self._finished.get(timeout=max(0.0, next_report - time.monotonic()))
            except queue.Empty:
                error = None
            else:
                if error is not None:
                    raise error
                remaining -= 1
                yield index, result
            if time.monotonic() >= next_report:
                self._progress.report()
                next_report = time.monotonic() + _TICK

    def join(self, timeout: Optional[float]) -> None:
        deadline = None if timeout is None else time.monotonic() + timeout
        for thread in self._threads:
            thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))

    def _loop(self) -> None:
        while True:
            try:
                index, item = self._todo.get_nowait()
                self._progress.check()
            except (queue.Empty, Aborted):
                return
            try:
                self._finished.put((index, self._work(item), None))
            except BaseException as error:  # goes to the caller's thread, all of it
                self._finished.put((index, None, error))
                return
