from __future__ import annotations

import hashlib
import math
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from masf_core.data.augmentation import Augmentation, augment, crop, crop_box, grey, jitter
from masf_core.randomness import generator

SIDE = 13
NOTHING = Augmentation(flip_probability=0.0)
WEIGHTS = np.array([0.299, 0.587, 0.114])


def noise(count=6, side=SIDE, seed=0):
    return np.random.RandomState(seed).randint(0, 256, (count, side, side, 3)).astype(np.uint8)


def augmented(images, seed=0, domain="art", step=0, workers=2, **options):
    options.setdefault("flip_probability", 0.0)
    result = images.copy()
    augment(result, Augmentation(**options), seed, domain, step, workers)
    return result


def picture(*pixels):
    """One row of RGB pixels."""
    return Image.fromarray(np.array([pixels], np.uint8))


def pixels_of(image):
    return np.asarray(image)[0].tolist()


# -- what is on

def test_by_default_images_are_mirrored_as_the_reference_does_and_nothing_else():
    assert Augmentation() == Augmentation(0.0625, 1.0, 0.0, 0.0)
    images = noise(200)
    mirrored = generator(3, "flip", "art", 5).random_sample(200) < 0.0625
    assert 5 < mirrored.sum() < 25
    expected = np.where(mirrored[:, np.newaxis, np.newaxis, np.newaxis], images[:, :, ::-1], images)
    np.testing.assert_array_equal(augmented(images, 3, "art", 5, flip_probability=0.0625), expected)


def test_with_everything_off_images_stay():
    np.testing.assert_array_equal(augmented(noise()), noise())


@pytest.mark.parametrize("options", [
    dict(flip_probability=-0.1), dict(flip_probability=1.5), dict(crop_scale_min=0.0), dict(crop_scale_min=1.01),
    dict(colour_jitter=-0.1), dict(colour_jitter=1.1), dict(grey_probability=2.0),
    dict(grey_probability=float("nan")), dict(crop_scale_min=float("nan"))])
def test_values_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match="{} must lie in".format(*options)):
        Augmentation(**options)


# -- what it depends on

EVERYTHING = dict(flip_probability=0.5, crop_scale_min=0.3, colour_jitter=0.4, grey_probability=0.3)


def test_it_depends_on_seed_domain_and_step():
    first = augmented(noise(), 1, "art", 4, **EVERYTHING)
    np.testing.assert_array_equal(first, augmented(noise(), 1, "art", 4, **EVERYTHING))
    for other in ((2, "art", 4), (1, "photo", 4), (1, "art", 5)):
        assert (first != augmented(noise(), *other, **EVERYTHING)).any()


@pytest.mark.parametrize("workers", [1, 3, 9, None])
def test_it_does_not_depend_on_the_number_of_threads(workers):
    np.testing.assert_array_equal(
        augmented(noise(), workers=workers, **EVERYTHING), augmented(noise(), workers=2, **EVERYTHING))


def test_another_process_makes_the_same_images():
    program = ("import hashlib; from tests.masf_core.data.test_augmentation import *; "
               "print(hashlib.sha256(augmented(noise(), 1, 'art', 4, **EVERYTHING)).hexdigest())")
    root = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
    told = subprocess.run([sys.executable, "-c", program], cwd=root, stdout=subprocess.PIPE, check=True)
    expected = hashlib.sha256(augmented(noise(), 1, "art", 4, **EVERYTHING)).hexdigest()
    assert told.stdout.decode().strip() == expected


def test_options_do_not_change_each_others_draws():
    images = noise(40)
    done = images
    for name in ("crop_scale_min", "colour_jitter", "grey_probability", "flip_probability"):  # in the order of effect
        done = augmented(done, **{name: EVERYTHING[name]})
    np.testing.assert_array_equal(augmented(images, **EVERYTHING), done)


def test_purposes_draw_independently():
    marks = np.zeros((2000, 2, 2, 3), np.uint8)
    marks[:, :, 0] = (255, 0, 0)
    result = augmented(marks, flip_probability=0.5, grey_probability=0.5)
    is_grey = (result[..., 0] == result[..., 2]).all((1, 2))
    is_mirrored = result[:, 0, 1, 0] > 0
    for share in (is_grey.mean(), is_mirrored.mean()):
        assert abs(share - 0.5) < 0.05  # standard deviation 0.011
    assert abs((is_grey & is_mirrored).mean() - 0.25) < 0.045  # standard deviation 0.0097


# -- crop

def test_a_crop_of_one_colour_is_that_colour():
    image = np.empty((5, SIDE, SIDE, 3), np.uint8)
    image[:] = (10, 200, 30)
    np.testing.assert_array_equal(augmented(image, crop_scale_min=0.1), image)


def test_a_crop_of_a_ramp_is_a_slower_ramp_within_it():
    images = np.zeros((20, 64, 64, 3), np.uint8)
    images[..., 0] = 4 * np.arange(64)
    images[..., 1] = 4 * np.arange(64)[:, np.newaxis]
    result = augmented(images, crop_scale_min=0.2).astype(int)
    boxes = [crop_box(64, 0.2, draws) for draws in generator(0, "crop", "art", 0).random_sample((20, 4)).tolist()]
    for image, (left, top, right, bottom) in zip(result, boxes):
        across, down = image[0, :, 0], image[:, 0, 1]
        assert (image[..., 0] == across).all() and (image[..., 1] == down[:, np.newaxis]).all()
        assert (across[0], across[-1]) == (4 * left, 4 * (right - 1))
        assert (down[0], down[-1]) == (4 * top, 4 * (bottom - 1))
        assert 0 <= np.diff(across).min() and np.diff(across).max() <= 5
    assert len(set(boxes)) > 15


def test_the_whole_image_as_a_crop_is_the_image():
    image = noise(1)[0]
    np.testing.assert_array_equal(np.asarray(crop(Image.fromarray(image), (0, 0, SIDE, SIDE))), image)
    assert crop_box(SIDE, 1.0, [0.3, 0.9, 0.5, 0.5]) == (0, 0, SIDE, SIDE)


@pytest.mark.parametrize("draws, expected", [
    ([0.0, 0.5, 0.0, 0.0], (0, 0, 50, 50)),        # a quarter of the area, square
    ([0.0, 0.5, 0.999999, 0.999999], (50, 50, 100, 100)),
    ([0.0, 1.0, 0.0, 0.0], (0, 0, 58, 43)),        # 50·√(4/3), 50·√(3/4)
    ([0.0, 0.0, 0.0, 0.999999], (0, 42, 43, 100)),
    ([0.6 / 0.75, 1.0, 0.0, 0.0], (0, 0, 100, 85)),  # of 0.85 of the area, no wider than the image
])
def test_crops_by_hand(draws, expected):
    assert crop_box(100, 0.25, draws) == expected


@pytest.mark.parametrize("scale_min", [0.08, 0.5, 0.9])
def test_crops_have_uniform_areas_and_ratios_and_lie_within_the_image(scale_min):
    side = 1000
    boxes = np.array([crop_box(side, scale_min, draws) for draws in
                      np.random.RandomState(0).random_sample((4000, 4)).tolist()])
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    assert boxes.min() >= 0 and boxes.max() <= side and min(width.min(), height.min()) > 0
    area = width * height / float(side ** 2)
    rounding = 1.5 / side
    assert area.min() > scale_min - rounding and area.max() <= 1.0
    spread = 1.0 - scale_min
    for quantile in (0.1, 0.25, 0.5, 0.75, 0.9):
        assert abs((area < scale_min + quantile * spread).mean() - quantile) < 0.04
    ratio = np.log(width / height.astype(float))
    assert np.abs(ratio).max() <= math.log(4.0 / 3.0) + 3 * rounding / scale_min
    free = ratio[area < 0.75]  # where every ratio fits
    assert abs(ratio.mean()) < 0.02
    if len(free):
        assert abs((np.abs(free) < math.log(4.0 / 3.0) / 2).mean() - 0.5) < 0.06


def test_the_smallest_crop_is_one_pixel():
    left, top, right, bottom = crop_box(5, 1e-6, [0.0, 0.5, 0.99, 0.99])
    assert (left, top, right, bottom) == (4, 4, 5, 5)


# -- colours

def test_every_change_is_that_of_the_same_image_with_its_channels_the_other_way_round():
    """Batches are BGR, and Pillow's functions weigh red, green and blue differently."""
    images = noise(40)
    result = augmented(images, 1, "art", 4, **EVERYTHING)
    draws = {purpose: generator(1, purpose, "art", 4) for purpose in ("crop", "jitter", "grey", "flip")}
    boxes = [crop_box(SIDE, 0.3, each) for each in draws["crop"].random_sample((40, 4)).tolist()]
    factors = 1.0 + 0.4 * (2.0 * draws["jitter"].random_sample((40, 3)) - 1.0)
    are_grey, are_mirrored = draws["grey"].random_sample(40) < 0.3, draws["flip"].random_sample(40) < 0.5
    for i in range(40):
        rgb = jitter(crop(Image.fromarray(np.ascontiguousarray(images[i, ..., ::-1])), boxes[i]), *factors[i])
        rgb = np.asarray(grey(rgb) if are_grey[i] else rgb)
        np.testing.assert_array_equal(result[i, ..., ::-1], rgb[:, ::-1] if are_mirrored[i] else rgb)


def test_brightness_multiplies_and_clips():
    assert pixels_of(jitter(picture((10, 100, 200), (0, 1, 255)), 1.5, 1.0, 1.0)) == [[15, 150, 255], [0, 2, 255]]


def test_contrast_spreads_about_the_mean_luma():
    two = picture((50, 50, 50), (150, 150, 150))
    assert pixels_of(jitter(two, 1.0, 1.2, 1.0)) == [[40] * 3, [160] * 3]
    assert pixels_of(jitter(two, 1.0, 0.0, 1.0)) == [[100] * 3, [100] * 3]


def test_saturation_spreads_about_each_pixels_luma():
    # Luma 0.299·100 + 0.587·200 + 0.114·50 = 153, so 153 + 1.2·(−53, 47, −103).
    assert pixels_of(jitter(picture((100, 200, 50)), 1.0, 1.0, 1.2)) == [[89, 209, 29]]
    assert pixels_of(jitter(picture((100, 200, 50)), 1.0, 1.0, 0.0)) == [[153, 153, 153]]


def test_nothing_is_clipped_between_brightness_and_contrast():
    # 200 and 100 become 300 and 150, and then 225 ± 37.5; clipped in between it would be 229 and 176.
    assert pixels_of(jitter(picture((200,) * 3, (100,) * 3), 1.5, 0.5, 1.0)) == [[255] * 3, [188] * 3]


def test_brightness_contrast_and_saturation_together():
    image = noise(1)[0]
    b, c, s = 0.8, 1.3, 0.6
    x = image * b
    x = c * x + (1 - c) * np.dot(x, WEIGHTS).mean()
    x = s * x + (1 - s) * np.dot(x, WEIGHTS)[..., np.newaxis]
    expected = np.clip(x, 0, 255)
    got = np.asarray(jitter(Image.fromarray(image), b, c, s)).astype(float)
    assert np.abs(got - expected).max() < 0.75  # rounding, and coefficients in steps of 1/4096
    assert ((expected > 0) & (expected < 255)).mean() > 0.9


def test_factors_of_one_change_nothing():
    image = noise(1)[0]
    np.testing.assert_array_equal(np.asarray(jitter(Image.fromarray(image), 1.0, 1.0, 1.0)), image)


def test_jitter_keeps_grey_exactly_grey():
    images = np.repeat(noise(50)[..., :1], 3, axis=-1)
    result = augmented(images, colour_jitter=1.0)
    assert (result != images).any()
    assert (result[..., 0] == result[..., 1]).all() and (result[..., 1] == result[..., 2]).all()


@pytest.mark.parametrize("saturation", np.linspace(0.0, 2.0, 21).tolist())
def test_jitter_keeps_grey_exactly_grey_where_rounding_is_a_close_call(saturation):
    result = pixels_of(jitter(picture(*[(level,) * 3 for level in range(256)]), 0.5, 1.0, saturation))
    assert [set(pixel) for pixel in result] == [{pixel[0]} for pixel in result]


def test_factors_are_uniform_and_their_own_for_every_image():
    plain = np.empty((4000, 1, 1, 3), np.uint8)
    plain[:] = 100  # of one colour: contrast and saturation have nothing to change
    brightness = augmented(plain, colour_jitter=0.5)[:, 0, 0, 0] / 100.0
    drawn = generator(0, "jitter", "art", 0).random_sample((4000, 3))[:, 0]
    assert np.abs(brightness - (0.5 + drawn)).max() < 0.006
    assert 0.5 <= brightness.min() < 0.51 and 1.49 < brightness.max() <= 1.5
    for quantile in (0.1, 0.5, 0.9):
        assert abs((brightness < 0.5 + quantile).mean() - quantile) < 0.04


@pytest.mark.parametrize("colour, luma", [
    ((255, 0, 0), 76), ((0, 255, 0), 150), ((0, 0, 255), 29), ((255, 255, 255), 255), ((7, 7, 7), 7), ((0, 0, 0), 0)])
def test_grey_is_the_luma_in_every_channel(colour, luma):
    assert pixels_of(grey(picture(colour))) == [[luma] * 3]


def test_grey_comes_as_often_as_asked():
    images = noise(2000, side=3)
    result = augmented(images, grey_probability=0.2)
    is_grey = (result.min(-1) == result.max(-1)).all((1, 2))
    assert 330 < is_grey.sum() < 470  # 400 expected, standard deviation 18
    np.testing.assert_array_equal(result[~is_grey], images[~is_grey])
    luma = np.dot(images[is_grey][..., ::-1], WEIGHTS)
    assert np.abs(result[is_grey][..., 0] - luma).max() < 0.51
    np.testing.assert_array_equal(augmented(images, grey_probability=1.0).std(-1), np.zeros((2000, 3, 3)))
