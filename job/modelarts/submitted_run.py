"""The run that a job of ModelArts trains: where it is stored, and what it has published so far.

A job that `submit` created says it in annotations. Of a job that a person created in the console, the parameters say
it, or the configuration file in its code folder that they name.
"""

from __future__ import annotations

import calendar
import os
import tempfile
import time
from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional, Sequence, Tuple

from job.config.files import Given, read_config_file
from job.config.run_names import derived_name
from job.config.settings import settings
from job.errors import ConfigError
from job.exits import CONFIGURATION
from job.modelarts.request import RUN, TARGET
from job.modelarts.service import CREATING, PENDING, Job
from job.publication.history import read_history
from job.publication.run_record import read_published
from obs_sync import AccessDenied, IntegrityError, Store, StoreError, StoreUnavailable
from obs_sync.json_document import DocumentError
from obs_sync.store import read_at_most

LARGEST_CONFIG = 1 << 20  # bytes of a configuration file that is read
ANNOTATIONS = {"run_name": RUN, "target_domain": TARGET}
SIGNS = ("config", "run_name", "target_domain")  # a job without any of these is another program's
HOST = "modelarts-job-"  # begins the name of a container of ModelArts, before the id of its job
SLACK = 2.0  # seconds by which the clocks of a job and of the platform may differ
REMOTE = ("obs://", "s3://")

OpenAt = Callable[[str], Store]
"""Opens the store at a URL."""


class SubmittedRun(NamedTuple):
    """url: of its folder, train_url/name. target: the domain that it tests on."""

    name: str
    target: str
    url: str


class Accuracy(NamedTuple):
    """The newest accuracy of a run on its target, per cent, and the iteration of it.

    problem: why there is none. of_job: whether the job that was asked about trained that iteration, as far as the run
    tells; several jobs may train one run, one after the other.
    """

    target_accuracy: Optional[float]
    iteration: Optional[int]
    problem: str = ""
    of_job: bool = False


def attempt_of(attempts: Sequence[Mapping[str, Any]], iteration: int) -> Optional[Mapping[str, Any]]:
    """The attempt of a run.json that trained an iteration: the last one that began before it. None if not known."""
    return next((each for each in reversed(attempts) if each.get("from_iteration", iteration) < iteration), None)


def is_of_job(job: Job, attempt: Optional[Mapping[str, Any]]) -> bool:
    """Whether a job made an attempt: by the name of its host, which has the job's id, or else by their times.

    A job that lost the lease of the run ended at once, and made no attempt.
    """
    if attempt is None:
        return False
    host = str(attempt.get("host", ""))
    if host.startswith(HOST):
        return host.startswith(f"{HOST}{job.id}-")
    starts = [each.start for each in job.records if each.start]
    ends = [each.end for each in job.records if each.end]
    began, ended = _seconds(attempt.get("started")), _seconds(attempt.get("ended"))
    if began is None or began < (min(starts) if starts else job.created) - SLACK:
        return False
    if not job.is_final:
        return job.phase not in (CREATING, PENDING) or bool(starts)
    end = max(ends) if ends else job.created + job.duration
    if ended is None:  # it was killed; a job with an exit code of its own was not
        return began <= end + SLACK and not any(task.exit_code == CONFIGURATION for task in job.tasks)
    return ended <= end + SLACK


def _seconds(moment: Any) -> Optional[float]:
    """Seconds since 1970 of a moment in a run.json."""
    try:
        return float(calendar.timegm(time.strptime(str(moment), "%Y-%m-%dT%H:%M:%SZ")))
    except ValueError:
        return None


class RunReader:
    """Finds the runs of jobs. A configuration file that several jobs share is read once."""

    def __init__(self, open_at: OpenAt) -> None:
        self._open_at = open_at
        self._files: Dict[Tuple[str, str], Mapping[str, Given]] = {}

    def run_of(self, job: Job) -> Optional[SubmittedRun]:
        """The run of a job; None if the job is not one of this program, or says too little."""
        given = dict(job.parameters)
        given.update((name, place) for name, place in job.outputs.items() if name == "train_url")
        given.update((name, job.annotations[key]) for name, key in ANNOTATIONS.items() if job.annotations.get(key))
        if not ("run_name" in given and "target_domain" in given and "train_url" in given) and given.get("config"):
            in_file = self._file(job.code_dir, given["config"])
            given = dict({name: str(each.value) for name, each in in_file.items() if each.value is not None}, **given)
        parent = given.get("train_url", "")
        if not parent.startswith(REMOTE) or not any(name in given for name in SIGNS):
            return None
        target = given.get("target_domain") or str(settings()["target_domain"].default)
        name = given.get("run_name") or derived_name("masf_", target)
        return SubmittedRun(name, target, f"{parent.rstrip('/')}/{name}")

    def accuracy_of(self, run: SubmittedRun, job: Job) -> Accuracy:
        """The newest accuracy in the metrics.jsonl of the run of a job, or the reason why it is not known."""
        try:
            with self._open_at(run.url) as store:
                history = read_history(store)
                record = read_published(store) if history else None
        except AccessDenied:
            return Accuracy(None, None, "no right to read it")
        except StoreUnavailable:
            return Accuracy(None, None, "storage unavailable")
        except IntegrityError:
            return Accuracy(None, None, "damaged")
        except StoreError:
            return Accuracy(None, None, "cannot be read")
        if not history:
            return Accuracy(None, None)
        iteration = history[-1]["iteration"]
        trained = record is not None and is_of_job(job, attempt_of(record["attempts"], iteration))
        return Accuracy(history[-1]["target_accuracy"], iteration, of_job=trained)

    def _file(self, code_dir: str, name: str) -> Mapping[str, Given]:
        """The settings in a configuration file of a job's code; none if it cannot be read."""
        if (code_dir, name) not in self._files:
            self._files[code_dir, name] = self._read_file(code_dir, name)
        return self._files[code_dir, name]

    def _read_file(self, code_dir: str, name: str) -> Mapping[str, Given]:
        if not code_dir.startswith(REMOTE):
            return {}
        try:
            with self._open_at(code_dir) as store:
                content = read_at_most(store, os.path.normpath(name).replace(os.sep, "/"), LARGEST_CONFIG)
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "config.yaml")
                with open(path, "wb") as stream:
                    stream.write(content)
                return read_config_file(path)[0]
        except (StoreError, DocumentError, ConfigError):
            return {}
