"""The images on which an export is compared with the evaluator: those of the run's data if they are at hand."""
from __future__ import annotations

import logging
import os
from typing import Any, List, NamedTuple, Optional

import numpy as np

from job.config.settings import Config, Data
from job.inputs.fetch import local_root
from job.inputs.images import Image, Images
from job.workspace import Workspace
from masf_core.data.batches import decoded_batches
from masf_core.errors import DataError

log = logging.getLogger(__name__)

COUNT = 32


class Samples(NamedTuple):
    """pixels: uint8 [n, S, S, 3] BGR. source: in words, behind a count."""

    pixels: np.ndarray
    source: str


def find_samples(given: Optional[str], config: Config, images: Images, workspace: Workspace, side: int) -> Samples:
    """Up to ``COUNT`` images, spread over what there is.

    Args:
        given: an image, a folder, a list or a URL; None takes the data of the run where they are on this machine, or
            synthetic images. images: finds images. side: S.

    Raises:
        As ``Images.find``; DataError: ``given`` has no image that can be read.
    """
    def real(place: str) -> Samples:
        pixels = _decoded(images.find([place]), side, config.data.max_pixels)
        if not len(pixels):
            raise DataError(f"--images={place}: there is no image that can be read")
        return Samples(pixels, f"images of {place}")

    if given is not None:
        return real(given)
    place = _data_at_hand(config.data, workspace)
    if place is None:
        log.warning("the data of the run are not on this machine, so the export is compared on synthetic images. "
                    "--images=PLACE names real ones")
    else:
        try:
            return real(place)
        except DataError:
            log.warning("%s has no image that can be read, so the export is compared on synthetic images", place)
    return Samples(synthetic(COUNT, side), "synthetic images")


def _data_at_hand(data: Data, workspace: Workspace) -> Optional[str]:
    """The local folder of the run's data; None where they would have to be fetched."""
    folder = local_root(data)
    if folder is None and data.data_url is not None:
        folder = workspace.inputs(data.data_url)
    return folder if folder is not None and os.path.isdir(folder) else None


def _decoded(found: List[Image], side: int, max_pixels: int) -> np.ndarray:
    """The pixels of up to ``COUNT`` images that can be decoded, spread over all of them."""
    step = max(1, len(found) // COUNT)
    order = [image for start in range(step) for image in found[start::step]]
    pixels: List[Any] = []
    batches = decoded_batches([image.path for image in order if not image.problem], COUNT, side, max_pixels)
    for batch in batches:
        pixels += list(batch.pixels)
        if len(pixels) >= COUNT:
            break
    batches.close()
    return np.stack(pixels[:COUNT]) if pixels else np.empty((0, side, side, 3), np.uint8)


def synthetic(count: int, side: int) -> np.ndarray:
    """Coloured patches of several sizes with noise over them, uint8 [count, side, side, 3]; always the same ones."""
    random = np.random.RandomState(0)
    images = np.empty((count, side, side, 3), np.uint8)
    for number in range(count):
        coarse = 2 + number % 15
        patches = random.randint(0, 256, (coarse, coarse, 3))
        at = np.arange(side) * coarse // side
        noise = random.randint(-30, 31, (side, side, 3))
        images[number] = np.clip(patches[at][:, at] + noise, 0, 255)
    return images
