from __future__ import annotations

import hashlib
import os

import numpy as np
import pytest
from PIL import Image

from masf_core.data import Folder, build_index, locate
from masf_core.data.miniature import (
    CLASSES, DOMAINS, silhouettes, styles, weights, write_alexnet_weights, write_miniature)
from masf_core.network.pretrained import read_pretrained
from masf_core.randomness import generator


@pytest.fixture(scope="module")
def miniature(tmp_path_factory):
    root = str(tmp_path_factory.mktemp("miniature"))
    write_miniature(root, images_per_class=3)
    return root


def digests(root):
    return {os.path.relpath(os.path.join(folder, name), root): hashlib.sha256(
        open(os.path.join(folder, name), "rb").read()).hexdigest()
        for folder, _, names in os.walk(root) for name in names}


def drawing(style, name, number=0):
    return np.asarray(styles.draw(style, silhouettes.silhouette(name, generator(number, name)), generator(1, style)))


def test_it_is_laid_out_as_pacs_is(miniature):
    assert DOMAINS == ("art_painting", "cartoon", "photo", "sketch")
    assert CLASSES == ("dog", "elephant", "giraffe", "guitar", "horse", "house", "person")
    with open(os.path.join(miniature, "kfold", "sketch_test_kfold.txt")) as stream:
        lines = stream.read().splitlines()
    assert lines[0] == "sketch/dog/pic_001.png 1" and lines[-1] == "sketch/person/pic_003.png 7"
    for domain, format in (("photo", "JPEG"), ("sketch", "PNG")):
        name = "pic_002." + ("png" if format == "PNG" else "jpg")
        with Image.open(os.path.join(miniature, "images", domain, "guitar", name)) as image:
            assert (image.size, image.mode, image.format) == ((227, 227), "RGB", format)


def test_the_index_reads_it_without_a_complaint(miniature):
    dataroot, lists = locate(Folder(miniature))
    index = build_index(dataroot, lists, num_classes=7)
    assert index.classes == CLASSES
    for domain in index.domains:
        assert (len(domain.paths), len(domain.train), len(domain.validation)) == (21, 14, 7)
        assert sorted(domain.labels[domain.validation]) == list(range(7))


def test_the_same_seed_writes_the_same_bytes(miniature, tmp_path):
    write_miniature(str(tmp_path), images_per_class=3)
    assert digests(str(tmp_path)) == digests(miniature)


def test_an_image_does_not_depend_on_how_many_there_are_but_on_the_seed(miniature, tmp_path):
    write_miniature(str(tmp_path / "two"), images_per_class=2)
    write_miniature(str(tmp_path / "other"), images_per_class=2, seed=1)
    one, two, other = digests(miniature), digests(str(tmp_path / "two")), digests(str(tmp_path / "other"))
    images = [name for name in two if name.startswith("images")]
    assert len(images) == 56
    assert all(two[name] == one[name] and two[name] != other[name] for name in images)


def test_progress_counts_images(tmp_path):
    calls = []
    write_miniature(str(tmp_path), images_per_class=2, on_progress=lambda *call: calls.append(call))
    assert calls[0] == (0, 56) and calls[-1] == (56, 56)


def test_a_stop_request_ends_the_writing(tmp_path):
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_miniature(str(tmp_path), images_per_class=2, on_progress=stop)


def test_a_class_needs_an_image_on_either_side_of_the_split(tmp_path):
    with pytest.raises(ValueError, match="images_per_class"):
        write_miniature(str(tmp_path), images_per_class=1)


def test_sketches_are_dark_lines_on_white_and_cartoons_are_colourful():
    sketch, cartoon = drawing("sketch", "horse"), drawing("cartoon", "horse")
    assert np.median(sketch) == 255 and sketch.min() < 80 and (sketch.max(axis=2) == sketch.min(axis=2)).all()
    assert np.median(cartoon.max(axis=2).astype(int) - cartoon.min(axis=2)) > 20


@pytest.mark.parametrize("name", CLASSES)
def test_individuals_of_a_class_differ_and_lie_within_the_image_for_the_most_part(name):
    shapes = [silhouettes.silhouette(name, generator(number, "individual")) for number in range(20)]
    points = [np.concatenate([part.points for part in shape]) for shape in shapes]
    assert len({len(shape) for shape in shapes}) == 1
    assert all(((p > 0) & (p < 1)).mean() > 0.85 for p in points)
    assert min(np.abs(points[0] - other).max() for other in points[1:]) > 0.02


def test_the_outline_alone_tells_the_class():
    """Among other drawings, cut out and tried both ways round, the most similar one is nearly always of the class."""
    def outline(name, number):
        tones = styles._tone_map(silhouettes.silhouette(name, generator(number, "outline", name)))
        return np.asarray(tones.crop(tones.getbbox()).resize((20, 20), Image.BOX)) > 0

    known = [(name, outline(name, number)) for name in CLASSES for number in range(20)]
    drawings = [(name, outline(name, number)) for name in CLASSES for number in range(100, 108)]

    def nearest(mask):
        return min(known, key=lambda one: min((one[1] ^ mask).sum(), (one[1] ^ mask[:, ::-1]).sum()))[0]

    assert np.mean([nearest(mask) == name for name, mask in drawings]) > 0.9


# ---- weights

@pytest.mark.parametrize("width, conv2, fc6", [(1.0, (5, 5, 48, 256), (9216, 4096)), (0.05, (5, 5, 2, 12), (432, 204))])
def test_shapes_are_alexnets_scaled_by_the_width(width, conv2, fc6):
    shapes = weights.alexnet_shapes(width)
    assert shapes["conv2"] == conv2 and shapes["fc6"] == fc6 and shapes["fc8"] == (fc6[1], 1000)
    assert shapes["conv1"][:3] == (11, 11, 3)


def test_weights_come_back_as_they_were_written(tmp_path):
    path = str(tmp_path / "alexnet.npy")
    write_alexnet_weights(path, width=0.05)
    layers = read_pretrained(path)
    assert {name: values[0].shape for name, values in layers.items()} == weights.alexnet_shapes(0.05)
    assert all(values[1].shape == values[0].shape[-1:] for values in layers.values())
    assert os.listdir(str(tmp_path)) == ["alexnet.npy"]
    first = open(path, "rb").read()
    write_alexnet_weights(path, width=0.05)
    assert open(path, "rb").read() == first


def test_first_filters_answer_to_edges_and_not_to_plain_areas():
    filters = weights.edge_filters((11, 11, 3, 24), generator(0, "edges"))
    assert filters.dtype == np.float32
    assert np.abs(filters.sum(axis=(0, 1))).max() < 1e-4
    edge = np.zeros((11, 11, 3))
    edge[:, 6:] = 255.0
    best = np.abs(np.tensordot(filters, edge, axes=([0, 1, 2], [0, 1, 2]))).max()
    assert 100 < best < 500


def test_upper_layers_have_half_of_hes_deviation():
    values = weights._scaled_normal((3, 3, 40, 50), generator(0, "x"))
    assert abs(values.std() / (0.5 * np.sqrt(2.0 / 360)) - 1) < 0.03 and abs(values.mean()) < 1e-3
