"""Weights that are compared with the network before TensorFlow is loaded and before the data are pulled.

Both take their time: a file of another network is worth telling first. What the number of classes decides, the
classifier, is left to ``preparation.InitialWeights``.
"""
from __future__ import annotations

import os
import posixpath
from typing import Callable, Mapping, Optional, Tuple

from job.config.kinds import filters_of
from job.config.settings import Config, Network
from job.console import Console
from job.errors import NoSuchWeights
from job.inputs.fetch import local_root
from job.inputs.fetch_weights import Located, companions, fetch_weights, missing_weights
from job.inputs.weights import find_weights, local_place, stored_file
from job.workspace import Workspace
from masf_core.network.architecture import make_architecture
from masf_core.network.pretrained import Layers, read_pretrained
from obs_sync import Store, is_remote, open_store, pull
from obs_sync.packs.index import INDEX_NAME

SOME_CLASSES = 2  # where the configuration does not say how many; the comparison is about the other layers


class EarlyWeights:
    """A weights file that fits the network.

    Args:
        path: the local file. located: as ``fetch_weights`` returns it; None where the file is one of the data, which
            are pulled later.

    Raises:
        WeightsError: the file is damaged.
    """

    def __init__(self, path: str, located: Optional[Located]) -> None:
        self.located = located
        self._path, self._version = path, _version(path)
        self._layers: Optional[Layers] = read_pretrained(path)

    def check(self, network: Network, num_classes: int) -> None:
        """Raise WeightsError where the file does not fit the network."""
        make_architecture(network.backbone, num_classes, network.width).from_pretrained(self._layers or {}, self._path)

    def take_layers(self, path: Optional[str]) -> Optional[Layers]:
        """The content if ``path`` is this file and it has not been written since; otherwise None.

        The content is handed over once, because it is as large as the network.
        """
        layers, self._layers = self._layers, None
        return layers if path == self._path and self._version == _version(path) else None


def read_early(config: Config, workspace: Workspace, console: Console,
               environ: Mapping[str, str]) -> Optional[EarlyWeights]:
    """Fetch the weights, read them and compare them with the network.

    Returns:
        None without weights, and where they come with the data alone, such as in a pack.

    Raises:
        WeightsError: they are not there, are damaged, or do not fit the network. StoreError: storage.
    """
    if config.data.weights_path == "none":
        return None
    located = _locate_without_data(config, workspace, console, environ)
    path = _pull_from_data(config, workspace, console, environ) if located is None else located[0]
    if path is None:
        return None
    early = EarlyWeights(path, located)
    early.check(config.network, config.data.num_classes or SOME_CLASSES)
    return early


def _locate_without_data(config: Config, workspace: Workspace, console: Console,
                         environ: Mapping[str, str]) -> Optional[Located]:
    """The weights where they do not come with data that are pulled: with a URL, a place or data of their own."""
    path, root = config.data.weights_path, local_root(config.data)
    if path is None or is_remote(path) or os.path.isabs(path) or root is not None:
        return fetch_weights(config, root or os.curdir, workspace, console, environ)
    return None


def _pull_from_data(config: Config, workspace: Workspace, console: Console,
                    environ: Mapping[str, str]) -> Optional[str]:
    """The weights among data that are pulled: this one file is pulled first, to where the data are going to be.

    Returns:
        The local file, None where it lies in a pack.

    Raises:
        NoSuchWeights: it is neither below data_url nor here.
    """
    url, path, destination = config.data.data_url, config.data.weights_path, workspace.inputs(config.data.data_url)

    def open_at(place: str) -> Store:
        return open_store(place, environ, backend=config.platform.storage)

    with open_at(url) as store:
        key = _key_of(store, posixpath.normpath(path), url, open_at)
        if key is not None and filters_of(config.data.exclude).selects(key):
            for one in companions(store, key) + [key]:
                pull(store, destination, prefix=one, selects=lambda other, one=one: other == one,
                     on_progress=console.task("weights", "B"))
            return os.path.join(destination, *key.split("/"))
        if local_place(os.path.abspath(path)) is not None:
            return fetch_weights(config, os.curdir, workspace, console, environ)[0]
        if store.exists(INDEX_NAME):
            return None
        raise missing_weights([store.locate(path), os.path.abspath(path)])


def _key_of(store: Store, path: str, url: str, open_at: Callable[[str], Store]) -> Optional[str]:
    """The key below data_url of the weights at the relative ``path``: a file, a checkpoint or a run."""
    if path == os.curdir or path.startswith(os.pardir):
        return None
    key = stored_file(store, path)
    if key is not None:
        return key
    folder = url.rstrip("/") + "/"
    try:
        found = find_weights(folder + path + "/", open_at)
    except NoSuchWeights:
        return None
    return (found.folder + found.key)[len(folder):]


def _version(path: str) -> Tuple[int, int]:
    status = os.stat(path)
    return status.st_mtime_ns, status.st_size
