"""The log of one task of a job: from ModelArts, or from OBS where ModelArts does not give it."""

from __future__ import annotations

import logging
from typing import List, Optional

from job.errors import ConfigError
from job.modelarts.errors import AccessRefused, NoSuchJob, RequestRefused
from job.modelarts.log_lines import Line, LogSource, ObjectLog, ServiceLog
from job.modelarts.service import Job, JobService
from job.modelarts.submitted_run import OpenAt
from obs_sync import Store

log = logging.getLogger(__name__)

FIRST_TASK = "worker-0"  # rank 0 runs there


class JobLog(LogSource):
    """The log of a job's task: from ModelArts, or from OBS if ModelArts refuses it.

    Args:
        open_at: opens the store of the job's log_url; None never reads it.
    """

    def __init__(self, service: JobService, job: Job, task: str, open_at: Optional[OpenAt]) -> None:
        self._from_service = ServiceLog(service, job.id, task)
        self._from_object: Optional[ObjectLog] = None
        self._store: Optional[Store] = None
        self._job = job
        self._task = task
        self._open_at = open_at

    def read(self, final: bool = False) -> List[Line]:
        if self._from_object is None:
            try:
                return self._from_service.read(final)
            except (AccessRefused, RequestRefused, NoSuchJob) as error:
                if not self._turn_to_object(error):
                    return []
        return self._from_object.read(final) if self._from_object else []

    def close(self) -> None:
        if self._store is not None:
            self._store.close()

    def _turn_to_object(self, error: Exception) -> bool:
        """Whether the log can be read from OBS from now on. Raises ``error`` if it can be read nowhere."""
        if self._job.log_url and self._open_at is not None:
            key = log_key(self._job.id, self._task)
            self._store = self._open_at(self._job.log_url)
            self._from_object = ObjectLog(self._store, key, skip=self._from_service.told)
            log.info("ModelArts does not give the log, so it is read from %s: %s", self._store.locate(key), error)
            return True
        if isinstance(error, AccessRefused):
            raise AccessRefused(error.what, error.where, "The job has no log_url either, from which the log could be "
                                                         "read in OBS; submit with --log_url") from error
        return False  # such as a task that has not started


def log_key(job_id: str, task: str) -> str:
    """The name of the log object below log_url."""
    return f"modelarts-job-{job_id}-{task}.log"


def task_of(job: Job, given: str) -> str:
    """The node whose log is told: the given one, or the first, whose log tells the most because rank 0 runs there.

    Raises:
        ConfigError: the job has no such node.
    """
    names = [task.name for task in job.tasks]
    if given and names and given not in names:
        raise ConfigError(f"--task={given}: job {job.name!r} has no such task; expected one of {', '.join(names)}")
    return given or (names + [FIRST_TASK])[0]
