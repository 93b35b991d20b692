"""Runs as jobs of ModelArts. They need no process here: if the sweep ends, they go on, and the next sweep adopts them.

A job that failed because of the platform (a lost node, the storage, a card) is submitted again. A job that failed
because of its settings or data would fail again, and is not.
"""
from __future__ import annotations

import dataclasses
import itertools
import logging
import signal
import time
from typing import Callable, Container, Dict, List, Mapping, Optional, Sequence

from job.config.submit_options import SubmitOptions
from job.console import Console
from job.exits import ABORTED, MODELARTS, RANK_LOST, STOPPED, STORAGE
from job.modelarts.code import upload_code
from job.modelarts.creation import create_once
from job.modelarts.errors import ModelArtsUnavailable, NoSuchJob, QuotaExceeded, TooManyRequests
from job.modelarts.follow import exit_code_of
from job.modelarts.request import RUN, JobRequest
from job.modelarts.service import COMPLETED, TERMINATED, Job, JobService
from job.modelarts.submission import Plan, make_plan
from job.modelarts.submitted_run import OpenAt, RunReader
from job.printable import printable
from job.sweep.plan import PlannedRun
from job.sweep.runner import Ended, NotNow, Runner
from job.sweep.state import DAMAGED, DONE, RUNNING, RunState
from masf_core.words import plural

log = logging.getLogger(__name__)

LISTED = 2000  # newest jobs among which those of a study are looked for
PAUSE = 15.0  # seconds between two looks at a job
PLATFORM = (STORAGE, RANK_LOST, MODELARTS, ABORTED, STOPPED, 128 + signal.SIGKILL)
"""Exit codes of jobs that another attempt may help: storage, a lost rank, an aborted card, a stop by the platform."""


class SubmittedRunner(Runner):
    """Runs that are jobs of ModelArts.

    Args:
        service: ModelArts. request_of: the job to create for a run; every call gives a fresh submission.
        open_at: opens a store in OBS. at_once: jobs that are not final, at most. clock: monotonic seconds. sleep:
            waits so many seconds.
    """

    def __init__(self, service: JobService, request_of: Callable[[PlannedRun], JobRequest], open_at: OpenAt,
                 at_once: int, clock: Callable[[], float] = time.monotonic,
                 sleep: Callable[[float], None] = time.sleep) -> None:
        self._service, self._request_of, self._at_once = service, request_of, at_once
        self._open_at, self._reader = open_at, RunReader(open_at)
        self._clock, self._sleep = clock, sleep
        self._now: Dict[str, PlannedRun] = {}  # id of the job → its run
        self._next_look = 0.0

    def adopt(self, runs: Sequence[PlannedRun]) -> List[PlannedRun]:
        """Raises ModelArtsError."""
        by_name = {run.name: run for run in runs}
        for name, job in jobs_under_way(self._service, runs, self._open_at).items():
            self._now[job.id] = by_name[name]
        return self.running()

    def free(self) -> int:
        return max(0, self._at_once - len(self._now))

    def start(self, run: PlannedRun) -> None:
        """Submit the run, unless a job of it is under way, as after a lost reply or from another machine.

        Raises:
            NotNow: ModelArts does not answer, or the account may not have more jobs now. ModelArtsError: it refuses.
        """
        try:
            request = self._request_of(run)
            job = self._job_of(run, request.name)
            if job is None:
                job = create_once(self._service, request, self._sleep)
                log.info("%s is submitted as job %s (id %s)", run.name, printable(job.name), job.id)
        except (ModelArtsUnavailable, TooManyRequests, QuotaExceeded) as error:
            raise NotNow(str(error)) from error
        self._now[job.id] = run

    def running(self) -> List[PlannedRun]:
        return list(self._now.values())

    def poll(self) -> List[Ended]:
        if self._clock() < self._next_look:
            return []
        self._next_look = self._clock() + PAUSE
        ended = []
        for job_id, run in list(self._now.items()):
            try:
                job: Optional[Job] = self._service.get(job_id)
            except (ModelArtsUnavailable, TooManyRequests) as error:
                log.warning("ModelArts does not answer, retrying: %s", error)
                break
            except NoSuchJob:
                job = None
            if job is None or job.is_final:
                del self._now[job_id]
                ended.append(ended_of(run, job))
        return ended

    def close(self) -> None:
        if self._now:
            log.info("%s still under way in ModelArts: the same command adopts them, `sweep FILE stop` stops them",
                     plural(len(self._now), "job"))

    def _job_of(self, run: PlannedRun, name: str) -> Optional[Job]:
        """A job of the run that is not final. Its name begins as ``name`` does, which ends in a random part."""
        return next((job for job in self._service.jobs(name.rpartition("-")[0])
                     if job.annotations.get(RUN) == run.name and is_of(job, run, self._reader)), None)


def jobs_under_way(service: JobService, runs: Sequence[PlannedRun], open_at: OpenAt) -> Dict[str, Job]:
    """Name of a run → the job that is not final and writes to the folder of that run. Raises ModelArtsError."""
    by_name = {run.name: run for run in runs}
    reader = RunReader(open_at)
    found: Dict[str, Job] = {}
    for job in itertools.islice(service.jobs(), LISTED):
        run = by_name.get(job.annotations.get(RUN, ""))
        if run is not None and is_of(job, run, reader):
            found.setdefault(run.name, job)
    return found


def first_to_start(runs: Sequence[PlannedRun], states: Mapping[str, RunState],
                   under_way: Container[str]) -> Optional[PlannedRun]:
    """The first run that is not done, and that nobody runs; None if there is none.

    Args:
        states: by name of the run. under_way: names of the runs that have a job already.
    """
    return next((run for run in runs if run.name not in under_way
                 and states[run.name].state not in (DONE, RUNNING, DAMAGED)), None)


def is_of(job: Job, run: PlannedRun, reader: RunReader) -> bool:
    """Whether a job is under way that writes to the folder of the run."""
    if job.is_final:
        return False
    trained = reader.run_of(job)
    return trained is not None and trained.url == run.url


def ended_of(run: PlannedRun, job: Optional[Job]) -> Ended:
    """How the job of a run ended. job: None if ModelArts does not have it any more."""
    if job is None:
        return Ended(run, None, False, "somebody deleted its job in ModelArts")
    name = f"job {printable(job.name)} ({job.id})"
    if job.phase == COMPLETED:
        return Ended(run, exit_code_of(job))
    if job.phase == TERMINATED:
        return Ended(run, None, False, f"{name} was stopped, by somebody or by max_hours")
    codes = [task.exit_code for task in job.tasks if task.exit_code]
    told = "; ".join(dict.fromkeys(printable(task.message) for task in job.tasks if task.message))
    where = f"{name}, {job.phase}" + (f": {told}" if told else "")
    if not codes:  # no boot file has ended by itself: a node was lost, or none was found
        return Ended(run, None, True, where)
    code = exit_code_of(job)
    return Ended(run, code, code in PLATFORM, where)


def request_maker(plan: Plan, options: SubmitOptions, service: JobService, open_at: OpenAt,
                  console: Console) -> Callable[[PlannedRun], JobRequest]:
    """A function from a run to the job to create for it. Its first call uploads the code, unless that is there.

    Args:
        plan: of one of the runs, whose code all of them have. options: of submit.
    """
    uploaded: List[str] = []

    def make(run: PlannedRun) -> JobRequest:
        if not uploaded:
            with open_at(plan.request.code_dir) as store, console.task("uploading the code", "B") as progress:
                upload_code(store, plan.code, progress)
            uploaded.append(plan.code.folder)
        return make_plan(run.config, dataclasses.replace(options, name=None), plan.code, service).request

    return make
