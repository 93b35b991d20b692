"""Jobs on disk, so that a mock that is started again in the same folder still lists them.

`<jobs>/<id>/job.json` describes a job, and `<jobs>/<id>/<task>.log` are its logs. A job that was not over when its mock
ended is Abnormal afterwards, because its processes ended with the mock.
"""
from __future__ import annotations

import json
import logging
import os
import shutil
from typing import Any, Dict, Iterator

from job.modelarts.mocked.catalogue import Catalogue
from job.modelarts.mocked.errors import ModelArtsError
from job.modelarts.mocked.jobs.job import ABNORMAL, PENDING, RUNNING, Event, Job, Record, Task
from job.modelarts.mocked.jobs.logs import TaskLog
from job.modelarts.mocked.jobs.places import AnyPlaces
from job.modelarts.mocked.jobs.request import read_job

log = logging.getLogger(__name__)

_NAME = "job.json"


def save(job: Job) -> None:
    """Writes what is known of a job, as a whole file."""
    content: Dict[str, Any] = {
        "id": job.id, "body": job.request.body, "created": job.created, "phase": job.phase, "since": job.since,
        "events": job.events, "records": job.records,
        "tasks": [{"name": task.name, "exit_code": task.exit_code, "message": task.message, "line": task.log.first_line}
                  for task in job.tasks]}
    path = os.path.join(job.folder, _NAME)
    with open(path + ".tmp", "w", encoding="utf-8") as stream:
        json.dump(content, stream)
    os.replace(path + ".tmp", path)


def load(folder: str, catalogue: Catalogue) -> Iterator[Job]:
    """The jobs of a folder, the oldest first. A job that cannot be read is left out, with a warning.

    Args:
        folder: of all jobs.
        catalogue: flavors, engines and pools.
    """
    found = []
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        path = os.path.join(folder, name, _NAME)
        try:
            with open(path, encoding="utf-8") as stream:
                found.append(_job_of(json.load(stream), os.path.join(folder, name), catalogue))
        except (OSError, ValueError, KeyError, TypeError, ModelArtsError) as error:
            log.warning("the job in %s cannot be read (%s: %s)", path, type(error).__name__, error)
    return iter(sorted(found, key=lambda job: job.created))


def _job_of(content: Dict[str, Any], folder: str, catalogue: Catalogue) -> Job:
    job = Job(content["id"], read_job(content["body"], catalogue, AnyPlaces()), folder, content["created"])
    job.enter(content["phase"], content["since"])
    job.events = [Event(*event) for event in content["events"]]
    job.records = [Record(*record) for record in content["records"]]
    for known in content["tasks"]:
        task = Task(known["name"], TaskLog(os.path.join(folder, known["name"] + ".log"), known["line"], kept=True))
        task.exit_code, task.message, task.uploaded = known["exit_code"], known["message"], task.log.size
        task.log.finish()
        job.tasks.append(task)
    if not job.is_final:
        _give_up(job)
    return job


def _give_up(job: Job) -> None:
    """A job whose mock was killed."""
    reason = "the mocked ModelArts was killed"
    last = job.since
    if job.phase in (PENDING, RUNNING):
        last = max([last] + [os.path.getmtime(task.log.path) for task in job.tasks])
    job.end_record(last, reason, None, None)
    job.enter(ABNORMAL, last)
    job.tell(last, f"Failed to run the training job. ({reason})", "Error")
    for name in os.listdir(job.folder):  # the disks of its containers
        if os.path.isdir(os.path.join(job.folder, name)):
            shutil.rmtree(os.path.join(job.folder, name), ignore_errors=True)
