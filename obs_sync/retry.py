"""Trying again: a bounded number of times, after delays that double and are drawn at random."""
from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import Callable, Tuple, Type, TypeVar

from obs_sync.errors import StoreUnavailable

T = TypeVar("T")


@dataclass(frozen=True)
class Retry:
    """How often and how long to try again.

    The delay before attempt n + 1 is uniform in [d/2, d] with d = min(first_delay * 2**n, longest_delay):
    many clients that were refused together must not come back together.
    """

    attempts: int = 6
    first_delay: float = 0.2   # seconds
    longest_delay: float = 8.0  # seconds
    sleep: Callable[[float], None] = time.sleep
    uniform: Callable[[float, float], float] = random.uniform

    def call(self, operation: Callable[[], T], retried: Tuple[Type[Exception], ...] = (StoreUnavailable,)) -> T:
        """operation(), called again while it raises one of `retried`; the last exception propagates."""
        for attempt in range(self.attempts - 1):
            try:
                return operation()
            except retried:
                delay = min(self.first_delay * 2 ** attempt, self.longest_delay)
                self.sleep(self.uniform(delay / 2, delay))
        try:
            return operation()
        except StoreUnavailable as error:
            raise StoreUnavailable(f"{error.what} (tried {self.attempts} times)", error.where, error.mend) from error


DEFAULT_RETRY = Retry()
