"""The worst mistakes on the target domain, as thumbnails inside the page."""
from __future__ import annotations

import base64
import io
from typing import NamedTuple, Sequence

import numpy as np

from job.printable import as_html
from job.reports.page.document import path_html

SIDE = 140  # pixels of a thumbnail
QUALITY = 82  # of JPEG
JPEG = "data:image/jpeg;base64,"


class Shot(NamedTuple):
    """An image that was classified wrongly.

    picture: a ``thumbnail``. true, predicted: names of classes. probability: of the true class. path: of the file.
    """

    picture: str
    true: str
    predicted: str
    probability: float
    path: str


def mistakes_html(shots: Sequence[Shot], told: str) -> str:
    """Thumbnails with what is in them and what was predicted. told: a sentence in front of them."""
    tiles = []
    for shot in shots:
        tiles.append(
            f'<figure><img src="{shot.picture}" alt="{as_html(shot.true)}" loading="lazy"><figcaption>'
            f"<b>{as_html(shot.predicted)}</b> instead of {as_html(shot.true)} ({100.0 * shot.probability:.2g} %)<br>"
            f"{path_html(shot.path)}</figcaption></figure>")
    return f'<p class="muted">{as_html(told)}</p><div class="shots">{"".join(tiles)}</div>'


def thumbnail(pixels: np.ndarray, side: int = SIDE) -> str:
    """A JPEG of at most ``side`` pixels as a data URL. pixels: uint8 [H, W, 3] RGB."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail((side, side))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=QUALITY)
    return JPEG + base64.b64encode(stream.getvalue()).decode("ascii")
