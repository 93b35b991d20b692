"""The domains of a study's data, for `targets`. Images are neither fetched nor decoded."""
from __future__ import annotations

import logging
from typing import List, Mapping, Sequence

from job.config.near_miss import suggestion
from job.config.settings import Config
from job.errors import ConfigError
from job.inputs.check import check_data
from job.inputs.fetch import local_root
from job.preflight.data import find_structure
from job.preflight.rows import Unknown
from job.preflight.storage import list_data
from masf_core.errors import DataError
from obs_sync import StoreError, open_store

log = logging.getLogger(__name__)


def domains_of(config: Config, work_dir: str, environ: Mapping[str, str]) -> List[str]:
    """The names of the domains that ``config`` uses: those of the setting ``domains``, else those of the data.

    Args:
        work_dir: of the runs, absolute; its files are not data. environ: environment variables.

    Raises:
        DataError: the data cannot be used. ConfigError: there are too many files. StoreError: storage.
    """
    if config.data.domains is not None:
        return list(config.data.domains)
    check_data(config.data, config.platform.storage, environ)
    root = local_root(config.data)
    try:
        if root is not None:
            return _names(config, None, root)
        with open_store(config.data.data_url, environ, backend=config.platform.storage) as store:
            return _names(config, list_data(config, store, work_dir), None)
    except Unknown as error:
        raise ConfigError(f"targets: the domains of the data were not found ({error}); list the targets in the file, "
                          "or set domains") from error


def check_targets(path: str, targets: Sequence[str], config: Config, work_dir: str, environ: Mapping[str, str]) -> None:
    """Check that the listed targets are domains of the data. If the data cannot be read, a warning says so.

    Args:
        path: of the study's file. work_dir, environ: as of ``domains_of``.

    Raises:
        ConfigError: names every target that is no domain.
    """
    try:
        domains = domains_of(config, work_dir, environ)
    except (ConfigError, DataError, StoreError) as error:
        log.warning("the targets were not checked, because the data cannot be read: %s", error)
        return
    problems = [f"{path}: targets: the data have no domain {each!r}; expected some of {', '.join(domains)}"
                + suggestion(each, domains) for each in targets if each not in domains]
    if problems:
        raise ConfigError(problems)


def _names(config: Config, listing: object, root: object) -> List[str]:
    index = find_structure(config, listing, root, to_train=False).index
    return [domain.name for domain in index.domains]
