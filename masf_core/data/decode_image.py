"""One image file to pixels."""

from __future__ import annotations

import contextlib
import re
import threading
from typing import BinaryIO, Iterator, List, Union

import numpy as np
import PIL
from PIL import Image

from masf_core.data.png_texts import without_texts

# Increase the number when pixels are made in another way, so that older caches are not used. Pillow's version belongs
# to it because another version's JPEG decoder may round differently.
DECODER_VERSION = "2/Pillow-" + PIL.__version__

# Only these formats are opened, whatever the file's name says. Pillow knows others, and starts a program to read
# PostScript.
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM")


# Pillow's messages about a PNG's texts or colour profile above its limits; version 9 does not name the limit.
TEXT_TOO_LARGE = re.compile("MAX_TEXT|Decompressed data too large|too much memory used in text", re.IGNORECASE)

# The longest side that a JPEG can have. Resizing first makes image_size columns of every row, so that a picture of one
# pixel by 50 million, which `max_pixels` allows, would take gigabytes.
MAX_SIDE = 65_535

_limits: List[int] = []  # max_pixels of the images being decoded now
_limits_lock = threading.Lock()
_outer_limit = Image.MAX_IMAGE_PIXELS  # Pillow's limit before the first of them


class Unusable(Exception):
    """This image cannot be decoded."""

    def __init__(self, kind: str, what: str) -> None:
        super().__init__(kind, what)
        self.kind = kind  # of offence, see `offences`
        self.what = what


def decode_image(path: str, image_size: int, max_pixels: int, out: np.ndarray) -> None:
    """Decode the image at `path` into `out`, uint8 [image_size, image_size, 3] BGR, C-contiguous.

    The channels are in the order of the networks' weights, so that no iteration has to reverse them.

    Images of another size are resized to the square (bilinear, antialiased), whatever their shape. Transparent parts
    become white, 16-bit grey is scaled to 8 bits, and animations give their first frame. EXIF orientation is ignored,
    as in the reference.

    Raises:
        Unusable: unreadable, truncated, of another format, or, by its header, of more than `max_pixels` pixels or a
            side of more than `MAX_SIDE` pixels.
    """
    try:
        try:
            _decode(path, image_size, max_pixels, out)
        except ValueError as problem:
            if not TEXT_TOO_LARGE.search(str(problem)):
                raise
            # Pillow unpacks a PNG's texts and colour profile, and refuses large ones. No pixel depends on them.
            _decode(without_texts(path), image_size, max_pixels, out)
    except (Unusable, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as problem:
        raise _too_large(re.search(r"[0-9]+|$", str(problem)).group() or "too many", max_pixels) from problem
    except Exception as problem:  # Pillow's readers raise almost anything on damaged files
        raise Unusable("unreadable image", f"{type(problem).__name__}: {problem}") from problem


def _decode(source: Union[str, BinaryIO], image_size: int, max_pixels: int, out: np.ndarray) -> None:
    side = (image_size, image_size)
    with _pillow_limit(max_pixels), Image.open(source, formats=FORMATS) as image:
        width, height = image.size
        if width * height > max_pixels:
            raise _too_large(f"{width} x {height}", max_pixels)
        if max(width, height) > MAX_SIDE:
            raise Unusable("image too long", f"{width} x {height} pixels; a side may have at most {MAX_SIDE}")
        if image.size != side:
            # The JPEG decoder then skips detail that would not be visible at twice the wanted size.
            image.draft(None, (2 * image_size, 2 * image_size))
        pixels = _as_rgb(image)
        if pixels.size != side:
            pixels = pixels.resize(side, Image.BILINEAR)
        out.reshape(-1)[:] = np.frombuffer(pixels.tobytes("raw", "BGR"), np.uint8)


def _too_large(pixels: str, max_pixels: int) -> Unusable:
    return Unusable("image too large", f"{pixels} pixels, more than max_pixels={max_pixels}")


@contextlib.contextmanager
def _pillow_limit(max_pixels: int) -> Iterator[None]:
    """Let Pillow open images of `max_pixels`, and restore its own limit at the end.

    Pillow has one limit for the whole process. If several threads with different limits are here, the highest is set,
    and each thread compares sizes with its own afterwards. Pillow always keeps a limit, because some of its readers
    allocate pixels before the size is known.
    """
    global _outer_limit
    with _limits_lock:
        if not _limits:
            _outer_limit = Image.MAX_IMAGE_PIXELS
        _limits.append(max_pixels)
        Image.MAX_IMAGE_PIXELS = max(_limits)
    try:
        yield
    finally:
        with _limits_lock:
            _limits.remove(max_pixels)
            Image.MAX_IMAGE_PIXELS = max(_limits) if _limits else _outer_limit


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return Image.fromarray(_eight_bits(image)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _eight_bits(image: Image.Image) -> np.ndarray:
    """Grey levels 0..65535 as uint8 0..255."""
    levels = np.asarray(image)
    if image.mode == "F" or levels.min() < 0 or levels.max() > 65535:
        raise Unusable("unreadable image", f"pixels of mode {image.mode} are not grey levels of 8 or 16 bits")
    return ((levels.astype(np.uint32) + 128) // 257).astype(np.uint8)
