"""Follow a job of ModelArts: its phases, its restarts and its log, each line once, until it has ended.

    code = follow(service, job.id)

The log comes from ModelArts. If the access key may not read it there, it comes from the object in OBS that the platform
writes below the job's log_url.
"""

from __future__ import annotations

import logging
import time
from typing import Callable, List, Optional, Sequence

from job.console import duration
from job.errors import ModelArtsError
from job.exits import DONE, INTERRUPTED, STOPPED, UNEXPECTED, meaning_of
from job.modelarts.errors import ModelArtsUnavailable, NoSuchJob, TooManyRequests
from job.modelarts.job_log import JobLog, task_of
from job.modelarts.log_lines import Line, LogSource
from job.modelarts.service import COMPLETED, CREATING, PENDING, TERMINATED, Job, JobService, RunningRecord
from job.modelarts.submitted_run import OpenAt
from job.printable import printable, printable_lines
from job.reports.events import Event, print_events
from job.reports.watch import pause_after
from job.stopping import begin_line
from obs_sync import StoreUnavailable

log = logging.getLogger(__name__)

PAUSE = 3.0  # seconds between two looks
SETTLE = 8.0  # seconds without a new line after which the log of a job that has ended is whole
LONG_AGO = 2 * SETTLE  # seconds after the end of a job from which on its log is whole, by clocks that may differ
LOOKS_A_WAIT = 5  # each so many looks, ask why a job does not start
WAITING = (CREATING, PENDING)
UNAVAILABLE = (ModelArtsUnavailable, TooManyRequests, StoreUnavailable)
RECOVERIES = {
    "": "",
    "proc_restart": "restarted in the same container",
    "npu_proc_restart": "restarted in the same container",
    "gpu_proc_restart": "restarted in the same container",
    "pod_reschedule": "restarted in a new container",
    "job_reschedule": "restarted in new containers",
    "job_reschedule_with_taint": "restarted in new containers, away from the faulty node",
}


class JobWatch:
    """What is new about a job since the last look.

    Args:
        settle: seconds. clock: monotonic seconds. now: seconds since 1970.
    """

    def __init__(self, service: JobService, job_id: str, task: str = "", open_at: Optional[OpenAt] = None,
                 settle: float = SETTLE, clock: Callable[[], float] = time.monotonic,
                 now: Callable[[], float] = time.time) -> None:
        self._service = service
        self._job_id = job_id
        self._task = task
        self._open_at = open_at
        self._settle = settle
        self._clock = clock
        self._now = now
        self._source: Optional[LogSource] = None
        self._lines: List[Line] = []  # that were read and not yet told
        self._job: Optional[Job] = None  # as it was told last
        self._quiet_since: Optional[float] = None  # when the log of a job that has ended got its last line
        self._looks = 0
        self._events = 0  # of ModelArts, that were told
        self.exit_code: Optional[int] = None  # of the job, once its end has been told

    def look(self) -> List[Event]:
        """Everything that is new.

        Raises:
            ModelArtsError, NoSuchJob, obs_sync.StoreError: the next look tells what this one did not.
        """
        job = self._service.get(self._job_id)
        if self._source is None:
            self._task = task_of(job, self._task)
            self._source = JobLog(self._service, job, self._task, self._open_at)
        if not job.is_final:
            if job.phase not in WAITING or job.records:  # before, ModelArts may not know the log
                self._read()
            return self._state_events(job) + self._reasons(job) + self._line_events()
        news = self._read()
        if self._quiet_since is None:
            ended_long_ago = self._job is None and _seconds_since_end(job, self._now()) > LONG_AGO
            self._quiet_since = self._clock() - (self._settle if ended_long_ago else 0.0)
        elif news:
            self._quiet_since = self._clock()
        if self._clock() - self._quiet_since < self._settle:
            return self._line_events() + self._state_events(job)
        while self._read(final=True):
            pass
        end = end_event(job)
        self.exit_code = end.data["exit_code"]
        return self._line_events() + self._state_events(job) + [end]

    def close(self) -> None:
        """Close the connection to the log in OBS, if there is one."""
        if self._source is not None:
            self._source.close()

    def _read(self, final: bool = False) -> bool:
        """Whether there were new lines. They stay in ``_lines`` until a look returns them, even if this look fails."""
        assert self._source is not None
        new = self._source.read(final)
        self._lines += new
        return bool(new)

    def _state_events(self, job: Job) -> List[Event]:
        before, self._job = self._job, job
        events = [restart_event(record) for index, record in enumerate(job.records)
                  if before is not None and record.recovery
                  and (index >= len(before.records) or not before.records[index].recovery)]
        if before is None or before.phase != job.phase:
            events.append(phase_event(job))
        return events

    def _reasons(self, job: Job) -> List[Event]:
        """What ModelArts tells about a job that waits; nothing if it does not tell."""
        if job.phase not in WAITING:
            return []
        self._looks += 1
        if self._looks % LOOKS_A_WAIT:
            return []
        try:
            told = self._service.events(job.id)
        except (ModelArtsError, NoSuchJob) as error:
            log.debug("the events of the job cannot be read: %s", error)
            return []
        new, self._events = told[self._events:], max(self._events, len(told))
        return [Event("event", each._asdict(), [f"  {printable(each.time)} {printable(each.message)}"], aside=True)
                for each in new]

    def _line_events(self) -> List[Event]:
        lines, self._lines = self._lines, []
        return [line_event(self._task, line) for line in lines]


def follow(service: JobService, job_id: str, open_at: Optional[OpenAt] = None,
           tell: Callable[[Sequence[Event]], None] = print_events, task: str = "", pause: float = PAUSE,
           settle: float = SETTLE, sleep: Callable[[float], None] = time.sleep,
           clock: Callable[[], float] = time.monotonic) -> int:
    """Tell what happens to a job until it has ended and its log is whole, and return its exit code.

    Once ModelArts has answered, it may be unavailable for any time. Ctrl-C ends following, not the job; the result is
    then ``INTERRUPTED``.

    Args:
        open_at: opens the store of the job's log_url, for keys that may not read logs in ModelArts. tell: called with
            the events of each look; by default the lines of the log go to standard output and everything else to the
            log. task: whose log is told, "" for the first. pause: seconds between two looks. settle: seconds without a
            new line after which the log of a job that has ended is whole. sleep: waits so many seconds; what it raises
            ends following. clock: monotonic seconds.

    Raises:
        ConfigError: the job has no such task. ModelArtsError, NoSuchJob: ModelArts does not answer the first look, or
        it refuses one. obs_sync.StoreError: so does the storage.
    """
    watch = JobWatch(service, job_id, task, open_at, settle, clock)
    answered, failures = False, 0
    try:
        while True:
            try:
                events = watch.look()
            except UNAVAILABLE as error:
                if not answered:
                    raise
                failures += 1
                if failures == 1:
                    log.warning("following is interrupted, retrying: %s", error)
                sleep(pause_after(failures, pause))
                continue
            if failures:
                log.info("following goes on")
            answered, failures = True, 0
            tell(events)
            if watch.exit_code is not None:
                return watch.exit_code
            sleep(pause)
    except KeyboardInterrupt:
        begin_line()
        log.info("the job goes on. `python -m job logs %s -f` follows it again, and `python -m job stop %s` stops it",
                 job_id, job_id)
        return INTERRUPTED
    finally:
        watch.close()


def tell_log(service: JobService, job: Job, open_at: Optional[OpenAt], tell: Callable[[Sequence[Event]], None],
             task: str = "") -> None:
    """Tell the lines that the log of a job has now.

    Raises:
        ConfigError: the job has no such task. ModelArtsError, obs_sync.StoreError: the log cannot be read.
    """
    task = task_of(job, task)
    source = JobLog(service, job, task, open_at)
    try:
        tell_all(source, task, tell)
    finally:
        source.close()


def tell_all(source: LogSource, task: str, tell: Callable[[Sequence[Event]], None]) -> None:
    """Tell the lines that a log has now, and at the end the one that a follower would hold back because it may grow."""
    final = False
    while True:
        lines = source.read(final)
        if lines:
            tell([line_event(task, line) for line in lines])
        elif final:
            return
        final = True


def line_event(task: str, line: Line) -> Event:
    """A line of a task's log."""
    return Event("line", {"task": task, "number": line.number, "text": line.text}, [printable_lines(line.text)])


def phase_event(job: Job) -> Event:
    """The job is in another phase."""
    seconds = f" ({duration(job.duration)})" if job.duration else ""
    return Event("phase", {"phase": job.phase, "duration": job.duration},
                 [f"{printable(job.name)}: {printable(job.phase)}{seconds}"], aside=True)


def restart_event(record: RunningRecord) -> Event:
    """The platform has restarted the job."""
    reason = f", because: {printable(record.reason)}" if record.reason else ""
    return Event("restart", record._asdict(), [recovery(record) + reason], aside=True)


def end_event(job: Job) -> Event:
    """The job has ended for good."""
    code = exit_code_of(job)
    message = next((task.message for task in job.tasks if task.message and task.exit_code), "")
    line = f"exit code {code} ({meaning_of(code)})" + (f": {printable(message)}" if message else "")
    return Event("end", {"phase": job.phase, "exit_code": code, "message": message}, [line], aside=True)


def exit_code_of(job: Job) -> int:
    """The exit code that tells how a job ended: the first of its tasks that is not 0."""
    for task in job.tasks:
        if task.exit_code:
            return 128 - task.exit_code if task.exit_code < 0 else task.exit_code
    return {COMPLETED: DONE, TERMINATED: STOPPED}.get(job.phase, UNEXPECTED)


def recovery(record: RunningRecord) -> str:
    """What the platform did after a period of running, in words."""
    return RECOVERIES.get(record.recovery, f"restarted ({printable(record.recovery)})")


def _seconds_since_end(job: Job, now: float) -> float:
    """How long ago a job ended, by two clocks that may differ; 0 if it does not say so.

    A job that never ran, as one that was stopped in the queue, has no log to wait for: then since its creation.
    """
    ends = [record.end for record in job.records if record.end]
    if not job.records and not job.duration:
        ends = [job.created]
    return abs(now - max(ends)) if ends else 0.0
