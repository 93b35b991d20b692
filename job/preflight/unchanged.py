"""Whether the data changed since a finished run was trained on them, judged by names and sizes."""
from __future__ import annotations

import logging
import os
from typing import Any, Mapping

from job.config.settings import Config
from job.inputs.check import no_data
from job.inputs.fetch import local_root
from job.inputs.indexing import refuse_other_data
from job.preflight.data import find_structure
from job.preflight.rows import Unknown
from job.preflight.storage import list_data
from masf_core.errors import DataError
from obs_sync import StoreError, open_store

log = logging.getLogger(__name__)


def refuse_changed_data(config: Any, environ: Mapping[str, str], store: Any, told: Mapping[str, Any],
                        work_dir: str) -> None:
    """Raise ConfigError where the data changed since the run finished; warn where that cannot be found out.

    Args:
        store: the run's ``obs_sync.Store``. told: ``data`` of its run.json. work_dir: of the job.
    """
    if not told.get("fingerprint"):
        return
    try:
        index = _index_now(config, environ, work_dir)
    except (StoreError, DataError, Unknown, OSError) as error:
        # Data that were deleted after the end do not invalidate the run.
        log.warning("cannot check whether the data changed since the run was trained: %s", error)
        return
    if index.fingerprint != told["fingerprint"] and config.data.bad_data == "skip":
        log.warning("cannot check whether the data changed since the run was trained: with bad_data=skip, only "
                    "decoding shows which images are used")
        return
    refuse_other_data(store, told, index)


def _index_now(config: Config, environ: Mapping[str, str], work_dir: str) -> Any:
    root = local_root(config.data)
    if root is not None:
        if not os.path.isdir(root):
            raise DataError(f"the folder {root} does not exist")
        return find_structure(config, None, root).index
    if config.data.data_url is None:
        raise no_data()
    with open_store(config.data.data_url, environ, backend=config.platform.storage) as store:
        return find_structure(config, list_data(config, store, work_dir), None).index
