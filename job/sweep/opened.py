"""A study that is open: its runs, where they are stored, and how that is read."""
from __future__ import annotations

import logging
import os
from typing import Dict, List, Mapping, NamedTuple, Optional

from job.config.files import Given
from job.config.submit_options import SubmitOptions, obs_url, resolve_options
from job.environment import read_environment
from job.errors import ConfigError
from job.modelarts import sdk_service
from job.modelarts.access import obs_environment, read_access, secrets_of
from job.modelarts.parameters import PLACES
from job.modelarts.service import JobService
from job.sweep.local import FOLDER
from job.sweep.plan import Kind, PlannedRun, kinds_of, repeated, runs_of
from job.sweep.state import OpenAt
from job.sweep.study_file import PER_JOB, RUNNERS, StudyFile, read_study
from job.sweep.targets import check_targets, domains_of
from obs_sync import Store, is_remote, open_store

log = logging.getLogger(__name__)

LOCAL, MODELARTS = RUNNERS


class OnModelArts(NamedTuple):
    """ModelArts, and how jobs are submitted. secrets: that must not be in the code that is uploaded."""

    service: JobService
    options: SubmitOptions
    secrets: List[str]


class Study(NamedTuple):
    """An open study.

    folder: of the sweep's files on this machine. environ: environment variables, with the key for OBS. modelarts: None
    if the runs are processes of this machine.
    """

    path: str
    kinds: List[Kind]
    runs: List[PlannedRun]
    folder: str
    environ: Mapping[str, str]
    open_at: OpenAt
    modelarts: Optional[OnModelArts]


def open_study(path: str, flags: Mapping[str, Given], runner: Optional[str], environ: Mapping[str, str],
               to_start: bool = False) -> Study:
    """Read the file of a study, and resolve its runs.

    Args:
        flags: settings of the command line. runner: one of ``study_file.RUNNERS``, None for that of the file.
            to_start: check that the listed targets are domains of the data, and name options that have no effect
            and runs that train the same.

    Raises:
        ConfigError: the file or a setting is wrong. DataError, StoreError: the domains cannot be found.
        ModelArtsError: there is no key.
    """
    file = read_study(path)
    modelarts = None
    if to_start:
        warn_of_unused(file, runner)
    if (runner or file.runner) == MODELARTS:
        options = resolve_options(file.submit)
        service = sdk_service.connect(environ, options.region or "")
        access = read_access(environ)
        environ = obs_environment(environ, access, service.region)
        modelarts = OnModelArts(service, options, secrets_of(access, environ))
        flags = places_in_obs(flags)
        file = file._replace(base=[places_in_obs(source) for source in file.base])
    kinds = kinds_of(file, flags)
    if to_start:
        for told in repeated(kinds):
            log.warning("%s: %s", file.path, told)
    config = kinds[0].config
    backend = config.platform.storage
    work_dir = os.path.abspath(config.platform.work_dir or read_environment(environ).work_dir)

    def open_at(url: str) -> Store:
        return open_store(url, environ, backend=backend)

    places = (config.data.data_url, config.platform.train_url)
    if modelarts is not None and not all(is_remote(place or "") for place in places):
        raise ConfigError(f"{file.path}: a job of ModelArts sees only OBS: data_url and train_url have to be "
                          "obs://bucket/folder/ or /bucket/folder/")
    if file.targets and to_start:
        check_targets(file.path, file.targets, config, work_dir, environ)
    targets = file.targets or domains_of(config, work_dir, environ)
    runs = runs_of(file, kinds, targets, config.platform.train_url or os.path.join(work_dir, "output"))
    return Study(file.path, kinds, runs, os.path.join(work_dir, FOLDER), environ, open_at, modelarts)


def warn_of_unused(file: StudyFile, runner: Optional[str]) -> None:
    """Warn of options of submit that have no effect. runner: as of ``open_study``."""
    of_config, own = file.submit
    if (runner or file.runner) == LOCAL:
        if own and runner is None:
            log.warning("%s: submit has no effect, because the runs run on this machine. `runner: modelarts` or "
                        "--runner=modelarts makes them jobs of ModelArts", file.path)
        return
    for name in PER_JOB:
        if name in of_config:
            log.warning("%s: submit: %s has no effect in a study: %s", of_config[name].where, name, PER_JOB[name])


def places_in_obs(given: Mapping[str, Given]) -> Dict[str, Given]:
    """``given`` with its places in OBS as obs:// URLs, also those written as the console does, /bucket/folder/.

    Raises:
        ConfigError: a folder that is not in OBS, which a job of ModelArts cannot see.
    """
    found = dict(given)
    for name, is_folder in PLACES.items():
        value, where = given.get(name, Given(None, ""))
        if isinstance(value, str) and value.strip() and (is_folder or value.startswith("/")):
            try:
                found[name] = Given(obs_url(value.strip(), is_folder), where)
            except ValueError:
                raise ConfigError(f"{where}: {name} cannot be {value!r}; a job of ModelArts sees only OBS, so expected "
                                  "obs://bucket/folder/ or /bucket/folder/") from None
    return found
