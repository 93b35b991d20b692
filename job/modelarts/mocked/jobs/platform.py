"""All jobs. A thread makes them go on many times a second, unless the platform's time is moved by hand."""
from __future__ import annotations

import logging
import os
import threading
import uuid
from typing import Callable, Dict, Optional

from job.modelarts.mocked.catalogue import Catalogue
from job.modelarts.mocked.container import Container
from job.modelarts.mocked.errors import NO_SUCH_JOB, ModelArtsError, wrong
from job.modelarts.mocked.faults.steps import Blow, Step
from job.modelarts.mocked.jobs import archive
from job.modelarts.mocked.jobs.clock import Clock
from job.modelarts.mocked.jobs.job import RUNNING, TERMINATING, Job, Task
from job.modelarts.mocked.jobs.logs import TaskLog
from job.modelarts.mocked.jobs.progress import ContainerFactory, Delays, Progress
from job.modelarts.mocked.jobs.request import JobRequest
from obs_sync.mock.mocked import MockObs

log = logging.getLogger(__name__)

_TICK_SECONDS = 0.05


class Platform:
    """All jobs of one project.

    Args:
        folder: of the jobs' containers and logs.
        obs: where code, data and logs are.
        environ: variables that reach OBS, for the containers.
        containers: makes the containers; None for real ones.
        strike: called for each step of a job, so that faults can change it.
        note: called with a step that had faults.

    Attributes:
        lock: held while a job changes; hold it while reading several things of a job.
        jobs: job id to job, the oldest first.
    """

    def __init__(self, folder: str, obs: MockObs, environ: Callable[[], Dict[str, str]],
                 containers: Optional[ContainerFactory], project: str, delays: Delays, clock: Clock,
                 strike: Callable[[Step], None], note: Callable[[Step], None]):
        self.lock = threading.RLock()
        self.clock = clock
        self.jobs: Dict[str, Job] = {}
        self._folder = folder
        self._project = project
        self._strike = strike
        self._note = note
        self._progress = Progress(obs, environ, containers or Container, delays, self._step, note)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mock-modelarts", daemon=True)

    def start(self, catalogue: Catalogue) -> None:
        """Begins with the jobs of earlier starts. catalogue: of their flavors and engines."""
        os.makedirs(self._folder, exist_ok=True)
        self.jobs.update((job.id, job) for job in archive.load(self._folder, catalogue))
        if not self.clock.frozen:
            self._thread.start()

    def stop(self) -> None:
        """Ends all containers."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        with self.lock:
            for job in self.jobs.values():
                if not job.is_final:
                    self._progress.abandon(job, self.clock.now(), "the mocked ModelArts was stopped")
                    archive.save(job)

    def advance(self, seconds: float) -> None:
        """Moves the platform's time ahead and makes the jobs go on."""
        self.clock.advance(seconds)
        self.tick()

    def tick(self) -> None:
        """Makes each job go on as far as it can now."""
        with self.lock:
            for job in list(self.jobs.values()):
                try:
                    self._go_on(job)
                except Exception as failure:  # such as a full disk; the other jobs go on
                    log.exception("the mocked ModelArts cannot go on with the job %s", job.id)
                    self._progress.abandon(job, self.clock.now(), f"{type(failure).__name__}: {failure}")

    def _go_on(self, job: Job) -> None:
        if job.is_final:
            return
        known, before = len(job.events), None
        while not job.is_final and before != (job.phase, job.ending, job.attempts):
            before = (job.phase, job.ending, job.attempts)
            self._progress.go_on(job, self.clock.now())
        if len(job.events) != known:
            archive.save(job)

    def _run(self) -> None:
        while not self._stopped.wait(_TICK_SECONDS):
            self.tick()

    def _step(self, operation: str, job: Job) -> Step:
        step = Step(operation, self._project, job.request.name)
        self._strike(step)
        if step.faults:
            self._note(step)
        return step

    # --- what calls do

    def create(self, request: JobRequest) -> Job:
        """A new job."""
        with self.lock:
            now = self.clock.now()
            job_id = str(uuid.uuid4())
            job = Job(job_id, request, os.path.join(self._folder, job_id), now)
            os.makedirs(job.folder)
            for node in range(request.nodes):
                path = os.path.join(job.folder, f"worker-{node}.log")
                job.tasks.append(Task(f"worker-{node}", TaskLog(path, int(now * 1000) * 10**6)))
            job.tell(now, "Training job created.")
            archive.save(job)
            self.jobs[job_id] = job
            return job

    def find(self, job_id: str) -> Job:
        """Raises ModelArtsError if there is no such job."""
        job = self.jobs.get(job_id)
        if job is None:
            raise ModelArtsError(NO_SUCH_JOB, job_id)
        return job

    def terminate(self, job: Job) -> None:
        """Begins to stop a job. Raises ModelArtsError if it is over."""
        with self.lock:
            if job.is_final:
                raise wrong(f"the training job is {job.phase} and cannot be terminated")
            if job.phase != TERMINATING:
                self._progress.terminate(job, self.clock.now(), "The training job has been manually stopped.")

    def strike(self, job: Job, kind: str) -> None:
        """Does to a running job at once what a fault of this kind does. Raises ModelArtsError if it is not running."""
        with self.lock:
            if job.phase != RUNNING or job.ending is not None:
                raise wrong(f"the training job is {job.phase if job.ending is None else 'ending'}, not Running")
            self._progress.hit(job, Blow(kind, 0.0), self.clock.now())
