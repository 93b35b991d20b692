"""What the publisher does next: pure decisions over its state, without thread, clock or store.

Times are numbers that the caller reads from its clock, in seconds.
"""
from __future__ import annotations

import enum
from typing import NamedTuple, Optional

from job.publication.upload_queue import Queue
from obs_sync import AccessDenied, BucketNotFound, LeaseLost, LocalStorageError

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds between attempts at a delivery that failed
DRAIN_ATTEMPTS = 3  # failures in a row after which a drain that has no deadline gives up
FINAL = (AccessDenied, BucketNotFound, LeaseLost, LocalStorageError)  # what another attempt cannot mend


class OutOfTime(Exception):
    """The deadline passed in the middle of an upload."""


class Step(enum.Enum):
    """What the worker does next."""

    WAIT = "nothing may begin"
    UPLOAD = "begin with the newest checkpoint, or with the log files"
    CLOSE = "end"


class Failures(NamedTuple):
    """The failed deliveries since the last one that succeeded."""

    in_a_row: int = 0
    last: Optional[str] = None  # its message
    final: bool = False  # whether a retry of it is of no use
    lease_lost: Optional[LeaseLost] = None  # nothing more is delivered after it

    def after(self, failure: Optional[BaseException]) -> Failures:
        """A delivery failed, or succeeded (None)."""
        if failure is None:
            return self._replace(in_a_row=0, last=None, final=False)
        # The reason is what used the time up, not the deadline.
        keep = isinstance(failure, OutOfTime) and bool(self.last)
        return Failures(self.in_a_row + 1, self.last if keep else str(failure), isinstance(failure, FINAL),
                        failure if isinstance(failure, LeaseLost) else self.lease_lost)


class Ending(NamedTuple):
    """The waits for everything to be delivered (drains), of which the last one counts."""

    drains: int = 0  # how many have begun; 0 while training goes on
    deadline: Optional[float] = None  # None: as long as attempts succeed, or ``DRAIN_ATTEMPTS`` fail
    budgeted: bool = False  # begin no checkpoint that cannot arrive before the deadline
    logs_first: bool = False  # begin nothing before the log files have gone


class State(NamedTuple):
    """All that decisions depend on."""

    queue: Queue = Queue()
    failures: Failures = Failures()
    ending: Ending = Ending()
    closing: bool = False
    published: Optional[str] = None  # name of the checkpoint that was delivered last
    rate: Optional[float] = None  # bytes a second of its upload

    def drain_begun(self, deadline: Optional[float]) -> State:
        """A drain begins; it counts failures anew."""
        return self._replace(failures=self.failures._replace(in_a_row=0, final=False),
                             ending=self.ending._replace(drains=self.ending.drains + 1, deadline=deadline))

    def budget_begun(self, deadline: float) -> State:
        """Only what can arrive until ``deadline`` is begun, and the log files go first."""
        return self._replace(ending=self.ending._replace(deadline=deadline, budgeted=True, logs_first=True))

    def logs_gone(self) -> State:
        """Checkpoints may begin again."""
        return self._replace(ending=self.ending._replace(logs_first=False))


def next_step(state: State) -> Step:
    """What the worker, which is idle, does next."""
    if state.closing:
        return Step.CLOSE
    if state.ending.logs_first or not (state.queue.waiting or state.queue.logs_due):
        return Step.WAIT
    return Step.UPLOAD


def why_late(size: Optional[int], rate: Optional[float], seconds_left: float) -> Optional[str]:
    """Why an upload of ``size`` bytes would not arrive in time; None where it would.

    Args:
        size: None where it is not known. rate: bytes a second of the last upload, None before the first one.
    """
    if size is None or rate is None or size / rate <= seconds_left:
        return None
    return (f"{size / 1e6:.1f} MB take {size / rate:.0f} s at {rate / 1e6:.1f} MB/s, and {max(0.0, seconds_left):.0f} "
            "s are left")


def drain_is_over(state: State, retention_due: bool, now: float) -> bool:
    """Whether a drain ends: everything is delivered, or waiting longer is of no use."""
    if state.queue.empty and not retention_due:
        return True
    if state.failures.final:
        return True
    if state.ending.deadline is None:
        return state.failures.in_a_row >= DRAIN_ATTEMPTS
    return now >= state.ending.deadline


def drain_reason(state: State) -> str:
    """Why a drain that is over has left something undelivered."""
    late = "; ".join(why for _, why in state.queue.not_begun)
    return late or (state.failures.last or "the deadline passed").rstrip(".")


def pause_after(failures: int) -> float:
    """Seconds until the next attempt after so many failures in a row."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(failures - 1, 10))


def pause(state: State) -> float:
    """Seconds until the next attempt: few where few attempts are left."""
    ending = state.ending
    patient = not ending.drains or ending.deadline is not None and not ending.budgeted
    return pause_after(state.failures.in_a_row if patient else 1)


def failure_is_told(state: State) -> bool:
    """Whether the failure that was noted last is worth a warning.

    While training goes on, one for each outage: the observer says at every interval that it lasts. In a drain nobody
    else does.
    """
    return bool(state.ending.drains) or state.failures.in_a_row in (1, DRAIN_ATTEMPTS)
