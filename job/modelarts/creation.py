"""Create a job exactly once, although the reply to the request may be lost.

Creating is not idempotent: a second request would make a second job, which costs money and writes to the same run. So
each submission has an annotation of its own, and after a lost reply the job is looked for before it is asked for again.
"""

from __future__ import annotations

import logging
import time
from typing import Callable, Optional

from job.errors import ModelArtsError
from job.modelarts.errors import ModelArtsUnavailable, RequestRefused, TooManyRequests
from job.modelarts.request import SUBMISSION, JobRequest
from job.modelarts.service import Job, JobService

log = logging.getLogger(__name__)

ATTEMPTS = 4
LOOKS = 3  # for the job after a lost reply: a new job may be listed late
FIRST_DELAY = 2.0  # seconds; each next delay is twice as long


def create_once(service: JobService, request: JobRequest, sleep: Callable[[float], None] = time.sleep) -> Job:
    """Create the job of ``request``, whose annotations must hold ``SUBMISSION`` with a fresh value.

    Raises:
        ModelArtsUnavailable: ModelArts did not answer for so long that nobody knows whether the job exists; the message
            says how to look. TooManyRequests: the job does not exist. Others of ``JobService.create``.
    """
    mark = dict(request.annotations)[SUBMISSION]
    delay = FIRST_DELAY
    lost = False  # whether the reply to an earlier request was lost; that request may have created the job
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return service.create(request)
        except TooManyRequests:
            if attempt == ATTEMPTS:
                raise
            sleep(delay)
        except RequestRefused:
            # Perhaps because the name is in use by the very job that the lost request created.
            job = _look(service, request, mark, sleep, 1) if lost else None
            if job is None:
                raise
            return job
        except ModelArtsUnavailable as error:
            log.warning("%s. Looking whether the job was created", error.what)
            lost = True
            job = _look(service, request, mark, sleep, LOOKS)
            if job is not None:
                log.info("the job was created; only the reply was lost")
                return job
            if attempt == ATTEMPTS:
                raise ModelArtsUnavailable(
                    f"the job could not be created in {ATTEMPTS} attempts ({error.what})", request.name,
                    "Before you submit again, look for the name in `python -m job jobs`") from error
        delay *= 2
    raise AssertionError("the last attempt returns or raises")


def _look(service: JobService, request: JobRequest, mark: str, sleep: Callable[[float], None],
          looks: int) -> Optional[Job]:
    """The job that an earlier request created, or None if it is not listed.

    Raises:
        ModelArtsUnavailable: the list cannot be read, so a second request could make a second job.
    """
    for number in range(looks):
        sleep(FIRST_DELAY * 2 ** number)
        try:
            found = [job for job in service.find(request.name) if _is_ours(job, mark)]
        except ModelArtsError as error:
            raise ModelArtsUnavailable(
                f"nobody knows whether the job was created ({error.what})", request.name,
                "Before you submit again, look for the name in `python -m job jobs`") from error
        if found:
            return found[0]
    return None


def _is_ours(job: Job, mark: str) -> bool:
    """Whether the job belongs to this submission. Its description says so too, in case ModelArts drops annotations."""
    return job.annotations.get(SUBMISSION) == mark or (SUBMISSION not in job.annotations and mark in job.description)
