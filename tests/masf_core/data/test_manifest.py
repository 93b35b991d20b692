"""What has changed in the data since a run began is said in images, classes and domains."""

from __future__ import annotations

import gzip
import os

import pytest

from masf_core.data import build_index, manifest
from tests.masf_core.data.datasets import save_image, write_folders


@pytest.fixture
def root(tmp_path):
    write_folders(tmp_path, classes=("ant", "bee"))
    return tmp_path


@pytest.fixture
def begun(root):
    return build_index(str(root))


def changes(begun, root, before="kept", **kwargs):
    before = manifest.to_bytes(begun) if before == "kept" else before
    return manifest.changes(before, begun.fingerprint, {domain.name: len(domain.paths) for domain in begun.domains},
                            begun.classes, build_index(str(root), **kwargs))


def edit(root):
    for name in ("new0", "new1"):
        save_image(root / "photo" / "ant" / (name + ".png"))
    save_image(root / "photo" / "bee" / "0.png", size=(20, 20))


def test_added_and_changed_images_are_counted_by_domain(begun, root):
    edit(root)
    assert changes(begun, root) == (
        "photo has 10 images instead of 8 (2 added, 1 changed: photo/ant/new0.png and 2 more)")


def test_a_replaced_image_is_told_though_the_number_is_the_same(begun, root):
    os.rename(str(root / "photo" / "ant" / "0.png"), str(root / "photo" / "ant" / "9.png"))
    assert changes(begun, root) == "photo has 8 images as before (1 added, 1 removed: photo/ant/0.png and 1 more)"


def test_an_image_that_moved_to_another_class_has_changed(begun, root):
    os.rename(str(root / "photo" / "ant" / "0.png"), str(root / "photo" / "bee" / "0.moved.png"))
    assert "photo has 8 images as before (1 added, 1 removed" in changes(begun, root)


def test_new_and_lost_classes_and_domains_are_named(begun, root):
    write_folders(root, classes=("ant", "bee", "cat"))
    assert changes(begun, root).startswith("class cat added; clip has 12 images instead of 8 (4 added: clip/cat/0.png")
    assert "clip is not a domain any more" in changes(begun, root, domains=["photo", "sketch"])
    write_folders(root, domains=["oil"], classes=("ant", "bee"))
    assert "oil is a new domain with 8 images" in changes(begun, root)


def test_another_split_of_the_same_images_is_told_as_such(begun, root):
    assert "the images are the same, but their split" in changes(begun, root, seed=5)


@pytest.mark.parametrize("before", [
    None, b"", b"damaged", "other", gzip.compress(100000 * b"["), gzip.compress(b"[]")],
    ids=["missing", "empty", "damaged", "of other data", "nested deeply", "a list"])  # gzip writes the time of day
def test_without_a_record_of_every_image_the_numbers_are_told(begun, root, before):
    edit(root)
    before = manifest.to_bytes(build_index(str(root))) if before == "other" else before
    assert changes(begun, root, before) == "photo has 10 images instead of 8"


def test_the_record_is_small_and_the_same_for_the_same_data(begun, root):
    content = manifest.to_bytes(begun)
    assert content == manifest.to_bytes(build_index(str(root))) and len(content) < 1000


def test_a_record_that_unpacks_to_more_than_the_bound_is_not_read(begun, root, monkeypatch):
    edit(root)
    content = manifest.to_bytes(begun)
    monkeypatch.setattr(manifest, "LARGEST", 500)
    assert len(gzip.decompress(content)) > 500
    assert changes(begun, root, content) == "photo has 10 images instead of 8"
