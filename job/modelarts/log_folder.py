"""The log of a job from the folder in OBS alone, for those who have no rights in ModelArts."""

from __future__ import annotations

import logging
import os
import re
import time
from typing import Callable, Mapping, Sequence

from job.config.near_miss import suggestion
from job.config.submit_options import obs_folder
from job.console import duration
from job.errors import ConfigError
from job.exits import DONE, INTERRUPTED, UNEXPECTED
from job.modelarts.access import read_region
from job.modelarts.follow import PAUSE, line_event, tell_all
from job.modelarts.job_log import FIRST_TASK, log_key
from job.modelarts.log_lines import ObjectLog
from job.modelarts.names import ID
from job.modelarts.session import opener
from job.printable import printable
from job.reports.events import Event
from job.reports.watch import pause_after
from job.stopping import begin_line
from obs_sync import ObjectNotFound, Store, StoreUnavailable, is_remote, open_store
from obs_sync.esdk.credentials import has_obs_credentials

log = logging.getLogger(__name__)

PATIENCE = 1800.0  # seconds without a new line, after which nobody waits any longer
_KEY = re.compile(r"modelarts-job-(.+)-(worker-\d+)\.log\Z")


def open_log_folder(place: str, region: str, environ: Mapping[str, str] = os.environ) -> Store:
    """The store of a log_url, in any of its spellings, or of a local copy of it.

    Raises:
        ConfigError: it is no folder in OBS. ModelArtsError, obs_sync.StoreError: there is no access key, or no region.
    """
    if not is_remote(place) and os.path.isdir(place):
        return open_store(place, environ)
    try:
        url = obs_folder().convert(place)
    except ValueError:
        raise ConfigError(f"--log_url={place}: expected {obs_folder().expected}") from None
    if has_obs_credentials(environ):
        return open_store(url, environ)
    return opener(environ, read_region(environ, region))(url)


def tell_log_object(store: Store, job_id: str, task: str, tell: Callable[[Sequence[Event]], None], follow: bool,
                    pause: float = PAUSE, patience: float = PATIENCE, sleep: Callable[[float], None] = time.sleep,
                    clock: Callable[[], float] = time.monotonic) -> int:
    """Tell the lines of a job's log object, and return the exit code of the command.

    The object does not say whether the job has ended. So following ends after ``patience`` seconds without a new line,
    with ``UNEXPECTED``, or with Ctrl-C.

    Args:
        store: of the log_url. task: "" for the first. tell: called with the lines of each look. follow: wait for more.
            pause: seconds between two looks. sleep: waits so many seconds. clock: monotonic seconds.

    Raises:
        ObjectNotFound: there is no log of this job; the message names a similar one. StoreError.
    """
    task = task or FIRST_TASK
    key = log_key(job_id, task)
    if not store.exists(key) and not (follow and ID.match(job_id)):
        raise _no_log(store, job_id, task)
    source = ObjectLog(store, key)
    if not follow:
        tell_all(source, task, tell)
        return DONE
    life, failures = clock(), 0
    try:
        while True:
            try:
                lines = source.read()
            except StoreUnavailable as error:
                failures += 1
                if failures == 1:
                    log.warning("the storage does not answer, retrying until it does: %s", error)
                life = clock()
                sleep(pause_after(failures, pause))
                continue
            failures = 0
            if lines:
                tell([line_event(task, line) for line in lines])
                life = clock()
            elif clock() - life > patience:
                tell([line_event(task, line) for line in source.read(final=True)])
                log.error("the log has had no new line for %s. Whether the job has ended can only be seen in ModelArts",
                          duration(clock() - life))
                return UNEXPECTED
            sleep(pause)
    except KeyboardInterrupt:
        begin_line()
        return INTERRUPTED


def _no_log(store: Store, job_id: str, task: str) -> ObjectNotFound:
    found = [match.groups() for match in (_KEY.match(info.key) for info in store.list()) if match]
    of_job = sorted(each for name, each in found if name == job_id)
    if of_job:
        return ObjectNotFound(f"the job has no log of {task!r}, but of {', '.join(map(printable, of_job))}", store.url,
                              "Choose one of these with --task")
    return ObjectNotFound(f"there is no log of a job with the id {job_id!r}{suggestion(job_id, [n for n, _ in found])}",
                          store.url, "With --log_url, NAME is the id of the job, which is part of the log's file name")
