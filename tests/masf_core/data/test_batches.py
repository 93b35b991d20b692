"""Images that are looked at once are decoded ahead, in batches, with the pixels of the decode cache."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from masf_core.data.batches import decoded_batches
from masf_core.data.decode_image import decode_image

SIDE = 9


@pytest.fixture
def files(tmp_path):
    """Seven files, of which the third, the fifth and the sixth are no images."""
    paths = [tmp_path / f"{number}.png" for number in range(7)]
    for number, path in enumerate(paths):
        Image.new("RGB", (20 + number, 11), (number, 2 * number, 3 * number)).save(str(path))
    paths[2].write_bytes(b"")
    paths[4].write_bytes(b"no image")
    paths[5].unlink()
    return [str(path) for path in paths]


def test_every_file_is_in_one_batch_with_its_pixels_or_its_reason(files):
    rows, problems = [], {}
    for batch in decoded_batches(files, 3, SIDE, workers=2):
        assert len(batch.rows) == len(batch.pixels) <= 3
        for row, pixels in zip(batch.rows, batch.pixels):
            expected = np.empty((SIDE, SIDE, 3), np.uint8)
            decode_image(files[row], SIDE, 10 ** 6, expected)
            assert np.array_equal(pixels, expected)
        rows += batch.rows.tolist()
        problems.update(batch.problems)
    assert rows == [0, 1, 3, 6]
    assert problems == {2: "the file is empty", 4: "not an image in a format that can be read",
                        5: "there is no such file"}


def test_an_image_that_is_too_large_is_a_problem(files):
    (batch,) = decoded_batches(files[:1], 4, SIDE, max_pixels=100)
    assert len(batch.rows) == 0 and "more than max_pixels=100" in batch.problems[0][1]


def test_no_file_gives_no_batch():
    assert list(decoded_batches([], 4, SIDE)) == []


def test_a_caller_may_stop_early(files):
    batches = decoded_batches(files, 1, SIDE)
    assert next(batches).rows.tolist() == [0]
    batches.close()
