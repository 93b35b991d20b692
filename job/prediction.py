"""A trained network on images that a user names, with labels or without. It brings TensorFlow.

Files are decoded ahead of their use while the network computes, and every batch has one shape. The network is the one
of `evaluation`, so the same pixels get the same numbers.
"""
from __future__ import annotations

import time
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from job.card_paths import ascend_settings, on_card, place_below
from job.config.settings import Config
from job.console import Console
from job.inputs.fetch_trained import Network
from job.inputs.images import Image
from job.preparation import device_of, evaluation_model
from job.ranks.group import ALONE
from job.reports.predictions import Prediction, Predictions
from job.workspace import Workspace
from masf_core.data.batches import decoded_batches
from masf_core.errors import DataError


def predict(network: Network, config: Config, classes: Tuple[str, ...], values: Dict[str, np.ndarray],
            images: Sequence[Image], workspace: Workspace, console: Console, environ: Mapping[str, str]) -> Predictions:
    """Predict the class of every image.

    Args:
        values: of the network's variables. images: with absolute paths. environ: environment variables.

    Raises:
        DeviceError: the device is not there, or has too little memory.
    """
    place = place_below(workspace.root, "predict", ALONE)
    here = device_of(config, ascend_settings(config.ascend, place))
    results: List[Optional[Prediction]] = [
        Prediction(image.path, image.shown, image.label, None, image.problem) if image.problem else None
        for image in images]
    waiting = [number for number, result in enumerate(results) if result is None]
    batch, trained = config.interval.evaluation_batch, network.trained
    with on_card(here.name, place, environ), evaluation_model(
            config, here, len(classes), values) as model, console.task(
            "predict", "images", log_lines=False) as progress:
        began, done = time.monotonic(), 0
        for found in decoded_batches([images[number].path for number in waiting], batch,
                                     model.backbone.image_size, config.data.max_pixels):
            progress(done, len(waiting))
            for row, reason in found.problems:
                image = images[waiting[row]]
                results[waiting[row]] = Prediction(image.path, image.shown, image.label, None, reason)
            if len(found.rows):
                for row, logits in zip(found.rows, model.logits(found.pixels)):
                    image = images[waiting[row]]
                    results[waiting[row]] = Prediction(image.path, image.shown, image.label, probabilities(logits))
            done += len(found.rows) + len(found.problems)
        progress(done, len(waiting))
        seconds = time.monotonic() - began
    return Predictions(trained.file.told, network.source, network.sha256, trained.iteration, here.describe(), classes,
                       results, seconds)


def probabilities(logits: np.ndarray) -> np.ndarray:
    """The softmax of float32 [C], as float64."""
    scores = np.exp(logits.astype(np.float64) - logits.max())
    return scores / scores.sum()


def refuse_all_unreadable(found: Predictions) -> None:
    """Raise DataError where not a single image could be read."""
    bad = found.unreadable()
    if len(bad) == len(found.images):
        raise DataError(f"none of the images can be read ({len(bad):,}), such as {bad[0].shown}: {bad[0].problem}")
