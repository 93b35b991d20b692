"""The platform's time: it runs as usual, and can be moved ahead, or moved only by hand."""
from __future__ import annotations

import threading
import time


class Clock:
    """Seconds since 1970.

    Attributes:
        skew: seconds by which the service's own clock is ahead when it verifies signatures. Jobs do not see it.

    Args:
        frozen: whether the time stands still except for `advance`.
    """

    def __init__(self, frozen: bool = False):
        self.frozen = frozen
        self.skew = 0.0
        self.advanced = 0.0
        self._start = time.time()
        self._lock = threading.Lock()

    def now(self) -> float:
        """The time of the jobs."""
        with self._lock:
            return (self._start if self.frozen else time.time()) + self.advanced

    def advance(self, seconds: float) -> None:
        """Moves the time of the jobs ahead."""
        if not 0 <= seconds < float("inf"):
            raise ValueError(f"the clock cannot be moved by {seconds} seconds; expected 0 or more")
        with self._lock:
            self.advanced += seconds
