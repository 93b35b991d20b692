"""Bring a trained network to the local disk, and say with which settings it is evaluated. Needs no TensorFlow."""
from __future__ import annotations

import logging
import os
from typing import Dict, NamedTuple, Optional

import numpy as np

from job.config.settings import Config, config_of, settings, values_of
from job.console import Console
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
            trained = find_trained(place, checkpoint, open_at)
            path = _fetched(trained, workspace, console, open_at)
            break
        except ObjectNotFound:
            if not left:
                raise
            log.info("a file of the checkpoint has disappeared; looking for the checkpoint again")
    told = record_of(trained.file, path)
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
