"""Jobs with the runs that they train, which are read side by side."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import List, Optional, Tuple

from job.modelarts.service import Job, JobService
from job.modelarts.submitted_run import Accuracy, OpenAt, RunReader, SubmittedRun

WORKERS = 8  # runs that are read at the same time

Listed = Tuple[Job, Optional[SubmittedRun], Optional[Accuracy]]


def list_jobs(service: JobService, open_at: OpenAt, name: str, limit: int) -> Tuple[List[Listed], bool]:
    """The newest jobs whose name holds ``name``, each with its run and the newest accuracy; whether there are more.

    Raises:
        ModelArtsError: the list cannot be read.
    """
    jobs = list(itertools.islice(service.jobs(name), limit + 1))
    reader = RunReader(open_at)
    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(lambda job: with_run(reader, job), jobs[:limit])), len(jobs) > limit


def with_run(reader: RunReader, job: Job) -> Listed:
    """A job with its run, if it trains one."""
    run = reader.run_of(job)
    return job, run, None if run is None else reader.accuracy_of(run, job)
