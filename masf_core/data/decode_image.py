"""One image file to pixels."""

from __future__ import annotations

import numpy as np
import PIL
from PIL import Image

# Changing how pixels come about must change this, so that caches made the old way are not used. Pillow's own version
# belongs to it because its JPEG decoder may round differently.
DECODER_VERSION = "1/Pillow-" + PIL.__version__

# The formats that images of a data set come in. Anything else Pillow knows (PostScript starts a program to read it)
# is not opened, whatever the file's name says.
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM")


class Unusable(Exception):
    """This image cannot be decoded."""

    def __init__(self, kind: str, what: str) -> None:
        super().__init__(kind, what)
        self.kind = kind  # of offence, see `offences`
        self.what = what


def decode_image(path: str, image_size: int, max_pixels: int, out: np.ndarray) -> None:
    """Decode the image at `path` into `out`, uint8 [image_size, image_size, 3] RGB, C-contiguous.

    Images of another size are squeezed to the square (bilinear, antialiased), whatever their shape. Transparent parts
    become white, 16-bit grey is scaled to 8 bits, of animations the first frame is taken, EXIF orientation is ignored
    as the reference does.

    Raises:
        Unusable: unreadable, truncated, of another format, or of more than `max_pixels` by its header (or than
            Pillow's own limit of 179 million).
    """
    side = (image_size, image_size)
    try:
        with Image.open(path, formats=FORMATS) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise Unusable("image too large", "{} x {} pixels, more than max_pixels={}".format(
                    width, height, max_pixels))
            if image.size != side:
                # Lets the JPEG decoder skip detail that does not show at twice the wanted size.
                image.draft(None, (2 * image_size, 2 * image_size))
            pixels = _as_rgb(image)
            if pixels.size != side:
                pixels = pixels.resize(side, Image.BILINEAR)
            out.reshape(-1)[:] = np.frombuffer(pixels.tobytes(), np.uint8)
    except (Unusable, MemoryError):
        raise
    except Image.DecompressionBombError as problem:
        raise Unusable("image too large", str(problem)) from problem
    except Exception as problem:  # Pillow's readers raise almost anything on damaged files
        raise Unusable("unreadable image", "{}: {}".format(type(problem).__name__, problem)) from problem


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
        raise Unusable("unreadable image", "pixels of mode {} are no grey levels of 8 or 16 bits".format(image.mode))
    return ((levels.astype(np.uint32) + 128) // 257).astype(np.uint8)
