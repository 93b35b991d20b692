"""Layouts that people bring: splits below the domains, images at another level, names in two Unicode forms."""

from __future__ import annotations

import os
import unicodedata

import pytest

from masf_core.data import Folder, build_index, locate, unused_lists
from masf_core.errors import DataError
from tests.masf_core.data import datasets
from tests.masf_core.data.datasets import CLASSES, DOMAINS, SIDE, save_image, write_folders, write_lists


def write_splits(root, splits, domains=DOMAINS, classes=CLASSES):
    """`<domain>/<split>/<class>/<name>.png`; splits: name → names of the images."""
    for domain in domains:
        for split, names in splits.items():
            for each in classes:
                for name in names:
                    save_image(os.path.join(str(root), domain, split, each, name + ".png"))


def parts(index, name="photo"):
    domain = index.domain(name)
    rows = (domain.train, domain.validation, domain.whole)
    return tuple(sorted(domain.paths[row] for row in part) for part in rows)


def refused(root, **arguments):
    return str(datasets.refused(str(root), **arguments))


# ---- splits

@pytest.mark.parametrize("validation", ["val", "valid", "validation", "crossval"])
def test_splits_below_a_domain_are_its_lists_and_their_union_is_the_domain(tmp_path, validation):
    write_splits(tmp_path, {"train": "ab", validation: "c", "test": "d"})
    assert locate(Folder(str(tmp_path))) == (str(tmp_path), None)
    index = build_index(str(tmp_path))
    assert index.classes == CLASSES
    train, kept, whole = parts(index)
    assert {path.split("/")[1] for path in train} == {"train"} and len(train) == 6
    assert {path.split("/")[1] for path in kept} == {validation} and len(kept) == 3
    assert len(whole) == 12
    assert [CLASSES[label] for label in index.domain("photo").labels] == [
        path.split("/")[2] for path in index.domain("photo").paths]
    assert index.origin.split == "folders {} of each domain".format(", ".join(sorted(["test", "train", validation])))


def test_full_is_the_domain_and_the_other_splits_are_copies_of_its_images(tmp_path):
    write_splits(tmp_path, {"full": "abcd", "train": "ab", "crossval": "c", "test": "d"})
    train, kept, whole = parts(build_index(str(tmp_path)))
    assert len(train) == 6 and len(kept) == 3 and len(whole) == 12
    assert {path.split("/")[1] for path in train + kept + whole} == {"full"}


def test_an_image_that_full_lacks_and_one_that_trains_and_validates_are_told(tmp_path, caplog):
    write_splits(tmp_path, {"full": "abc", "train": "abx", "val": "bc"})
    train, kept, _ = parts(build_index(str(tmp_path)))
    assert len(train) == 3 and len(kept) == 6
    assert "3 images of its splits are not in its folder full" in caplog.text
    assert "3 images are both in its training and in its validation folder" in caplog.text


def test_without_images_to_validate_on_a_part_of_those_to_train_on_is_drawn(tmp_path):
    write_splits(tmp_path, {"train": "abcd", "test": "e"})
    index = build_index(str(tmp_path), validation_fraction=0.25, seed=5)
    train, kept, whole = parts(index)
    assert (len(train), len(kept), len(whole)) == (9, 3, 15)
    assert not [path for path in train + kept if "/test/" in path]
    assert "folders test, train of each domain" in index.origin.split and "75/25 by seed 5" in index.origin.split


def test_splits_in_the_place_of_domains_are_refused(tmp_path):
    write_folders(tmp_path, domains=("train", "Val"))
    for arguments in ({}, {"domains": ["train", "Val"]}):
        message = refused(tmp_path, **arguments)
        assert "these are names of splits" in message and "train" in message and "Val" in message


def test_a_class_may_be_called_train(tmp_path):
    write_folders(tmp_path, classes=("bus", "train"))
    save_image(tmp_path / "photo" / "train" / "old" / "0.png")
    assert build_index(locate(Folder(str(tmp_path)))[0]).classes == ("bus", "train")


def test_classes_and_splits_side_by_side_are_refused(tmp_path):
    write_folders(tmp_path)
    write_splits(tmp_path, {"val": "ab"}, domains=("photo",))
    message = refused(tmp_path)
    assert "photo" in message and "(ant, bee, cat)" in message and "(val)" in message


def test_lists_name_images_below_full_behind_any_path(tmp_path):
    write_splits(tmp_path / "VLCS", {"full": "abcd", "train": "ab"}, classes=("0", "1"))
    (tmp_path / "txt_lists").mkdir()
    for domain in DOMAINS:
        for part, names in (("train", "ab"), ("crossval", "c"), ("test", "abcd")):
            (tmp_path / "txt_lists" / f"{domain}_{part}.txt").write_text("".join(
                f"/home/me/VLCS/{domain}/full/{each}/{name}.png {each}\n"
                for each in "01" for name in names))
    dataroot, filelist_root = locate(Folder(str(tmp_path)))
    index = build_index(dataroot, filelist_root)
    assert [len(each) for each in parts(index)] == [4, 2, 8] and index.classes == ("0", "1")
    assert len(index.origin.lists) == 9


# ---- images at another level

def test_a_domain_whose_images_lie_deeper_is_never_a_domain_less(tmp_path):
    write_folders(tmp_path, domains=("clip", "sketch", "more"))
    write_folders(tmp_path / "photo", domains=("ant", "bee"), classes=("raw",))
    assert locate(Folder(str(tmp_path)))[0] == str(tmp_path)
    for bad_data in ("refuse", "skip"):
        message = refused(tmp_path, bad_data=bad_data)
        assert "photo" in message and "8 images lie deeper" in message and "photo/ant/raw/0.png" in message
    assert "photo/ant/raw/0.png" in refused(tmp_path, domains=["clip", "photo"])
    assert len(build_index(str(tmp_path), domains=["clip", "sketch"]).domains) == 2


def test_a_class_most_of_whose_images_lie_deeper_is_refused_and_a_few_are_named(tmp_path, caplog):
    write_folders(tmp_path)
    save_image(tmp_path / "photo" / "ant" / "old" / "0.png")
    index = build_index(str(tmp_path))
    assert "1 image skipped, because it lies at another level" in caplog.text
    assert "photo/ant/old/0.png" in index.origin.left_out[0]
    for number in range(5):
        save_image(tmp_path / "photo" / "ant" / "old" / f"{number}.png")
    assert "photo/ant: 5 images lie deeper" in refused(tmp_path)


@pytest.mark.parametrize("stray", ["112.png", "photo/112.png"])
def test_a_stray_picture_hides_nothing_and_is_named(tmp_path, caplog, stray):
    write_folders(tmp_path)
    expected = build_index(str(tmp_path))
    save_image(tmp_path / stray)
    dataroot, _ = locate(Folder(str(tmp_path)))
    assert dataroot == str(tmp_path)
    assert build_index(dataroot).fingerprint == expected.fingerprint
    assert stray in caplog.text


def test_a_folder_of_pictures_beside_the_domains_is_refused_by_name(tmp_path, caplog):
    write_folders(tmp_path)
    save_image(tmp_path / "samples" / "overview.png")
    dataroot, _ = locate(Folder(str(tmp_path)))
    assert "samples: 1 image lies directly in this folder" in refused(dataroot)
    assert len(build_index(dataroot, bad_data="skip").domains) == 3 and "samples" in caplog.text


def test_thumbnails_of_a_network_drive_are_no_images(tmp_path):
    write_folders(tmp_path)
    expected = build_index(str(tmp_path)).fingerprint
    for path in ("photo/ant/@eaDir/0.png/THUMB.png", "photo/@eaDir/ant/0.png", "@eaDir/photo/0.png"):
        save_image(tmp_path / path)
    assert build_index(locate(Folder(str(tmp_path)))[0]).fingerprint == expected


def test_links_where_nothing_else_is_are_named(tmp_path):
    write_folders(tmp_path / "outside")
    (tmp_path / "root").mkdir()
    os.symlink(str(tmp_path / "outside"), str(tmp_path / "root" / "data"))
    with pytest.raises(DataError, match="links are not followed: data"):
        locate(Folder(str(tmp_path / "root")))


# ---- lists

def write_one_list(folder, domains=DOMAINS, count=4, prefix=""):
    folder.mkdir(exist_ok=True)
    for domain in domains:
        (folder / (domain + ".txt")).write_text("".join(
            f"{prefix}{domain}/{name}/{number}.png {label}\n"
            for label, name in enumerate(CLASSES, start=1) for number in range(count)))


def test_one_list_a_domain_trains_and_a_drawn_part_of_it_validates_as_without_lists(tmp_path):
    write_folders(tmp_path / "kfold")
    write_one_list(tmp_path / "filelist", prefix="kfold/")
    dataroot, filelist_root = locate(Folder(str(tmp_path)))
    assert filelist_root == str(tmp_path / "filelist")
    index = build_index(dataroot, filelist_root, seed=3)
    assert index.fingerprint == build_index(dataroot, seed=3).fingerprint
    assert index.origin.lists == ("clip.txt", "photo.txt", "sketch.txt")
    assert "10 % drawn by seed 3 for validation" in index.origin.split
    assert index.use("photo") == {"train": 18, "validation": 6, "target": 12}


def test_images_that_no_list_names_are_counted(tmp_path, caplog):
    write_folders(tmp_path)
    write_one_list(tmp_path, count=3)
    assert len(build_index(*locate(Folder(str(tmp_path)))).domain("photo").paths) == 9
    assert "domain photo: its lists name 9 of the 12 images" in caplog.text


def test_names_of_pacs_own_go_before_others_and_the_others_are_told(tmp_path):
    write_folders(tmp_path / "images")
    write_lists(tmp_path / "kfold")
    write_one_list(tmp_path / "filelist")
    dataroot, filelist_root = locate(Folder(str(tmp_path)))
    assert filelist_root == str(tmp_path / "kfold")
    assert unused_lists(Folder(str(tmp_path)), dataroot, filelist_root) == [f"filelist/{name}.txt" for name in DOMAINS]


def test_a_domain_that_the_lists_lack_is_refused_with_every_way_out(tmp_path):
    write_folders(tmp_path)
    write_one_list(tmp_path, domains=("clip", "photo"))
    message = refused(tmp_path, filelist_root=str(tmp_path))
    assert "no lists for domain sketch" in message and "filelist_root=none" in message and "--domains=" in message


# ---- Unicode

def decomposed(name):
    return unicodedata.normalize("NFD", name)


def test_lists_and_files_may_spell_a_name_in_different_unicode_forms(tmp_path):
    classes, domains = ("caf\u00e9", "horse"), ("clip", "photo", "\u00e9t\u00e9")
    write_folders(tmp_path / "one", domains=domains, classes=classes)
    write_folders(tmp_path / "two", domains=map(decomposed, domains), classes=list(map(decomposed, classes)))
    write_lists(tmp_path / "lists", domains=domains, classes=classes)
    for lists in (None, str(tmp_path / "lists")):
        one, two = (build_index(str(tmp_path / name), lists) for name in ("one", "two"))
        assert one.classes == two.classes == classes and one.fingerprint == two.fingerprint
        assert [domain.name for domain in two.domains] == sorted(domains)
        paths = two.domain(decomposed("\u00e9t\u00e9")).paths
        assert all(os.path.isfile(str(tmp_path / "two" / path)) for path in paths)


def test_one_domain_may_spell_a_class_otherwise_than_the_others(tmp_path):
    write_folders(tmp_path, domains=("clip", "photo"), classes=("caf\u00e9", "horse"))
    write_folders(tmp_path, domains=("sketch",), classes=(decomposed("caf\u00e9"), "horse"))
    assert build_index(str(tmp_path)).classes == ("caf\u00e9", "horse")


def test_one_domain_in_two_spellings_is_refused(tmp_path):
    write_folders(tmp_path, domains=("\u00e9t\u00e9", decomposed("\u00e9t\u00e9")))
    assert "two folders called \u00e9t\u00e9" in refused(tmp_path)


def test_the_fingerprint_of_what_was_indexed_before_is_what_it_was(tmp_path):
    for number, path in enumerate(write_folders(tmp_path / "images")):
        with open(str(tmp_path / "images" / path), "wb") as stream:
            stream.write(b"x" * (number + SIDE))
    write_lists(tmp_path / "lists")
    assert build_index(str(tmp_path / "images")).fingerprint[:16] == "0fc8a3398de0ca04"
    assert build_index(str(tmp_path / "images"), str(tmp_path / "lists")).fingerprint[:16] == "defd71d1e617c5c6"
