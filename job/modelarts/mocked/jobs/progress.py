"""From phase to phase: starts, watches, ends and restarts the containers of a job."""
from __future__ import annotations

import os
import shutil
from typing import Any, Callable, Dict, NamedTuple, Optional

from job.modelarts.mocked.container import ContainerSpec
from job.modelarts.mocked.faults.steps import RUN, SCHEDULE, Blow, Step
from job.modelarts.mocked.jobs.job import (
    ABNORMAL, COMPLETED, CREATING, IN_PLACE, PENDING, RESCHEDULED, RUNNING, TERMINATED, TERMINATING, Ending, Job,
)
from job.modelarts.mocked.jobs.log_copies import LogCopies
from obs_sync.mock.mocked import MockObs

# (spec, mocked OBS, folder, environ=variables that reach OBS) to a container such as `container.Container`
ContainerFactory = Callable[..., Any]


class Delays(NamedTuple):
    """Seconds, of the platform's time, that the steps of a job take."""

    creating: float = 0.2      # until a new job is Pending
    pending: float = 0.3       # until a job that waits is Running
    log_upload: float = 5.0    # between two copies of the log to OBS
    grace: float = 15.0        # from SIGTERM to SIGKILL


class Progress:
    """Makes one job at a time go on. The caller holds the platform's lock.

    Args:
        obs: where code and data are.
        environ: variables that reach OBS, for the containers.
        containers: makes the containers.
        step: tells the faults of a step of a job.
        note: called with a step at which a fault happened later.
    """

    def __init__(self, obs: MockObs, environ: Callable[[], Dict[str, str]], containers: ContainerFactory,
                 delays: Delays, step: Callable[[str, Job], Step], note: Callable[[Step], None]):
        self.logs = LogCopies(obs, delays.log_upload, step)
        self._obs = obs
        self._environ = environ
        self._containers = containers
        self._delays = delays
        self._step = step
        self._note = note

    def go_on(self, job: Job, now: float) -> None:
        """One step further, if it is time. now: the platform's time."""
        if job.phase == CREATING and now >= job.since + self._delays.creating:
            self._schedule(job, now)
        elif job.phase == PENDING and now >= job.since + self._delays.pending + job.plan.waiting:
            self._start(job, now)
        elif job.phase == RUNNING:
            self._watch(job, now)
        elif job.phase == TERMINATING:
            self._await_end(job, now)

    def terminate(self, job: Job, now: float, message: str) -> None:
        """Begins to stop a job that is not over."""
        job.tell(now, message)
        running = job.phase == RUNNING
        job.enter(TERMINATING, now)
        job.ending = Ending("the training job was stopped", phase=TERMINATED)
        if running:
            self._terminate_containers(job)

    def hit(self, job: Job, blow: Blow, now: float) -> None:
        """Does to a running job what a fault says."""
        step = Step(RUN, job.plan.bucket, job.request.name)
        step.note_fault(blow.kind)
        self._note(step)
        self.logs.collect(job, now)
        first = job.tasks[0].name
        if blow.kind == "preempt":
            job.tell(now, "The training job is preempted.", "Warning")
            job.ending = Ending("the training job was preempted", RESCHEDULED, counts=False)
            self._terminate_containers(job)
            return
        if blow.kind == "abnormal":
            job.ending = Ending("the platform lost the training job", phase=ABNORMAL, task=first)
        elif blow.kind == "kill":
            job.ending = Ending(f"{first}: the processes of the container were killed", IN_PLACE, task=first)
        else:
            job.ending = Ending(f"{first}: the node was lost", RESCHEDULED, task=first)
        for task in job.tasks:
            if task.container is not None and task.container.poll() is None:
                task.container.kill(lose_disk=blow.kind != "kill" and task.name == first)

    def abandon(self, job: Job, now: float, reason: str) -> None:
        """Ends a job that is not over, and its containers, because the platform cannot go on with it."""
        for task in job.tasks:
            if task.container is not None:
                task.container.close()
                task.exit_code = task.container.poll()
        self.logs.collect(job, now, last=True)
        job.end_record(now, reason, None, None)
        self._finish(job, Ending(reason, phase=ABNORMAL), now)

    # --- phases

    def _schedule(self, job: Job, now: float) -> None:
        job.enter(PENDING, now)
        for task in job.tasks:
            task.exit_code, task.message = None, ""
        job.plan = self._step(SCHEDULE, job)
        job.tell(now, "The training job is queuing and awaiting resource allocation.")

    def _start(self, job: Job, now: float) -> None:
        job.plan = self._step(RUN, job)
        job.enter(RUNNING, now)
        job.attempts += 1
        request = job.request
        for node, task in enumerate(job.tasks):
            spec = ContainerSpec(job.id, request.name, request.code_dir, request.boot_file, request.parameters,
                                 request.inputs, request.outputs, request.environments, request.flavor.cards,
                                 request.nodes, node)
            task.folder = os.path.join(job.folder, f"{task.name}-{job.attempts}")
            task.container = self._containers(spec, self._obs, task.folder, environ=self._environ())
            task.container.start()
            task.log.follow(task.container.log_path)
        job.begin(now, "init_or_rescheduled")
        job.tell(now, "The training job starts to run.")

    def _restart_in_place(self, job: Job, now: float) -> None:
        job.plan = self._step(RUN, job)
        job.attempts += 1
        for task in job.tasks:
            task.exit_code, task.message = None, ""
            task.container.restart()
        job.begin(now, "restarted")
        job.tell(now, "The training job has been restarted.")

    def _watch(self, job: Job, now: float) -> None:
        hours = job.request.most_hours
        if job.ending is not None:
            self._await_end(job, now)
            return
        self.logs.collect(job, now)
        if hours is not None and job.duration(now) >= hours * 3600:
            self.terminate(job, now, f"The training job has been stopped. (Maximum running duration: {hours} hours)")
            return
        self._poll(job)
        for blow in job.plan.blows:
            if job.ending is None and self._is_due(job, blow, now):
                self.hit(job, blow, now)

    def _poll(self, job: Job) -> None:
        """Looks whether containers have ended by themselves."""
        for task in job.tasks:
            if task.exit_code is None:
                task.exit_code = task.container.poll()
        failed = next((task for task in job.tasks if task.exit_code not in (None, 0)), None)
        if failed is not None:
            job.ending = Ending(f"{failed.name} exited with code {failed.exit_code}",
                                RESCHEDULED if job.request.unconditional else None, task=failed.name)
            self._terminate_containers(job)
        elif all(task.exit_code == 0 for task in job.tasks):
            job.ending = Ending("the training job completed", phase=COMPLETED)

    def _is_due(self, job: Job, blow: Blow, now: float) -> bool:
        start = job.records[-1].start
        appeared: Optional[float] = None
        if blow.text is not None:
            seen = [task.log.first_seen(blow.text, start) for task in job.tasks]
            appeared = min((moment for moment in seen if moment is not None), default=None)
        return blow.is_due(now - start, appeared, now)

    def _terminate_containers(self, job: Job) -> None:
        for task in job.tasks:
            if task.container is not None and task.container.poll() is None:
                task.container.terminate(self._delays.grace)

    def _await_end(self, job: Job, now: float) -> None:
        """Goes on once all containers of a job that is ending have ended."""
        for task in job.tasks:
            if task.container is not None and task.container.poll() is None:
                self.logs.collect(job, now)
                return
        for task in job.tasks:
            if task.container is not None and task.exit_code is None:
                task.exit_code = task.container.poll()
        self.logs.collect(job, now, last=True)
        ending, job.ending = job.ending, None
        recover = ending.recover
        if ending.counts and job.retries_used >= job.request.retries:
            recover = None
        job.end_record(now, ending.reason, ending.task, recover)
        if recover is None:
            self._finish(job, ending, now)
            return
        job.retries_used += ending.counts
        if recover == IN_PLACE:
            self._restart_in_place(job, now)
            return
        self._drop_containers(job)
        self._schedule(job, now)
        job.tell(now, "The training job has been restarted.")

    def _finish(self, job: Job, ending: Ending, now: float) -> None:
        for task in job.tasks:
            task.log.finish()
            if task.exit_code:
                task.message = f"training exited with code {task.exit_code}"
        self._drop_containers(job)
        job.enter(ending.phase, now)
        self.logs.upload(job, now)
        if ending.phase == COMPLETED:
            job.tell(now, "Training job executed.")
        elif ending.phase != TERMINATED:
            job.tell(now, f"Failed to run the training job. ({ending.reason})", "Error")

    def _drop_containers(self, job: Job) -> None:
        """Ends the containers for good. Their disks are cleared."""
        for task in job.tasks:
            if task.container is not None:
                task.container.close()
                task.container = None
                shutil.rmtree(task.folder, ignore_errors=True)
