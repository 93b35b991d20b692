"""One job: its phase, its tasks, and what happened to it. `platform` makes it go on."""
from __future__ import annotations

from typing import Any, List, NamedTuple, Optional

from job.modelarts.mocked.jobs.logs import TaskLog
from job.modelarts.mocked.jobs.request import JobRequest

CREATING, PENDING, RUNNING = "Creating", "Pending", "Running"
COMPLETED, FAILED, ABNORMAL = "Completed", "Failed", "Abnormal"
TERMINATING, TERMINATED = "Terminating", "Terminated"
FINAL = (COMPLETED, FAILED, ABNORMAL, TERMINATED)

IN_PLACE = "proc_restart"         # how the platform recovers, in the words of `running_records`
RESCHEDULED = "job_reschedule"


class Event(NamedTuple):
    """What the platform tells of a job."""

    moment: float   # seconds since 1970
    level: str      # Info, Warning or Error
    message: str


class Record(NamedTuple):
    """One time that the job ran."""

    start: float
    start_type: str                    # "init_or_rescheduled" or "restarted"
    end: Optional[float] = None
    reason: Optional[str] = None
    task: Optional[str] = None         # whose end ended it
    recover: Optional[str] = None      # IN_PLACE or RESCHEDULED; None if the job is over


class Task:
    """One node of a job. Its containers follow each other."""

    def __init__(self, name: str, log: TaskLog):
        self.name = name
        self.log = log
        self.container: Any = None              # `container.Container`; None before and after its life
        self.folder: Optional[str] = None       # of the container
        self.exit_code: Optional[int] = None
        self.message = ""
        self.uploaded = 0                       # bytes of the log that are in OBS


class Ending(NamedTuple):
    """Why the containers of a job are being ended, while they are."""

    reason: str
    recover: Optional[str] = None      # how the platform goes on if it may
    counts: bool = True                # whether a recovery uses up one of the job's retries
    phase: str = FAILED                # of the job if there is no recovery
    task: Optional[str] = None


class Job:
    """A job and everything that the platform knows of it."""

    def __init__(self, job_id: str, request: JobRequest, folder: str, now: float):
        self.id = job_id
        self.request = request
        self.folder = folder
        self.created = now
        self.phase = CREATING
        self.since = now                      # when the phase began
        self.retries_used = 0
        self.attempts = 0                     # containers that each task has had
        self.tasks: List[Task] = []
        self.events: List[Event] = []
        self.records: List[Record] = []
        self.ending: Any = None               # an `Ending` while the containers are being ended
        self.plan: Any = None                 # the `Step` with the faults of the present phase
        self.uploaded = 0.0                   # when the log was last copied to OBS

    @property
    def is_final(self) -> bool:
        return self.phase in FINAL

    def enter(self, phase: str, now: float) -> None:
        self.phase, self.since = phase, now

    def tell(self, now: float, message: str, level: str = "Info") -> None:
        self.events.append(Event(now, level, message))

    def begin(self, now: float, start_type: str) -> None:
        """The containers have started."""
        self.records.append(Record(now, start_type))

    def end_record(self, now: float, reason: str, task: Optional[str], recover: Optional[str]) -> None:
        """The containers have ended."""
        if self.records and self.records[-1].end is None:
            self.records[-1] = self.records[-1]._replace(end=now, reason=reason, task=task, recover=recover)

    def duration(self, now: float) -> float:
        """Seconds that the job has run, in all."""
        return sum((now if record.end is None else record.end) - record.start for record in self.records)

    def task(self, name: str) -> Optional[Task]:
        return next((task for task in self.tasks if task.name == name), None)

    def log_object(self, task: Task) -> str:
        """The name of the object that the log of a task is copied to."""
        return f"modelarts-job-{self.id}-{task.name}.log"
