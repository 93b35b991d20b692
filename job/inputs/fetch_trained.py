"""Bring a trained network to the local disk, with the settings and class names that count. Needs no TensorFlow."""
from __future__ import annotations

import logging
import os
from typing import Dict, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from job.config.given_values import console_path
from job.config.loading import load_config
from job.config.settings import Config, config_of, settings, values_of
from job.console import Console
from job.errors import ConfigError, NoSuchWeights
from job.inputs.average_sidecar import sidecar_hint
from job.inputs.fetch_weights import pull_weights
from job.inputs.trained import OpenAt, Trained, find_trained
from job.inputs.weights import record_of
from job.workspace import Workspace
from masf_core.errors import WeightsError
from masf_core.network.architecture import make_architecture
from masf_core.network.pretrained import Layers, read_pretrained
from obs_sync import ObjectNotFound, is_remote

log = logging.getLogger(__name__)

# Settings that describe the machine that a run was on. Another machine has its own.
OF_THE_MACHINE = ("device", "storage", "work_dir", "logdir", "log_level", "profile_dir", "overflow_dump_dir",
                  "compile_cache_dir")
TRIES = 3  # a running job deletes checkpoints
METRIC = "metric.npz"  # the file of the metric network in a checkpoint


class Network(NamedTuple):
    """A trained network on the local disk. source: URL or path of its file. layers: the content."""

    trained: Trained
    source: str
    sha256: str
    path: str
    layers: Layers

    def values(self, config: Config, num_classes: int) -> Dict[str, np.ndarray]:
        """Variable name → float32 array, of every variable of the network.

        Raises:
            WeightsError: the file is of another network, or has another number of classes.
        """
        architecture = make_architecture(config.network.backbone, num_classes, config.network.width)
        shapes = architecture.shapes()
        for layer in architecture.new_layers:
            biases = shapes[layer + "/biases"]
            found = [array.shape for array in self.layers.get(layer, ()) if array.ndim == 1]
            if found != [biases]:
                told = f"{found[0][0]} classes" if found else "no classifier of this network"
                raise WeightsError(f"{self.source}: this file has {told}; expected {architecture.describe()}. Give a "
                                   "checkpoint of a run that was trained on these classes, or the data of the run")
        values = architecture.from_pretrained(self.layers, self.source, with_classifier=True, otherwise="")
        missing = sorted(set(shapes) - set(values))
        if missing:
            raise WeightsError(f"{self.source}: {', '.join(missing)} of another shape than {architecture.describe()} "
                               "has. Give the settings of the run: backbone and width")
        return values


class Opened(NamedTuple):
    """A network and the settings that count for it. provenance: where each setting comes from, see ``load_config``."""

    network: Network
    config: Config
    provenance: Mapping[str, str]


def open_network(place: str, checkpoint: Optional[str], words: Sequence[str], urls: Mapping[str, Tuple[str, str]],
                 workspace: Workspace, console: Console, open_at: OpenAt) -> Opened:
    """Fetch the network at a URL or local path. The settings of its run count, and before them those in ``words``.

    Args:
        checkpoint: see ``find_trained``. words: of the command line. urls: what the platform says, see ``load_config``.

    Raises:
        As ``fetch_network``; also ConfigError: a setting.
    """
    try:
        network = fetch_network(place, checkpoint, workspace, console, open_at)
    except NoSuchWeights as error:
        raise NoSuchWeights(with_obs_hint(str(error), place)) from None
    return Opened(network, *load_config(words, fallback=urls, base=settings_of(network.trained)))


def with_obs_hint(told: str, place: str) -> str:
    """What is told of a place where nothing is, and how to write it if it is a place in OBS as consoles show it."""
    meant = console_path(place)
    return told if meant is None else f"{told}. If it is in OBS, write {meant}"


def class_names(network: Network, config: Config, given: Optional[Sequence[str]]) -> Tuple[str, ...]:
    """The names of the network's classes in the classifier's order.

    Args:
        given: on the command line, for a network that does not know them; without them the classes are numbered from 0.

    Raises:
        ConfigError: other names are given than the network has, or another number of them.
        WeightsError: the file has no classifier of this network.
    """
    known = network.trained.classes
    if known is not None:
        if given is not None and list(given) != list(known):
            raise ConfigError(f"--classes={','.join(given)}: the network knows its classes: {', '.join(known)}. Leave "
                              "--classes out")
        return tuple(known)
    count = _classes_in(network, config)
    if given is None:
        log.warning("%s does not say the names of its %d classes, so they are numbered from 0. Name them, in the order "
                    "of the training, with --classes=A,B,...%s", network.trained.file.told, count,
                    _hint(network.trained))
        return tuple(str(number) for number in range(count))
    if len(given) != count:
        raise ConfigError(f"--classes names {len(given)} classes; the network has {count}")
    return tuple(given)


def _classes_in(network: Network, config: Config) -> int:
    architecture = make_architecture(config.network.backbone, 2, config.network.width)
    for layer in architecture.new_layers:
        for array in network.layers.get(layer, ()):
            if array.ndim == 1:
                return len(array)
    raise WeightsError(f"{network.source}: this file has no classifier of this network; expected a network.npz of "
                       f"{architecture.describe()}. Give the settings of the run: backbone and width"
                       + _hint(network.trained))


def _hint(trained: Trained) -> str:
    """See ``sidecar_hint``; "" of a checkpoint."""
    file = trained.file
    return "" if file.checkpoint is not None or trained.config is not None else sidecar_hint(file.folder, file.key)


def fetch_metric(network: Network, workspace: Workspace, console: Console, open_at: OpenAt) -> Dict[str, np.ndarray]:
    """The variables of a checkpoint's metric network: name → float32 array; empty where there is none.

    Raises:
        WeightsError: its file is damaged. StoreError: storage.
    """
    file = network.trained.file
    if file.checkpoint is None:
        return {}
    key = file.key[:-len(os.path.basename(file.key))] + METRIC
    try:
        path = _fetched(network.trained._replace(file=file._replace(key=key, sha256=None)), workspace, console, open_at)
    except ObjectNotFound:
        return {}
    return {f"{layer}/{part}": array for layer, arrays in read_pretrained(path).items()
            for part, array in zip(("weights", "biases"), arrays)}


def settings_of(trained: Trained) -> Optional[Config]:
    """The settings of the run, with defaults for those that describe its machine; None where nobody knows them."""
    if trained.config is None:
        return None
    own = {name: settings()[name].default for name in OF_THE_MACHINE}
    return config_of(dict(values_of(trained.config), **own))


def fetch_network(place: str, checkpoint: Optional[str], workspace: Workspace, console: Console,
                  open_at: OpenAt) -> Network:
    """Find, fetch and read a trained network. A checkpoint that a running job deletes meanwhile is looked for again.

    Args:
        place, checkpoint: see ``find_trained``.

    Raises:
        As ``find_trained``; also IntegrityError: the file is not the one in the checkpoint's marker.
    """
    for left in reversed(range(TRIES)):
        try:
            return read_network(find_trained(place, checkpoint, open_at), workspace, console, open_at)
        except ObjectNotFound:
            if not left:
                raise
            log.info("a file of the checkpoint has disappeared; looking for the checkpoint again")
    raise AssertionError("the last try returns or raises")


def read_network(trained: Trained, workspace: Workspace, console: Console, open_at: OpenAt) -> Network:
    """Fetch and read a trained network that was found.

    Raises:
        ObjectNotFound: it has been deleted since. IntegrityError: the file is not the one in the checkpoint's marker.
        WeightsError: it is no file of weights. StoreError: storage.
    """
    path = _fetched(trained, workspace, console, open_at)
    told = record_of(trained.file, path, "--checkpoint")
    log.info("network: %s", trained.file.told)
    return Network(trained, told["source"], told["sha256"], path, read_pretrained(path))


def _fetched(trained: Trained, workspace: Workspace, console: Console, open_at: OpenAt) -> str:
    file = trained.file
    if is_remote(file.folder):
        return pull_weights(file, workspace, console, open_at)
    path = os.path.join(file.folder, file.key)
    if not os.path.isfile(path):
        raise ObjectNotFound("the network of this checkpoint does not exist", path)
    return path
