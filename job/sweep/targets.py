"""The domains of a study's data, for ``targets: all``. Images are neither fetched nor decoded."""
from __future__ import annotations

from typing import List, Mapping

from job.config.settings import Config
from job.errors import ConfigError
from job.inputs.check import check_data
from job.inputs.fetch import local_root
from job.preflight.data import find_structure
from job.preflight.rows import Unknown
from job.preflight.storage import list_data
from obs_sync import open_store


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
        raise ConfigError(f"targets: all: the domains were not found ({error}); list them in the file") from error


def _names(config: Config, listing: object, root: object) -> List[str]:
    index = find_structure(config, listing, root, to_train=False).index
    return [domain.name for domain in index.domains]
