"""Where the time goes between the start of the process and the end of its first iteration."""
from __future__ import annotations

import collections
import os
import time
from typing import Callable, Mapping, Optional

TOTAL = "total"


def process_age() -> float:
    """Seconds since the operating system started this process, including the start of Python; 0 if it is not known."""
    try:
        with open("/proc/self/stat") as stream:
            ticks = int(stream.read().rpartition(")")[2].split()[19])
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError, AttributeError):
        return 0.0


class StartTimes:
    """A stop-watch that was started with the process.

    Args:
        clock: monotonic seconds. age: seconds that the process has lived already; by default, what the system says.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, age: Optional[float] = None) -> None:
        self._clock = clock
        self._begun = self._last = clock() - (process_age() if age is None else age)
        self._parts: "collections.OrderedDict[str, float]" = collections.OrderedDict()
        self._over = False

    def mark(self, part: str, **of_which: float) -> None:
        """What was done since the last mark is ``part``; seconds in ``of_which`` are parts of their own."""
        now = self._clock()
        self._add(part, now - self._last - sum(of_which.values()))
        for name, seconds in of_which.items():
            self._add(name, seconds)
        self._last = now

    def end(self, part: str) -> Optional[Mapping[str, float]]:
        """The last mark. Returns the seconds by part, in order, and in all as ``total``; None if it was over before."""
        if self._over:
            return None
        self._over = True
        self.mark(part)
        return collections.OrderedDict(
            [(TOTAL, round(self._last - self._begun, 3))]
            + [(name, round(seconds, 3)) for name, seconds in self._parts.items()])

    def _add(self, part: str, seconds: float) -> None:
        self._parts[part] = self._parts.get(part, 0.0) + max(0.0, seconds)


def sentence(seconds: Mapping[str, float]) -> str:
    """``start: 6.12 s (imports 0.41 s, tensorflow 3.90 s, …)`` of what ``end`` returned, without what took no time."""
    parts = [f"{name.replace('_', ' ')} {value:.2f} s" for name, value in seconds.items()
             if name != TOTAL and value >= 0.005]
    return f"start: {seconds[TOTAL]:.2f} s ({', '.join(parts)})"
