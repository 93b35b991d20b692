"""Random changes of training images. By default only mirroring is on.

An image is cropped, jittered, made grey and mirrored, in this order. The changes are a function of (seed, domain, step)
and of the image's place in the batch. Each kind of change has its own random generator, so that turning one on does not
change the draws of the others.

Dimensions: B images, S image side.
"""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Callable, List, Optional, Sequence, Tuple

import numpy as np
from PIL import Image

from masf_core.randomness import generator

LARGEST_RATIO = 4.0 / 3.0  # of a crop's longer side to its shorter one
LUMA = (0.299, 0.587, 0.114)  # of red, green and blue, ITU-R BT.601, as Pillow's "L"
MAX_WORKERS = 4  # threads; further cores are for the other work of the host

Box = Tuple[int, int, int, int]  # left, top, right, bottom in pixels
Change = Tuple[Callable[..., Image.Image], Sequence]  # a function of an image, and its other arguments


@dataclass(frozen=True)
class Augmentation:
    """Which random changes training images get.

    flip_probability: probability that an image is mirrored left to right; default: the reference's 0.5·0.25·0.5.
    crop_scale_min: smallest part of the image's area that a random crop keeps, in (0, 1]; 1 does not crop.
    colour_jitter: s in [0, 1]; brightness, contrast and saturation are each multiplied by a factor in [1 − s, 1 + s].
    grey_probability: probability that an image is made grey.
    Raises ValueError for a value outside its range.
    """

    flip_probability: float = 0.0625
    crop_scale_min: float = 1.0
    colour_jitter: float = 0.0
    grey_probability: float = 0.0

    def __post_init__(self) -> None:
        for name in ("flip_probability", "colour_jitter", "grey_probability"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} must lie in [0, 1], got {getattr(self, name)}")
        if not 0.0 < self.crop_scale_min <= 1.0:
            raise ValueError(f"crop_scale_min must lie in (0, 1], got {self.crop_scale_min}")


REFERENCE = Augmentation()


def augment(
    images: np.ndarray, augmentation: Augmentation, seed: int, domain: str, step: int, workers: Optional[int] = None,
    rank: int = 0, ranks: int = 1,
) -> None:
    """Change a batch in place.

    images: uint8 [B, S, S, 3] BGR, C-contiguous. domain, step: of this batch.
    workers: threads for everything except mirroring, which is too quick to share; None takes one for each core, at most
    MAX_WORKERS. Their number does not change the result.
    rank, ranks: `images` are those at rank, rank + ranks, rank + 2·ranks and so on of a whole batch, and are changed as
    there.
    """
    batch, side = images.shape[:2]

    def draws(purpose: str, *each: int) -> np.ndarray:
        return generator(seed, purpose, domain, step).random_sample((ranks * batch,) + each)[rank::ranks]

    changes: List[List[Change]] = [[] for _ in range(batch)]
    if augmentation.crop_scale_min < 1.0:
        for i, each in enumerate(draws("crop", 4).tolist()):
            changes[i].append((crop, (crop_box(side, augmentation.crop_scale_min, each),)))
    if augmentation.colour_jitter > 0.0:
        for i, each in enumerate((2.0 * draws("jitter", 3) - 1.0).tolist()):
            changes[i].append((jitter, [1.0 + augmentation.colour_jitter * draw for draw in each]))
    if augmentation.grey_probability > 0.0:
        for i in np.flatnonzero(draws("grey") < augmentation.grey_probability):
            changes[i].append((grey, ()))
    changed = [i for i in range(batch) if changes[i]]
    if changed:
        _change(images, changes, changed, min(os.cpu_count() or 1, MAX_WORKERS) if workers is None else workers)
    for i in np.flatnonzero(draws("flip") < augmentation.flip_probability):
        _mirror(images[i])


def crop_box(side: int, scale_min: float, draws: List[float]) -> Box:
    """The crop, in whole pixels, that belongs to four draws from [0, 1).

    The area is side²·a with a uniform in [scale_min, 1]. The ratio width : height is r, with log r uniform in
    ±log(4/3), or in ±log(1/a) where only such ratios fit the square. Every place of the crop is equally likely.
    """
    area = scale_min + (1.0 - scale_min) * draws[0]
    widest = min(math.log(LARGEST_RATIO), -math.log(area))
    ratio = math.exp(widest * (2.0 * draws[1] - 1.0))
    width = min(max(int(round(side * math.sqrt(area * ratio))), 1), side)
    height = min(max(int(round(side * math.sqrt(area / ratio))), 1), side)
    left, top = int(draws[2] * (side - width + 1)), int(draws[3] * (side - height + 1))
    return left, top, left + width, top + height


def crop(pixels: Image.Image, box: Box) -> Image.Image:
    """This part of the image, enlarged bilinearly to the whole size."""
    return pixels.crop(box).resize(pixels.size, Image.BILINEAR)


def jitter(pixels: Image.Image, brightness: float, contrast: float, saturation: float) -> Image.Image:
    """Brightness, then contrast, then saturation changed, each by its factor in [0, 2] (1 changes nothing):

        x ← b·x;  x ← c·x + (1 − c)·mean luma(x);  x ← s·x + (1 − s)·luma(x)

    with the mean over the image. All three are linear, so they are computed together, and rounded and clipped to 0..255
    only once, as  b·c·s·x + b·c·(1 − s)·luma(x) + b·(1 − c)·mean luma(x).
    """
    mean_luma = float(np.asarray(pixels.convert("L")).mean())
    own = _exact(brightness * contrast * saturation)
    red, green, blue = (_exact(brightness * contrast * (1.0 - saturation) * weight) for weight in LUMA)
    constant = _exact(brightness * (1.0 - contrast) * mean_luma)
    return pixels.convert("RGB", (own + red, green, blue, constant,
                                  red, own + green, blue, constant,
                                  red, green, own + blue, constant))


def grey(pixels: Image.Image) -> Image.Image:
    """Every channel set to the luma, rounded."""
    return pixels.convert("L").convert("RGB")


def image_of(pixels: np.ndarray) -> Image.Image:
    """uint8 [H, W, 3] BGR as an image, whose channels Pillow has in RGB order: luma weighs them differently."""
    height, width = pixels.shape[:2]
    return Image.frombytes("RGB", (width, height), pixels.tobytes(), "raw", "BGR")


def array_of(image: Image.Image) -> np.ndarray:
    """An image in RGB as uint8 [H, W, 3] BGR."""
    return np.frombuffer(image.tobytes("raw", "BGR"), np.uint8).reshape(image.size[1], image.size[0], 3)


def _exact(coefficient: float) -> float:
    """Rounded to 1/4096, so that Pillow's float32 sums below 4096 are exact and grey pixels stay exactly grey."""
    return round(coefficient * 4096.0) / 4096.0


def _change(images: np.ndarray, changes: Sequence[Sequence[Change]], changed: Sequence[int], workers: int) -> None:
    """Apply changes[i] to images[i] for every i in `changed`, in threads: Pillow lets others run while it computes."""

    def work(part: Sequence[int]) -> None:
        for i in part:
            pixels = image_of(images[i])
            for function, arguments in changes[i]:
                pixels = function(pixels, *arguments)
            images[i] = array_of(pixels)

    # Each batch starts its own threads: that takes less time than one image, and nothing has to be closed later.
    with ThreadPoolExecutor(workers) as pool:
        for done in [pool.submit(work, changed[first::workers]) for first in range(workers)]:
            done.result()


def _mirror(image: np.ndarray) -> None:
    original = image.copy()  # without the copy NumPy takes more than twice as long, because the memory overlaps
    for channel in range(3):  # one channel at a time is four times as fast as all together
        image[..., channel] = original[:, ::-1, channel]
