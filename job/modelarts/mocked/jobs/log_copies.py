"""Copies the logs of jobs: from their containers, and to the log objects in OBS."""
from __future__ import annotations

import logging
from typing import Callable

from job.modelarts.mocked.faults.steps import UPLOAD, Step
from job.modelarts.mocked.jobs.job import Job
from job.modelarts.mocked.jobs.logs import cut_in_a_character
from job.modelarts.mocked.jobs.places import split
from obs_sync.mock.errors import ObsError
from obs_sync.mock.mocked import MockObs

log = logging.getLogger(__name__)


class LogCopies:
    """Copies logs.

    Args:
        obs: where the log objects are.
        seconds: from one copy to the next.
        step: tells the faults of a step of a job.
    """

    def __init__(self, obs: MockObs, seconds: float, step: Callable[[str, Job], Step]):
        self._obs = obs
        self._seconds = seconds
        self._step = step

    def collect(self, job: Job, now: float, last: bool = False) -> None:
        """Takes over what the containers have written, and copies it to OBS if it is time, or the last chance."""
        for task in job.tasks:
            task.log.collect(now)
        if last or now >= job.uploaded + self._seconds:
            self.upload(job, now)

    def upload(self, job: Job, now: float) -> None:
        """Copies the logs that have grown to OBS."""
        job.uploaded = now
        if job.request.log_url is None:
            return
        bucket, prefix = split(job.request.log_url)
        for task in job.tasks:
            if task.uploaded == task.log.size:
                continue
            content = task.log.content(task.log.size)
            if self._step(UPLOAD, job).cut and not job.is_final:
                content = cut_in_a_character(content)
            try:
                self._obs.put(bucket, prefix + job.log_object(task), content)
                task.uploaded = len(content)
            except ObsError as error:
                log.warning("the log of %s was not copied to %s: %s", job.id, job.request.log_url, error)
