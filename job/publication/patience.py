"""Waiting for a storage that is away, where nothing else can be done meanwhile: at the beginning and the end of a run.

A store by itself retries a request a few times, for about 5 seconds where connections are refused.
"""
from __future__ import annotations

import logging
import socket
import ssl
import time
from typing import Callable, Optional, TypeVar

from job.publication.policy import pause_after
from obs_sync import StoreUnavailable

log = logging.getLogger(__name__)

OPENING_SECONDS = 300.0  # for all requests with which a run is opened
RESUME = "When the storage answers, start the same command again: it resumes"
SLICE = 0.2  # seconds between two looks at whether to stop

T = TypeVar("T")


class Patience:
    """Calls that are retried while the storage is unavailable, until a common deadline.

    Args:
        seconds: from now until the deadline. check_stop: called meanwhile; what it raises ends the wait.
        from_failure: count the seconds from the first failure of a call, for calls that may succeed after hours.
        clock: monotonic seconds. sleep: waits so many seconds.
    """

    def __init__(self, seconds: float, check_stop: Callable[[], None], clock: Callable[[], float] = time.monotonic,
                 sleep: Callable[[float], None] = time.sleep, from_failure: bool = False) -> None:
        self._begun, self._seconds, self._from_failure = clock(), seconds, from_failure
        self._check_stop, self._clock, self._sleep = check_stop, clock, sleep

    def call(self, what: str, work: Callable[[], T]) -> T:
        """work(), called again with growing pauses while it raises StoreUnavailable.

        Args:
            what: could not be done, for messages.

        Raises:
            StoreUnavailable: until the deadline, or for a reason that no retry can mend.
        """
        failures = 0
        while True:
            try:
                return work()
            except StoreUnavailable as error:
                failures += 1
                if failures == 1 and self._from_failure:
                    self._begun = self._clock()
                pause = pause_after(min(failures, 4))
                left = self._begun + self._seconds - self._clock()
                if is_lasting(error):
                    raise
                if left < pause:
                    raise StoreUnavailable(
                        f"{what} failed for {self._clock() - self._begun:.0f} s: {error.what}", error.where,
                        ". ".join(filter(None, (error.mend, RESUME)))) from error
                if failures == 1:
                    log.warning("%s failed, retrying for up to %.0f s: %s", what, left, error)
                self._wait(pause)

    def _wait(self, seconds: float) -> None:
        end = self._clock() + seconds
        while self._clock() < end:
            self._check_stop()
            self._sleep(SLICE)


def is_lasting(error: Optional[BaseException]) -> bool:
    """Whether a wrong address or certificate is the reason, which no retry can mend."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        if isinstance(error, socket.gaierror) and error.errno == socket.EAI_NONAME:
            return True
        error = error.__cause__
    return False
