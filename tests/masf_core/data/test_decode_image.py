from __future__ import annotations

import struct
import threading
import zlib

import numpy as np
import pytest
from PIL import Image

from masf_core.data.decode_image import MAX_SIDE, Unusable, decode_image
from tests.masf_core.data.datasets import save_image

SIDE = 6

# Pillow warns of an image that is about to be refused; the warning is not what is tested.
pytestmark = pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")


def decode(path, max_pixels=10000, side=SIDE):
    """uint8 [side, side, 3] RGB, as colours are written in the tests."""
    out = np.full((side, side, 3), 77, np.uint8)
    decode_image(str(path), side, max_pixels, out)
    return out[..., ::-1]


def refusal(path, **kwargs):
    with pytest.raises(Unusable) as caught:
        decode(path, **kwargs)
    return caught.value


def saved(tmp_path, image, name="image.png", **options):
    path = tmp_path / name
    image.save(str(path), **options)
    return path


def test_pixels_of_the_right_size_are_taken_as_they_are(tmp_path):
    pixels = save_image(tmp_path / "a.png", size=(SIDE, SIDE))
    np.testing.assert_array_equal(decode(tmp_path / "a.png"), pixels)


def test_channels_come_as_blue_green_red(tmp_path):
    path = saved(tmp_path, Image.new("RGB", (SIDE, SIDE), (30, 20, 10)))
    out = np.zeros((SIDE, SIDE, 3), np.uint8)
    decode_image(str(path), SIDE, 10000, out)
    assert (out == (10, 20, 30)).all()


def test_other_sizes_are_squeezed_to_the_square(tmp_path):
    tall = Image.new("RGB", (20, 40), (255, 0, 0))
    tall.paste((0, 0, 255), (0, 20, 20, 40))
    out = decode(saved(tmp_path, tall))
    assert (out[0] == (255, 0, 0)).all() and (out[-1] == (0, 0, 255)).all()


def test_small_images_are_enlarged(tmp_path):
    assert (decode(saved(tmp_path, Image.new("RGB", (1, 2), (9, 8, 7)))) == (9, 8, 7)).all()


def test_a_large_jpeg_reduced_while_decoding_looks_like_one_reduced_afterwards(tmp_path):
    v, u = np.mgrid[:600, :800] / 100.0
    smooth = np.stack([127 + 100 * np.sin(u), 127 + 100 * np.cos(v), 127 + 100 * np.sin(u + v)], axis=2)
    image = Image.fromarray(smooth.astype(np.uint8))
    path = saved(tmp_path, image, "a.jpg", quality=95)
    expected = np.asarray(image.resize((48, 48), Image.BILINEAR)).astype(int)
    assert np.abs(decode(path, 10 ** 6, side=48) - expected).max() <= 6


@pytest.mark.parametrize("mode, colour, expected", [
    ("L", 100, (100, 100, 100)),
    ("1", 1, (255, 255, 255)),
    ("RGBA", (10, 20, 30, 255), (10, 20, 30)),
    ("RGBA", (10, 20, 30, 0), (255, 255, 255)),
    ("RGBA", (0, 0, 0, 51), (204, 204, 204)),
    ("LA", (40, 0), (255, 255, 255)),
    ("I;16", 257 * 200, (200, 200, 200)),
    ("I;16", 65535, (255, 255, 255)),
])
def test_every_kind_of_png_becomes_rgb_on_white(tmp_path, mode, colour, expected):
    assert (decode(saved(tmp_path, Image.new(mode, (SIDE, SIDE), colour))) == expected).all()


@pytest.mark.parametrize("mode, colour, expected", [
    ("L", 100, (100, 100, 100)), ("CMYK", (0, 0, 0, 255), (0, 0, 0)), ("CMYK", (0, 0, 0, 0), (255, 255, 255))])
def test_every_kind_of_jpeg_becomes_rgb(tmp_path, mode, colour, expected):
    assert (decode(saved(tmp_path, Image.new(mode, (SIDE, SIDE), colour), "a.jpg", quality=100)) == expected).all()


def test_palettes_are_looked_up_and_their_transparent_entry_is_white(tmp_path):
    image = Image.new("P", (SIDE, SIDE), 1)
    image.putpalette([1, 2, 3, 40, 50, 60])
    image.putpixel((0, 0), 0)
    assert (decode(saved(tmp_path, image)) == (40, 50, 60))[1:].all()
    out = decode(saved(tmp_path, image, "b.png", transparency=1))
    assert tuple(out[0, 0]) == (1, 2, 3) and (out[1:] == 255).all()


def test_orientation_notes_are_ignored_as_the_reference_does(tmp_path):
    image = Image.new("RGB", (SIDE, SIDE), (0, 0, 0))
    image.paste((255, 255, 255), (0, 0, SIDE, 3))
    exif = Image.Exif()
    exif[0x0112] = 6  # lying on its side
    out = decode(saved(tmp_path, image, "a.jpg", quality=100, exif=exif.tobytes()))
    assert (out[0] > 200).all() and (out[-1] < 50).all()


def test_the_name_does_not_have_to_tell_the_format(tmp_path):
    save_image(tmp_path / "a.png", size=(SIDE, SIDE))
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    assert decode(tmp_path / "a.jpg").std() > 0


@pytest.mark.parametrize("content", [b"", b"no image", b"\xff\xd8\xff\xe0 not really", b"\x89PNG\r\n\x1a\n\0\0\0"])
def test_what_is_no_image_is_unreadable(tmp_path, content):
    (tmp_path / "a.jpg").write_bytes(content)
    assert refusal(tmp_path / "a.jpg").kind == "unreadable image"


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_a_truncated_image_is_unreadable(tmp_path, name):
    save_image(tmp_path / name, size=(64, 64))
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[:len(content) // 2])
    assert refusal(tmp_path / name).kind == "unreadable image"


def test_an_image_that_is_not_there_is_unreadable(tmp_path):
    assert "FileNotFoundError" in refusal(tmp_path / "a.jpg").what


def test_formats_that_start_programs_are_not_opened(tmp_path):
    content = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 6 6\n%%EndComments\nshowpage\n%%EOF\n"
    (tmp_path / "a.jpg").write_bytes(content)
    assert "cannot identify" in refusal(tmp_path / "a.jpg").what


def test_pixels_that_are_no_grey_levels_are_refused(tmp_path):
    path = saved(tmp_path, Image.new("F", (SIDE, SIDE), 0.5), "a.tif")
    assert "mode F" in refusal(path).what


def png_header(width, height):
    """A PNG that says how large it is and goes no further."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))


@pytest.mark.parametrize("side", [101, 20000])  # the second is refused by Pillow itself, beyond twice the limit
def test_a_bomb_is_refused_by_its_header(tmp_path, side):
    (tmp_path / "a.png").write_bytes(png_header(side, side) + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", 0))
    problem = refusal(tmp_path / "a.png", max_pixels=10000)
    assert problem.kind == "image too large" and "more than max_pixels=10000" in problem.what
    assert str(side) in problem.what or str(side * side) in problem.what


def test_the_limit_itself_is_allowed(tmp_path):
    save_image(tmp_path / "a.png", size=(100, 100))
    decode(tmp_path / "a.png", max_pixels=10000)
    assert "100 x 100" in refusal(tmp_path / "a.png", max_pixels=9999).what


def test_a_limit_above_pillows_own_decides_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    save_image(tmp_path / "a.png", size=(100, 100))
    decode(tmp_path / "a.png", max_pixels=10000)
    assert "100 x 100 pixels, more than max_pixels=9999" in refusal(tmp_path / "a.png", max_pixels=9999).what
    assert Image.MAX_IMAGE_PIXELS == 100


def test_threads_with_different_limits_do_not_disturb_one_another(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    save_image(tmp_path / "a.png", size=(100, 100))
    found, together = [], threading.Barrier(4)

    def work(max_pixels):
        together.wait()
        for _ in range(30):
            try:
                decode(tmp_path / "a.png", max_pixels=max_pixels)
                found.append((max_pixels, "decoded"))
            except Unusable as problem:
                found.append((max_pixels, problem.kind))

    threads = [threading.Thread(target=work, args=(limit,)) for limit in (10000, 9999, 10001, 4000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 120 and set(found) == {
        (10000, "decoded"), (10001, "decoded"), (9999, "image too large"), (4000, "image too large")}
    assert Image.MAX_IMAGE_PIXELS == 100


LARGE_PARTS = {"text": (b"zTXt", b"comment\0\0" + zlib.compress(b"x" * (1 << 21))),
               "unicode text": (b"iTXt", b"comment\0\1\0\0\0" + zlib.compress(b"x" * (1 << 21))),
               "colour profile": (b"iCCP", b"scanner\0\0" + zlib.compress(bytes(range(256)) * 8192))}


@pytest.mark.parametrize("part", sorted(LARGE_PARTS))
@pytest.mark.parametrize("at_end", [False, True])
def test_a_png_with_a_large_text_or_profile_has_the_pixels_of_one_without(tmp_path, part, at_end):
    kind, content = LARGE_PARTS[part]
    pixels = save_image(tmp_path / "a.png", size=(SIDE, SIDE))
    png = (tmp_path / "a.png").read_bytes()
    place = len(png) - 12 if at_end else 33  # before IEND, or behind IHDR
    chunk = struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    (tmp_path / "a.png").write_bytes(png[:place] + chunk + png[place:])
    np.testing.assert_array_equal(decode(tmp_path / "a.png"), pixels)
    assert refusal(tmp_path / "a.png", max_pixels=SIDE * SIDE - 1).kind == "image too large"


@pytest.mark.parametrize("size", [(MAX_SIDE + 1, 1), (1, MAX_SIDE + 1)])
def test_a_side_is_bounded_whatever_max_pixels_allows(tmp_path, size):
    problem = refusal(saved(tmp_path, Image.new("L", size)), max_pixels=10 ** 9)
    assert problem.kind == "image too long" and "{} x {} pixels".format(*size) in problem.what
    decode(saved(tmp_path, Image.new("L", tuple(min(side, MAX_SIDE) for side in size))), max_pixels=MAX_SIDE)
