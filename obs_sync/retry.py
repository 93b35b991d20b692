"""Retries: limited in number and time, after random delays whose range doubles."""
from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import Callable, Optional, Tuple, Type, TypeVar

from obs_sync.errors import StoreError, StoreUnavailable

T = TypeVar("T")


@dataclass(frozen=True)
class Retry:
    """How often and for how long to retry.

    The delay before attempt n + 1 is uniform in [d/2, d] with d = min(first_delay * 2**n, longest_delay):
    many clients that were refused together must not come back together. If the server asks for a wait (Retry-After),
    the delay is added to it. No attempt begins later than `deadline` after the first: if the next one would, the error
    is raised at once. An attempt that has begun may take longer, as long as the server keeps pace (`http/pace`).
    `before_attempt()` is called before each attempt; what it raises ends the retries.
    """

    attempts: int = 6
    first_delay: float = 0.2   # seconds
    longest_delay: float = 8.0  # seconds
    sleep: Callable[[float], None] = time.sleep
    uniform: Callable[[float, float], float] = random.uniform
    deadline: float = 300.0    # seconds
    clock: Callable[[], float] = time.monotonic
    before_attempt: Callable[[], None] = lambda: None

    def call(self, operation: Callable[[], T], retried: Tuple[Type[StoreError], ...] = (StoreUnavailable,)) -> T:
        """operation(), retried while it raises one of `retried`. The last exception says how often and for how long."""
        started, attempt = self.clock(), 0
        while True:
            attempt += 1
            self.before_attempt()
            try:
                return operation()
            except retried as error:
                elapsed = self.clock() - started
                asked = getattr(error, "retry_after", None)
                if attempt >= self.attempts:
                    raise _tired(error, attempt, elapsed) from error
                delay = self._delay(attempt, asked)
                if elapsed + delay > self.deadline:
                    late = f"; the deadline is {self.deadline:g} s"
                    late += "" if asked is None else f", and the server asks us to wait {asked:g} s"
                    raise _tired(error, attempt, elapsed, late) from error
            self.sleep(delay)

    def _delay(self, attempt: int, asked: Optional[float]) -> float:
        longest = min(self.first_delay * 2 ** (attempt - 1), self.longest_delay)
        return (asked or 0.0) + self.uniform(longest / 2, longest)


def _tired(error: StoreError, attempts: int, elapsed: float, late: str = "") -> StoreError:
    """`error` with the number of attempts and their time."""
    tried = "once" if attempts == 1 else f"{attempts} times"
    told = type(error)(f"{error.what} (tried {tried} in {elapsed:.1f} s{late})", error.where, error.mend)
    vars(told).update((name, value) for name, value in vars(error).items() if name not in vars(told))
    return told


DEFAULT_RETRY = Retry()
