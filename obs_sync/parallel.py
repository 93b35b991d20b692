"""Work on several threads; the thread that asked for it reports progress meanwhile."""
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
    """Raised in a worker by `Progress.add` after an abort. The caller never sees it."""


class Progress:
    """A count that workers add to and the caller reports; it also carries the request to abort."""

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
        """Raises Aborted after `abort`."""
        if self._aborted.is_set():
            raise Aborted()

    def abort(self) -> None:
        self._aborted.set()

    def report(self) -> None:
        """Call on_progress; to be called from the caller's thread. What on_progress raises propagates."""
        if self._on_progress is not None:
            with self._lock:
                done = self._done
            self._on_progress(max(0, min(done, self._total)), self._total)


def run_parallel(work: Callable[[T], Any], items: Sequence[T], workers: int, progress: Progress) -> List[Any]:
    """[work(item) for item in items] on up to `workers` threads, results in the order of `items`.

    `progress.report()` is called from this thread at the start, every 0.2 s and at the end. The first exception, of a
    worker or of the report, aborts the work and propagates from here: the other workers stop at their next
    `progress.add`. This function waits at most 5 s for a worker that is stuck in the network. That worker is a daemon
    thread, which ends at its next `add` too.
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
    """work() on another thread, while this thread reports progress. An exception of the report aborts the work."""
    return run_parallel(lambda _: work(), [None], 1, progress)[0]


@contextlib.contextmanager
def in_turn() -> Iterator[None]:
    """Around many short system calls, such as those that create a file: only one thread at a time makes them.

    Each such call releases the interpreter lock and must get it back. If several threads do so at once, that takes far
    longer than the call. This is an optimisation and protects nothing: a thread that has waited for a second, because
    another one is stuck, continues without its turn.
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
        """Yield (index, result) as items are done, and report progress meanwhile. Raises what a worker raises."""
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
            except BaseException as error:  # raised in the caller's thread
                self._finished.put((index, None, error))
                return
