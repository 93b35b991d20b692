"""Bring the weights to the local disk, and say what they are."""
from __future__ import annotations

import glob
import logging
import os
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Tuple

from job.config.settings import Config
from job.console import Console
from job.errors import NoSuchWeights
from job.inputs.check import no_weights
from job.inputs.weights import EXPECTED, Found, find_file, find_weights, local_place, record_of
from job.workspace import Workspace
from masf_core.errors import WeightsError
from masf_core.network.formats.tensorflow_checkpoint import SUFFIX as INDEX
from masf_core.network.formats.tensorflow_checkpoint import data_prefix
from obs_sync import Store, is_remote, open_store, pull_file

log = logging.getLogger(__name__)

# A local file, and what run.json says of it; both None where the network is trained from scratch.
Located = Tuple[Optional[str], Optional[Dict[str, Any]]]


def fetch_weights(config: Config, root: str, workspace: Workspace, console: Console,
                  environ: Mapping[str, str]) -> Located:
    """Pull the weights if they are remote, and locate them.

    Args:
        root: the local folder of the data, below which ``weights_path`` may be.

    Raises:
        WeightsError: there are none, or they are damaged. StoreError: storage.
    """
    path = config.data.weights_path
    if path is None:
        raise no_weights()
    if path == "none":
        return None, None

    def open_at(url: str) -> Store:
        return open_store(url, environ, backend=config.platform.storage)

    if is_remote(path):
        found = find_weights(path, open_at)
        local = pull_weights(found, workspace, console, open_at)
    else:
        place = local_weights(path, root)
        if os.path.isfile(place):
            return place, record_of(find_file(place, open_at), place)
        found = find_weights(place, open_at)
        local = os.path.join(found.folder, found.key)
        if not os.path.isfile(local):
            raise WeightsError(f"weights_path: {found.told} has no file {local}")
    record = record_of(found, local)
    log.info("weights: %s", found.told)
    return local, record


def pull_weights(found: Found, workspace: Workspace, console: Console, open_at: Callable[[str], Any]) -> str:
    """Pull a file of weights from a remote store; the data files of a TensorFlow checkpoint come with its index.

    Returns the local file. Raises StoreError.
    """
    local = workspace.weights(found.folder + found.key)
    with open_at(found.folder) as store:
        for key in companions(store, found.key):
            pull_file(store, key, data_prefix(local) + key[len(data_prefix(found.key)):],
                      on_progress=console.task("weights", "B"))
        pull_file(store, found.key, local, on_progress=console.task("weights", "B"))
    return local


def companions(store: Store, key: str) -> List[str]:
    """The keys of the data files of a TensorFlow checkpoint whose index is ``key``; none of other weights."""
    return [info.key for info in store.list(data_prefix(key))] if key.endswith(INDEX) else []


def local_companions(path: str) -> List[str]:
    """The data files beside the index of a local TensorFlow checkpoint; none of other weights."""
    return sorted(glob.glob(glob.escape(data_prefix(path)) + "*")) if path.endswith(INDEX) else []


def local_weights(path: str, root: str) -> str:
    """The file or folder that ``weights_path`` means, which is no URL: below ``root``, or from here.

    The name of a TensorFlow checkpoint, such as model.ckpt-300, means its index.

    Raises:
        NoSuchWeights: there is none.
    """
    candidates = [os.path.abspath(os.path.join(root, path)), os.path.abspath(path)]
    found = next(filter(None, map(local_place, candidates)), None)
    if found is None:
        raise missing_weights(candidates)
    return found


def missing_weights(places: Iterable[str]) -> NoSuchWeights:
    """The error about weights that are at none of the places that ``weights_path`` can mean."""
    return NoSuchWeights(f"weights_path: there is no {' and no '.join(dict.fromkeys(places))}. {EXPECTED}")
