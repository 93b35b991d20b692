"""What `drive` needs from a place where runs can run: this machine, or ModelArts."""
from __future__ import annotations

import abc
import contextlib
import signal
from typing import List, NamedTuple, Optional, Sequence

from job.exits import MEANING
from job.sweep.plan import PlannedRun


class Ended(NamedTuple):
    """How one attempt at a run ended, as the runner saw it.

    code: exit code, None where it is not known. again: the reason lies outside the run (a lost node, the storage), so
    that a new attempt may succeed. told: what is known of the reason, "" if nothing.
    """

    run: PlannedRun
    code: Optional[int]
    again: bool = False
    told: str = ""

    def reason(self) -> str:
        """In words."""
        return f"{code_text(self.code)}: {self.told}" if self.told else code_text(self.code)


def code_text(code: Optional[int]) -> str:
    """An exit code with its meaning."""
    if code is None:
        return "no exit code"
    meaning = MEANING.get(code)
    if meaning is None and code > 128:
        with contextlib.suppress(ValueError):
            meaning = f"killed by {signal.Signals(code - 128).name}"
    return f"exit code {code}" + (f" ({meaning})" if meaning else "")


class NotNow(Exception):
    """A run cannot be started at present, for a reason that passes. The message says why."""


class Runner(abc.ABC):
    """A place where runs can run. Its methods belong to one thread."""

    @abc.abstractmethod
    def adopt(self, runs: Sequence[PlannedRun]) -> List[PlannedRun]:
        """Take over those of the runs that are under way here already, although the store may not show it yet.

        Called once, before any other method. They are in ``running`` from then on.
        """

    @abc.abstractmethod
    def free(self) -> int:
        """How many more runs can be started now."""

    @abc.abstractmethod
    def start(self, run: PlannedRun) -> None:
        """Start an attempt at the run. Only called if there is a free place.

        Raises:
            NotNow: it cannot be started at present.
        """

    @abc.abstractmethod
    def running(self) -> List[PlannedRun]:
        """The runs that were started, or adopted, and that ``poll`` has not returned."""

    @abc.abstractmethod
    def poll(self) -> List[Ended]:
        """The attempts that have ended since the last call. Does not wait."""

    @abc.abstractmethod
    def close(self) -> None:
        """Called at the end, whatever it is. A runner whose runs need this process stops them, and waits for them."""
