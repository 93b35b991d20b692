"""Reporting how far a long operation is, without a call for every item."""

from __future__ import annotations

import time
from typing import Callable, Optional

OnProgress = Optional[Callable[[int, int], None]]


class Progress:
    """Calls `on_progress(done, total)` at the start, at the end, and at most every `every` seconds in between.

    What `on_progress` raises reaches the caller of the operation; a request to stop ends the operation in this way.
    """

    def __init__(self, on_progress: OnProgress, total: int, every: float = 0.2,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._on_progress = on_progress
        self._total = total
        self._every = every
        self._clock = clock
        self._last_time = clock()
        self._done = 0
        self._call(0)

    def advance(self) -> None:
        """Say that one more item begins, and that those before it are finished."""
        self.at(self._done)
        self._done += 1

    def at(self, done: int) -> None:
        """Say that `done` items are finished. It may be called at any time, also when nothing has changed."""
        now = self._clock()
        if now - self._last_time >= self._every:
            self._last_time = now
            self._call(done)

    def finish(self) -> None:
        self._call(self._total)

    def _call(self, done: int) -> None:
        if self._on_progress is not None:
            self._on_progress(done, self._total)
