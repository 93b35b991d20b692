"""Image files as batches of pixels, decoded ahead of their use. Nothing is kept on the disk.

For images that are looked at once; `decode_cache` is for those that are used again and again.
"""

from __future__ import annotations

import concurrent.futures
import os
from typing import Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from masf_core.data.decode_cache import MAX_PIXELS, usable_cores
from masf_core.data.decode_image import Unusable, decode_image
from masf_core.data.image_kind import other_picture


class Batch(NamedTuple):
    """rows: int64 [m], numbers of the files that could be decoded. pixels: uint8 [m, S, S, 3] BGR. problems: (number,
    reason) of the other files of the batch."""

    rows: np.ndarray
    pixels: np.ndarray
    problems: List[Tuple[int, str]]


def decoded_batches(paths: Sequence[str], batch: int, image_size: int, max_pixels: int = MAX_PIXELS,
                    workers: Optional[int] = None) -> Iterator[Batch]:
    """The files in their order, up to ``batch`` at a time. Threads decode the next batch while the caller uses one.

    Args:
        image_size: S. max_pixels: larger images are problems. workers: threads; None takes the cores that this process
            may use.
    """
    with concurrent.futures.ThreadPoolExecutor(workers or usable_cores()) as pool:
        def begin(start: int) -> Tuple[int, np.ndarray, List[concurrent.futures.Future]]:
            chunk = paths[start:start + batch]
            pixels = np.empty((len(chunk), image_size, image_size, 3), np.uint8)
            return start, pixels, [pool.submit(_decoded, path, image_size, max_pixels, pixels[number])
                                   for number, path in enumerate(chunk)]

        ahead = begin(0) if paths else None
        try:
            while ahead is not None:
                start, pixels, running = ahead
                ahead = begin(start + batch) if start + batch < len(paths) else None
                reasons = [future.result() for future in running]
                good = np.array([number for number, reason in enumerate(reasons) if not reason], np.int64)
                yield Batch(good + start, pixels if len(good) == len(pixels) else pixels[good],
                            [(start + number, reason) for number, reason in enumerate(reasons) if reason])
        finally:
            for future in ahead[2] if ahead is not None else ():
                future.cancel()


def _decoded(path: str, image_size: int, max_pixels: int, out: np.ndarray) -> str:
    """Decode one file into ``out``. Returns why it cannot be decoded, or ""."""
    if not os.path.isfile(path):
        return "there is no such file"
    try:
        decode_image(path, image_size, max_pixels, out)
    except Unusable as problem:
        if os.path.getsize(path) == 0:
            return "the file is empty"
        other = other_picture(path)
        if other:
            return f"a picture of another format: {other}; convert it to JPEG or PNG"
        if "cannot identify image file" in problem.what:
            return "not an image in a format that can be read"
        return f"{problem.kind}: {problem.what}"
    return ""
