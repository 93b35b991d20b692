"""Moments in the life of a job at which faults may happen. For a rule each one is like a request.

    ScheduleJob   the job begins to wait for resources: at first, and after each loss of its containers
    RunJob        the job's containers start: at first, and after each restart
    UploadLog     the log of a task is copied to OBS
"""
from __future__ import annotations

import math
from typing import Any, Dict, NamedTuple, Optional, Sequence, Tuple

SCHEDULE, RUN, UPLOAD = "ScheduleJob", "RunJob", "UploadLog"
STEPS = (RUN, SCHEDULE, UPLOAD)


class Blow(NamedTuple):
    """What the platform does to a running job."""

    kind: str                     # "kill", "lose-node", "preempt" or "abnormal"
    seconds: float                # after the containers started, or after the text appeared
    text: Optional[str] = None    # that must appear in a line of the log first

    def is_due(self, running: float, appeared: Optional[float], now: float) -> bool:
        """running: seconds since the start. appeared: when the text was first seen."""
        if self.text is None:
            return running >= self.seconds
        return now - (math.inf if appeared is None else appeared) >= self.seconds


class Step:
    """One such moment, with the attributes of a request that rules look at.

    Attributes:
        operation: one of STEPS.
        key: the name of the job.
        waiting: seconds that the job waits longer.
        blows: what happens to the running job.
        cut: whether the copy of the log ends in the middle of a character.
    """

    method = ""
    faults: Tuple[str, ...] = ()
    effects: Sequence[Any] = ()
    waiting = 0.0
    blows: Tuple[Blow, ...] = ()
    cut = False

    def __init__(self, operation: str, project: str, job_name: str):
        self.operation = operation
        self.bucket = project
        self.key = job_name
        self.query: Dict[str, str] = {}

    def note_fault(self, kind: str) -> None:
        """Adds a kind of fault to what the journal records."""
        self.faults += (kind,)
