"""The clock by which requests are dated: this machine's, or the server's after it refused a date of ours."""
from __future__ import annotations

import logging
import time
from typing import Callable, Optional

_SMALL = 60.0  # seconds; a server accepts 15 minutes, and its Date is rounded and delayed

_log = logging.getLogger(__name__)


class ServerClock:
    """Safe to use from several threads: if many are refused together they all learn the same.

    OBS refuses a request that is dated more than 15 minutes from its own time, and a job on a machine with a wrong
    clock can seldom set it. The Date of the refusal is the server's time.
    """

    def __init__(self, clock: Callable[[], float] = time.time):
        """`clock` is this machine's, in seconds since the epoch."""
        self._clock = clock
        self.ahead = 0.0
        """Seconds that are added to this machine's clock."""

    def now(self) -> float:
        """The time to sign the next request with, in seconds since the epoch."""
        return self._clock() + self.ahead

    def learn(self, there: Optional[float]) -> None:
        """Adopt the server's time (seconds since the epoch), from the reply that refused a date; None: unknown.

        Another refusal corrects it again, because somebody may have set this machine's clock.
        """
        if there is None:
            return
        ahead = there - self._clock()
        ahead = 0.0 if abs(ahead) < _SMALL else ahead
        if abs(ahead - self.ahead) < _SMALL:
            return
        self.ahead = ahead
        if ahead:
            _log.warning("this machine's clock is %.0f s %s the server's; requests are dated by the server's clock",
                         abs(ahead), "behind" if ahead > 0 else "ahead of")
        else:
            _log.warning("this machine's clock agrees with the server's again")
