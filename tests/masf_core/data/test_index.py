from __future__ import annotations

import os

import numpy as np
import pytest

from masf_core.data.index import build_index
from masf_core.errors import DataError
from tests.masf_core.data import datasets
from tests.masf_core.data.datasets import (
    CLASSES, DOMAINS, add_line, list_path, refused, write_folders, write_list, write_lists,
)


def named(domain, rows):
    return [domain.paths[row] for row in rows]


# ---- what an index says

def test_lists_decide_what_is_trained_on_selected_on_and_reported_on(data):
    index = build_index(*data)
    assert index.classes == CLASSES
    assert [domain.name for domain in index.domains] == list(DOMAINS)
    photo = index.domain("photo")
    assert len(photo.paths) == 12
    assert named(photo, photo.validation) == [f"photo/{name}/3.png" for name in CLASSES]
    assert named(photo, photo.train) == [f"photo/{name}/{i}.png" for name in CLASSES for i in range(3)]
    assert sorted(named(photo, photo.whole)) == sorted(photo.paths)
    assert [CLASSES[label] for label in photo.labels] == [path.split("/")[1] for path in photo.paths]
    assert photo.sizes[0] == os.path.getsize(os.path.join(data[0], photo.paths[0]))
    assert (photo.labels.dtype, photo.train.dtype, photo.sizes.dtype) == (np.int32, np.int64, np.int64)


@pytest.mark.parametrize("base", [0, 1])
def test_labels_are_class_indices_whatever_the_list_counts_from(data, base):
    write_lists(data[1], base=base)
    assert build_index(*data).domain("clip").labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4


def test_a_one_based_list_read_as_zero_based_is_refused(data):
    problem = refused(*data, label_base="0")
    assert "label_base=0" in str(problem) and "count from 1" in str(problem)


def test_without_a_test_list_the_whole_domain_is_train_and_crossval(data):
    write_lists(data[1], with_test=False)
    for name in DOMAINS:
        os.unlink(list_path(data[1], name, "test"))
    photo = build_index(*data).domain("photo")
    assert sorted(photo.whole.tolist()) == list(range(12))


def test_a_test_list_may_name_other_images_than_the_union(data):
    write_list(data[1], "photo", "test", ["photo/ant/3.png 1", "photo/cat/0.png 3"])
    photo = build_index(*data).domain("photo")
    assert named(photo, photo.whole) == ["photo/ant/3.png", "photo/cat/0.png"]
    assert len(photo.train) == 9 and len(photo.paths) == 12


def test_a_test_list_that_is_not_the_union_is_warned_of_with_counts(data, caplog):
    build_index(*data)
    assert not caplog.records
    datasets.save_image(os.path.join(data[0], "photo", "ant", "9.png"))
    write_list(data[1], "photo", "test", ["photo/ant/9.png 1", "photo/ant/3.png 1", "photo/cat/0.png 3"])
    build_index(*data)
    (warning,) = [entry.getMessage() for entry in caplog.records]
    assert warning.startswith("domain photo: its test list differs from train and crossval together: 1 image only in "
                              "test, 10 only in train or crossval.")
    assert "the 3 images of the test list" in warning


def test_folders_without_lists_are_split(data):
    index = build_index(data[0], validation_fraction=0.25, seed=3)
    clip = index.domain("clip")
    assert len(clip.paths) == 12 and len(clip.whole) == 12
    assert np.bincount(clip.labels[clip.validation]).tolist() == [1, 1, 1]
    assert sorted(np.concatenate([clip.train, clip.validation])) == list(range(12))
    again = build_index(data[0], validation_fraction=0.25, seed=3)
    other = build_index(data[0], validation_fraction=0.25, seed=4)
    assert again.fingerprint == index.fingerprint != other.fingerprint


def test_what_is_no_image_of_a_class_is_not_indexed(data):
    root = data[0]
    for name in ("clip/ant/Thumbs.db", "clip/ant/.hidden.png", "clip/stray.png", ".cache/ant/0.png",
                 "__MACOSX/ant/0.png", "clip/ant/deeper/0.png"):
        os.makedirs(os.path.dirname(os.path.join(root, name)), exist_ok=True)
        with open(os.path.join(root, name), "wb") as stream:
            stream.write(b"x")
    os.makedirs(os.path.join(root, "clip", "empty"))
    index = build_index(root)
    assert index.classes == CLASSES and len(index.domain("clip").paths) == 12
    assert [domain.name for domain in index.domains] == list(DOMAINS)


def test_domains_are_taken_in_the_order_asked_for(data):
    index = build_index(*data, domains=["sketch", "clip"])
    assert [domain.name for domain in index.domains] == ["sketch", "clip"]


def test_a_class_that_a_domain_lacks_is_warned_of(data, caplog):
    for domain in ("clip", "sketch"):
        datasets.save_image(os.path.join(data[0], domain, "dodo", "0.png"))
    assert build_index(data[0]).classes == ("ant", "bee", "cat", "dodo")
    assert "domain photo has no images of dodo" in caplog.text and "clip" not in caplog.text


def test_a_folder_that_no_list_names_is_warned_of(data, caplog):
    for domain in ("clip", "sketch"):
        datasets.save_image(os.path.join(data[0], domain, "zoo", "0.png"))
    assert build_index(*data).classes == CLASSES + ("zoo",)
    assert "no list names an image of zoo" in caplog.text


def test_progress_is_told_from_start_to_end(data):
    calls = []
    build_index(*data, on_progress=lambda *call: calls.append(call))
    assert calls[0] == (0, 72) and calls[-1] == (72, 72)


def test_what_the_progress_raises_goes_through(data):
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_index(*data, on_progress=stop)


# ---- the fingerprint

def test_the_fingerprint_is_of_the_data_and_not_of_where_or_when_it_is(data, tmp_path):
    before = build_index(*data)
    elsewhere = tmp_path / "elsewhere"
    os.rename(data[0], str(elsewhere))
    os.utime(str(elsewhere / "clip" / "ant" / "0.png"), (1, 1))
    assert build_index(str(elsewhere), data[1]).fingerprint == before.fingerprint


def test_the_fingerprint_changes_with_split_size_and_class(data):
    seen = {build_index(*data).fingerprint, build_index(*data, domains=["clip", "photo"]).fingerprint}
    write_list(data[1], "photo", "crossval", ["photo/ant/3.png 1", "photo/bee/3.png 2"])
    seen.add(build_index(*data).fingerprint)
    datasets.save_image(os.path.join(data[0], "clip", "ant", "0.png"), size=(9, 9))
    seen.add(build_index(*data).fingerprint)
    assert len(seen) == 4


def test_rows_can_be_taken_out(data):
    index = build_index(*data)
    less = index.without({"photo": [0, 3]})
    photo = less.domain("photo")
    assert photo.paths == index.domain("photo").paths
    assert 0 not in photo.train and len(photo.train) == 8
    assert 3 not in photo.validation and len(photo.validation) == 2
    assert len(photo.whole) == 10
    assert len(less.domain("clip").train) == 9
    assert less.fingerprint != index.fingerprint
    with pytest.raises(DataError, match="no validation images"):
        index.without({"photo": [3, 7, 11]})


# ---- what is refused

def test_lines_at_fault_are_all_in_one_error_and_in_the_report(data, tmp_path):
    add_line(data[1], "clip", "train", "clip/dodo/0.png 4")
    add_line(data[1], "clip", "train", "clip/ant/99.png 1")
    add_line(data[1], "clip", "train", "clip/ant/0.png 1")
    add_line(data[1], "photo", "crossval", "photo/ant/0.png 1")
    add_line(data[1], "photo", "test", "photo/../../secret.png 1")
    write_list(data[1], "sketch", "crossval", ["sketch/ant/3.png 0", "sketch/bee/3.png 2"])
    report = tmp_path / "offenders.txt"
    problem = refused(*data, offenders_path=str(report))
    for count in ("1 x unknown class", "1 x missing file", "2 x repeated path", "1 x path outside dataroot",
                  "1 x label that disagrees with the folder"):
        assert count in str(problem)
    assert "6 problems in" in str(problem) and str(report) in str(problem)
    assert ("clip_train_kfold.txt:12", "clip/ant/0.png: named before in clip_train_kfold.txt:1") in problem.offenders
    assert ("photo_crossval_kfold.txt:4", "photo/ant/0.png: crossval leaks from train") in problem.offenders
    assert len(report.read_text().splitlines()) == 6


def test_lines_at_fault_can_be_skipped(data, tmp_path, caplog):
    good = build_index(*data)
    add_line(data[1], "clip", "train", "clip/ant/99.png 1")
    add_line(data[1], "clip", "train", "clip/ant/0.png 1")
    add_line(data[1], "photo", "crossval", "photo/ant/0.png 0")
    add_line(data[1], "photo", "crossval", "photo/ant/1.png 1")
    index = build_index(*data, bad_data="skip", offenders_path=str(tmp_path / "offenders.txt"))
    assert index.fingerprint == good.fingerprint
    assert "4 problems in" in caplog.text
    assert len((tmp_path / "offenders.txt").read_text().splitlines()) == 4


def test_a_wrong_base_cannot_be_skipped(data):
    write_lists(data[1], base=3)
    assert "whether counted from 0 or from 1" in str(refused(*data, bad_data="skip"))


def test_skipping_everything_is_refused(data):
    write_list(data[1], "clip", "crossval", ["clip/ant/99.png 1"])
    assert "domain clip has no validation images" in str(refused(*data, bad_data="skip"))


def test_one_image_a_class_leaves_none_to_validate_on(tmp_path):
    write_folders(tmp_path, count=1)
    assert "two images" in str(refused(str(tmp_path)))


def test_empty_files_and_directories_are_no_images(data):
    with open(os.path.join(data[0], "clip", "ant", "0.png"), "wb"):
        pass
    os.unlink(os.path.join(data[0], "photo", "bee", "1.png"))
    os.mkdir(os.path.join(data[0], "photo", "bee", "1.png"))
    problem = refused(*data)
    assert "2 x empty file" in str(problem) and "2 x unreadable image" in str(problem)
    assert "1 x empty file" in str(refused(data[0]))


@pytest.mark.parametrize("with_lists", [True, False])
def test_links_are_not_followed(data, tmp_path, with_lists):
    secret = tmp_path / "secret.png"
    datasets.save_image(secret)
    link = os.path.join(data[0], "clip", "ant", "0.png")
    os.unlink(link)
    os.symlink(str(secret), link)
    assert "x symbolic link" in str(refused(data[0], data[1] if with_lists else None))


def test_the_number_of_classes_can_be_insisted_on(data):
    assert build_index(*data, num_classes=3).classes == CLASSES
    message = str(refused(*data, num_classes=7))
    assert "num_classes=7" in message and "has 3 class folders: ant, bee, cat" in message


def test_directories_that_are_not_there_or_hold_nothing_are_named(data, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "dataroot: there is no directory" in str(refused(data[0] + "x"))
    assert "filelist_root: there is no directory" in str(refused(data[0], data[1] + "x"))
    assert "no list files" in str(refused(data[0], str(empty)))
    assert "no images" in str(refused(str(empty)))
    os.unlink(list_path(data[1], "photo", "crossval"))
    assert "photo_crossval_kfold.txt" in str(refused(*data))


def test_domains_are_named_once(data):
    assert "once" in str(refused(*data, domains=["clip", "clip"]))
    assert "once" in str(refused(*data, domains=[]))
    assert "no folder for domain nowhere" in str(refused(*data, domains=["clip", "nowhere"]))


@pytest.mark.parametrize("setting", [{"label_base": "2"}, {"bad_data": "ignore"}])
def test_settings_outside_their_choices_are_refused(data, setting):
    with pytest.raises(ValueError, match=list(setting)[0]):
        build_index(*data, **setting)


def test_an_unknown_domain_is_named_with_those_that_there_are(data):
    with pytest.raises(DataError, match="clip, photo, sketch"):
        build_index(*data).domain("art")
