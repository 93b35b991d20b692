"""Find the job that somebody means: by its name, or by its id."""

from __future__ import annotations

import itertools
import re

from job.config.near_miss import suggestion
from job.modelarts.errors import NoSuchJob
from job.modelarts.service import Job, JobService
from job.printable import printable

ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z", re.IGNORECASE)
LOOKED_THROUGH = 500  # jobs among which a similar name is looked for


def find_job(service: JobService, name: str) -> Job:
    """The job whose id or name is ``name``.

    Raises:
        NoSuchJob: there is none, and the message names a similar one; several jobs have the name; or it is empty.
        ModelArtsError.
    """
    if not name.strip():
        raise NoSuchJob("the name of the job is empty; `python -m job jobs` lists the jobs")
    if ID.match(name):
        try:
            return service.get(name)
        except NoSuchJob:  # a name may look like an id
            pass
    found = service.find(name)
    if len(found) == 1:
        return found[0]
    if found:
        told = "; ".join(f"{printable(job.id)} ({printable(job.phase)})" for job in found[:10])
        more = f"; and {len(found) - 10} more" if len(found) > 10 else ""
        raise NoSuchJob(f"{len(found)} jobs have the name {name!r}. Give the id of one of them, the newest first: "
                        f"{told}{more}")
    jobs = list(itertools.islice(service.jobs(), LOOKED_THROUGH))
    for job in jobs:
        if job.id == name:  # an id of another form
            return job
    known = [each for job in jobs for each in (job.name, job.id)]
    where = f" in {service.region}" if service.region else ""
    raise NoSuchJob(f"ModelArts{where} has no job {name!r}{_suggested(name, known)} `python -m job jobs` lists the "
                    "jobs; check --region and the project")


def _suggested(name: str, known: list) -> str:
    """The end of the sentence: what was probably meant. An unfinished name or id is completed."""
    begun = [each for each in known if each.startswith(name)]
    return (f"; did you mean {begun[0]!r}?" if begun else suggestion(name, known)) or "."
