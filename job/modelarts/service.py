"""What can be asked of ModelArts, in our own words.

``sdk_service.SdkJobService`` asks the real ModelArts, or the mocked one; tests have one in memory. The values here hold
plain texts and numbers: nothing of the SDK leaves its adapter.
"""

from __future__ import annotations

import abc
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

from job.modelarts.request import JobRequest

CREATING, PENDING, RUNNING, FAILED, COMPLETED, TERMINATING, TERMINATED, ABNORMAL = (
    "Creating", "Pending", "Running", "Failed", "Completed", "Terminating", "Terminated", "Abnormal")
FINAL_PHASES = (FAILED, COMPLETED, TERMINATED, ABNORMAL)
MOST_LINES = 500  # of a log, in one reply


class Task(NamedTuple):
    """One node of a job, such as worker-0. exit_code: of its boot file, None until it has ended."""

    name: str
    exit_code: Optional[int]
    message: str


class RunningRecord(NamedTuple):
    """One period in which a job ran. A job that the platform restarts has several.

    start, end: seconds since 1970, None if not known. reason: why the period ended. recovery: what the platform then
    did, such as proc_restart (in the same container) or pod_reschedule (in a new one); "" if nothing.
    """

    start: Optional[float]
    end: Optional[float]
    reason: str
    recovery: str


class Job(NamedTuple):
    """A job that ModelArts knows.

    phase: from CREATING to ABNORMAL. created: seconds since 1970. duration: seconds that it has run. tasks: its nodes.
    records: each period in which it ran; the last one may not have ended. parameters: name → value, as the boot file
    gets them. inputs, outputs: name → place in OBS. code_dir, log_url, inputs and outputs are written
    obs://bucket/folder/; "" where there is none.
    """

    id: str
    name: str
    phase: str
    created: float
    duration: float
    tasks: Tuple[Task, ...]
    records: Tuple[RunningRecord, ...]
    annotations: Dict[str, str]
    parameters: Dict[str, str]
    inputs: Dict[str, str]
    outputs: Dict[str, str]
    code_dir: str
    log_url: str
    flavor: str
    nodes: int
    description: str = ""

    @property
    def is_final(self) -> bool:
        """Whether the job has ended for good."""
        return self.phase in FINAL_PHASES


class Flavor(NamedTuple):
    """A kind of node.

    kind: CPU, GPU or Ascend. cards: accelerators of a node. product: of the accelerators. most_nodes: of one job.
    billing_code, billing_units: how the node is billed, as ModelArts says it; it does not say a price.
    """

    id: str
    name: str
    kind: str
    cards: int
    product: str
    memory: str
    most_nodes: int
    billing_code: str
    billing_units: Optional[int]


class Engine(NamedTuple):
    """An image that ModelArts provides."""

    id: str
    name: str
    version: str
    image: str


class Event(NamedTuple):
    """What happened to a job. time: as ModelArts writes it. level: Info, Warning or Error."""

    time: str
    level: str
    message: str


class LogPart(NamedTuple):
    """Some lines of a log.

    Each line has a position, which grows from line to line and need not be the number of the line: ModelArts derives it
    from the time. first, last: positions of the first and of the last line, 0 where there are no lines. lines: without
    line ends.
    """

    first: int
    lines: Tuple[str, ...]
    last: int


NO_LINES = LogPart(0, (), 0)


class JobService(abc.ABC):
    """ModelArts, of one project in one region.

    Every call except ``create`` retries by itself after a failure that may pass. Each raises a ``ModelArtsError``:
    ``AccessRefused``, ``ModelArtsUnavailable`` after the last retry, ``RequestRefused`` for everything else. A call
    that names a job raises ``NoSuchJob`` if there is none.
    """

    region: str = ""
    project: str = ""
    endpoint: str = ""  # its address

    @abc.abstractmethod
    def create(self, request: JobRequest) -> Job:
        """Create the job. Never retried; ``creation.create_once`` looks whether the job exists before it asks again.

        Raises:
            ModelArtsUnavailable: the job may or may not exist now. TooManyRequests: it does not. QuotaExceeded.
            RequestRefused: such as a flavor that does not exist.
        """

    @abc.abstractmethod
    def get(self, job_id: str) -> Job:
        """The job as it is now."""

    @abc.abstractmethod
    def jobs(self, name: str = "") -> Iterator[Job]:
        """All jobs, or those whose name holds ``name``; the newest first. Each page is requested when it is needed."""

    @abc.abstractmethod
    def stop(self, job_id: str) -> Job:
        """Ask for the end of a job. It gets SIGTERM, and SIGKILL 15 s later."""

    @abc.abstractmethod
    def lines(self, job_id: str, task: str, first: int, most: int = MOST_LINES) -> LogPart:
        """Lines of a task's log from the position ``first`` on, ``most`` (≤ 500) at most.

        0 is before the first line. The log holds the lines of all restarts.
        """

    @abc.abstractmethod
    def flavors(self, kind: str = "") -> List[Flavor]:
        """The flavors of the public pool: those of one kind (CPU, GPU, Ascend) or all."""

    @abc.abstractmethod
    def engines(self) -> List[Engine]:
        """The images that ModelArts provides."""

    @abc.abstractmethod
    def events(self, job_id: str) -> List[Event]:
        """What happened to a job, the oldest first."""

    @abc.abstractmethod
    def is_name_free(self, name: str) -> bool:
        """Whether no job of the project has this name."""

    def find(self, name: str) -> List[Job]:
        """Jobs that have exactly this name, the newest first."""
        return [job for job in self.jobs(name) if job.name == name]
