from __future__ import annotations

import numpy as np
import pytest

from masf_core.data.augmentation import Augmentation
from masf_core.data.episodes import EpisodeSampler, SourceDomain

SIDE = 5
NAMES = ("art", "cartoon", "photo", "sketch")


def domain(number, count=11, rows=None, side=SIDE):
    """A domain whose image i has i in its first pixel, the domain's number in its second, and noise elsewhere."""
    images = np.random.RandomState(number).randint(0, 256, (count, side, side, 3)).astype(np.uint8)
    images[:, 0, 0] = np.arange(count)[:, np.newaxis]
    images[:, 0, -1] = np.arange(count)[:, np.newaxis]  # still there when mirrored
    images[:, 1] = number
    labels = (np.arange(count) * 7 % 5).astype(np.int32)
    return SourceDomain(NAMES[number], images, labels, np.arange(count) if rows is None else np.array(rows))


def sampler(batch_size=4, seed=0, flip=0.0, domains=None):
    return EpisodeSampler(domains or [domain(number) for number in range(3)], batch_size, seed, Augmentation(flip))


def rows_of(episode, name):
    return episode.images[episode.order.index(name), :, 0, 0, 0].tolist()


def drawn(source, name, steps):
    return [row for step in range(steps) for row in rows_of(source.draw(step), name)]


def test_an_episode_has_a_batch_of_each_domain_with_its_labels():
    episode = sampler().draw(5)
    assert episode.images.shape == (3, 4, SIDE, SIDE, 3) and episode.images.dtype == np.uint8
    assert episode.labels.shape == (3, 4) and episode.labels.dtype == np.int32
    assert sorted(episode.order) == ["art", "cartoon", "photo"] and episode.step == 5
    for position, name in enumerate(episode.order):
        source = domain(NAMES.index(name))
        for image, label in zip(episode.images[position], episode.labels[position]):
            np.testing.assert_array_equal(image, source.images[image[0, 0, 0]])
            assert label == source.labels[image[0, 0, 0]]


def test_an_episode_depends_on_seed_and_step_alone():
    first, second = sampler(flip=0.5), sampler(flip=0.5)
    for step in range(7):
        first.draw(step)
    for step in (3, 900, 3, 0):
        a, b = first.draw(step), second.draw(step)
        np.testing.assert_array_equal(a.images, b.images)
        np.testing.assert_array_equal(a.labels, b.labels)
        assert a.order == b.order
    assert rows_of(sampler(seed=1).draw(3), "art") != rows_of(first.draw(3), "art")


def test_what_a_domain_gives_does_not_depend_on_the_other_domains():
    alone = sampler(domains=[domain(0), domain(1)])
    assert drawn(alone, "art", 6) == drawn(sampler(), "art", 6)
    assert drawn(sampler(), "art", 6) != drawn(sampler(), "photo", 6)


@pytest.mark.parametrize("batch_size", [1, 4, 11, 13, 40])
def test_every_image_comes_once_an_epoch_whatever_the_batch_size(batch_size):
    steps = -(-5 * 11 // batch_size)
    sequence = drawn(sampler(batch_size), "cartoon", steps)
    epochs = [sequence[start:start + 11] for start in range(0, 55, 11)]
    assert all(sorted(epoch) == list(range(11)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 5


def test_the_sequence_of_images_does_not_depend_on_the_batch_size():
    assert drawn(sampler(4), "art", 10) == drawn(sampler(20), "art", 2)


def test_only_the_rows_of_a_domain_are_drawn():
    rows = [2, 9, 5]
    source = sampler(2, domains=[domain(0, rows=rows), domain(1)])
    assert set(drawn(source, "art", 6)) == set(rows)


def test_domains_of_any_number_and_size_take_every_place():
    domains = [domain(0, 3), domain(1, 50), domain(2, 7), domain(3, 4)]
    source = sampler(6, domains=domains)
    orders = [source.draw(step).order for step in range(60)]
    assert {order[-1] for order in orders} == set(NAMES)
    assert len(set(orders)) > 15


def test_about_one_in_sixteen_images_is_mirrored_by_default():
    domains = [domain(0, 200, side=SIDE), domain(1, 200)]
    source = EpisodeSampler(domains, 200, seed=3)
    mirrored = 0
    for step in range(10):
        episode = source.draw(step)
        for position, name in enumerate(episode.order):
            images = domains[NAMES.index(name)].images
            for image in episode.images[position]:
                original = images[image[0, 0, 0]]
                if not np.array_equal(image, original):
                    np.testing.assert_array_equal(image, original[:, ::-1])
                    mirrored += 1
    assert 200 < mirrored < 300  # 250 of 4000 expected, standard deviation 15


@pytest.mark.parametrize("probability, expected", [(0.0, False), (1.0, True)])
def test_none_or_all_can_be_mirrored(probability, expected):
    episode = sampler(flip=probability).draw(0)
    source = domain(NAMES.index(episode.order[0])).images
    for image in episode.images[0]:
        original = source[image[0, 0, 0]]
        np.testing.assert_array_equal(image, original[:, ::-1] if expected else original)


def test_changed_images_keep_their_labels_and_depend_on_seed_and_step_alone():
    domains = [domain(number) for number in range(3)]
    kept = [each.images.copy() for each in domains]
    plain = EpisodeSampler(domains, 4, 0)
    changing = [EpisodeSampler(domains, 4, 0, Augmentation(0.5, 0.3, 0.4, 0.5)) for _ in range(2)]
    changing[0].draw(1)
    for step in (2, 900, 2):
        expected, first, second = plain.draw(step), changing[0].draw(step), changing[1].draw(step)
        assert (first.images != expected.images).mean() > 0.5
        np.testing.assert_array_equal(first.labels, expected.labels)
        np.testing.assert_array_equal(first.images, second.images)
        assert first.order == expected.order
    for each, images in zip(domains, kept):
        np.testing.assert_array_equal(each.images, images)  # the data itself is never written to


def test_memory_can_be_used_again():
    source = sampler(flip=0.5)
    buffers = source.buffers()
    first = source.draw(0, buffers)
    kept = first.images.copy()
    second = source.draw(1, buffers)
    assert first.images is second.images is buffers.images and second.labels is buffers.labels
    np.testing.assert_array_equal(kept, sampler(flip=0.5).draw(0).images)
    np.testing.assert_array_equal(second.images, sampler(flip=0.5).draw(1).images)


def test_buffers_are_aligned_so_that_they_are_fed_without_a_copy():
    for _ in range(5):
        buffers = sampler().buffers()
        assert buffers.images.ctypes.data % 64 == 0 and buffers.labels.ctypes.data % 64 == 0
        assert buffers.images.flags.c_contiguous and buffers.images.flags.writeable


@pytest.mark.parametrize("domains, batch_size, message", [
    ([domain(0)], 4, "two or more"),
    ([domain(0), domain(0)], 4, "different names"),
    ([domain(0), domain(1)], 0, "batch_size"),
    ([domain(0), domain(1, side=6)], 4, "one size"),
    ([domain(0), domain(1, rows=[])], 4, "rows"),
    ([domain(0), domain(1, rows=[11])], 4, "0..10"),
    ([domain(0), domain(1, rows=[-1])], 4, "0..10"),
    ([domain(0), domain(1)._replace(labels=np.zeros(3, np.int32))], 4, "3 labels"),
    ([domain(0), domain(1)._replace(images=np.zeros((11, SIDE, SIDE, 3), np.float32))], 4, "uint8"),
])
def test_domains_that_do_not_fit_together_are_refused(domains, batch_size, message):
    with pytest.raises(ValueError, match=message):
        EpisodeSampler(domains, batch_size, 0)


def test_there_is_no_step_before_the_first():
    with pytest.raises(ValueError, match="step"):
        sampler().draw(-1)
