from __future__ import annotations

import pytest

from masf_core.data import Folder, lists
from masf_core.data.offences import Offences
from masf_core.errors import DataError


def read(tmp_path, content, domain="art"):
    path = tmp_path / "art_train_kfold.txt"
    path.write_bytes(content)
    offences = Offences()
    return lists.read_list(str(path), domain, offences), offences.found


def test_a_line_is_a_path_and_a_label(tmp_path):
    lines, found = read(tmp_path, b"art/dog/pic_1.jpg 1\nart/cat/deep/pic_2.jpg 12\n")
    assert [(line.path, line.label, line.class_name) for line in lines] == [
        ("art/dog/pic_1.jpg", 1, "dog"), ("art/cat/deep/pic_2.jpg", 12, "cat")]
    assert [line.where for line in lines] == ["art_train_kfold.txt:1", "art_train_kfold.txt:2"]
    assert not found


def test_what_editors_and_other_systems_leave_behind_is_tolerated(tmp_path):
    content = b"\xef\xbb\xbfart/dog/1.jpg 1\r\n\r\n./art/dog/a b (2).jpg 1\r\n   \n\tart/d\xc3\xb6g/3.jpg \t 0  "
    lines, found = read(tmp_path, content)
    assert [(line.path, line.label) for line in lines] == [
        ("art/dog/1.jpg", 1), ("art/dog/a b (2).jpg", 1), (u"art/d\u00f6g/3.jpg", 0)]
    assert lines[-1].where.endswith(":5")
    assert not found


@pytest.mark.parametrize("row, kind", [
    ("art/dog/1.jpg", "malformed line"),
    ("art/dog/1.jpg one", "malformed line"),
    ("art/dog/1.jpg 1.0", "malformed line"),
    ("art/1.jpg 1", "malformed line"),
    ("art//1.jpg 1", "malformed line"),
    ("/data/dog/1.jpg 1", "path outside dataroot"),
    ("art/dog/../../../etc/passwd 1", "path outside dataroot"),
    ("../art/dog/1.jpg 1", "path outside dataroot"),
    ("art\\dog\\1.jpg 1", "path outside dataroot"),
    ("art/dog/1\0.jpg 1", "path outside dataroot"),
    ("sketch/dog/1.jpg 1", "path of another domain"),
])
def test_a_line_that_is_none_is_told_with_its_place(tmp_path, row, kind):
    lines, found = read(tmp_path, b"art/dog/0.jpg 1\n" + row.encode() + b"\n")
    assert len(lines) == 1
    assert [(offence.kind, offence.where) for offence in found] == [(kind, "art_train_kfold.txt:2")]


def test_a_file_that_is_no_text_is_refused(tmp_path):
    with pytest.raises(DataError, match="UTF-8"):
        read(tmp_path, b"\xff\xfe\x00")


@pytest.mark.parametrize("prefix", ["kfold/", "/home/me/VLCS/", "./data/", "art_1/art/"])
def test_folders_in_front_of_the_domain_are_passed_over(tmp_path, prefix):
    lines, found = read(tmp_path, (prefix + "art/dog/1.jpg 1\n" + prefix + "art/full/2/1.jpg 1\n").encode())
    assert not found
    assert [(line.path, line.class_name) for line in lines] == [("art/dog/1.jpg", "dog"), ("art/full/2/1.jpg", "2")]


def write(folder, *names, text="photo/dog/1.jpg 1\n"):
    for name in names:
        (folder / name).write_text(text)


def test_a_list_of_several_splits_that_lacks_one_is_named(tmp_path):
    write(tmp_path, "a_train_kfold.txt", "a_crossval_kfold.txt", "b_train_kfold.txt")
    found = lists.lists_in(Folder(str(tmp_path)), [])
    assert found.official and sorted(found.files["a"]) == ["crossval", "train"]
    lists.check_complete(found, ["a"])
    with pytest.raises(DataError) as caught:
        lists.check_complete(found, ["a", "b", "c"])
    for name in ("b_crossval_kfold.txt", "c_train_kfold.txt", "c_crossval_kfold.txt", "filelist_root=none"):
        assert name in str(caught.value)
    assert "b_train_kfold.txt" not in str(caught.value)


@pytest.mark.parametrize("names, parts", [
    (["photo.txt"], {"full": "photo.txt"}),
    (["photo_train.txt", "photo_test.txt"], {"train": "photo_train.txt", "test": "photo_test.txt"}),
    (["photo_train.txt", "photo_val.txt", "photo.txt"],
     {"train": "photo_train.txt", "crossval": "photo_val.txt", "test": "photo.txt"}),
    (["photo_train_kfold.txt", "photo_train.txt"], {"train": "photo_train_kfold.txt"}),
    (["Photo_train.txt", "photo_TRAIN.TXT"], {"train": "photo_TRAIN.TXT"}),
    (["photo_full.txt"], {"full": "photo_full.txt"})])
def test_lists_are_known_by_the_names_that_people_give_them(tmp_path, names, parts):
    write(tmp_path, *names)
    found = lists.lists_in(Folder(str(tmp_path)), ["photo", "art_painting"])
    assert found.files == {"photo": parts}
    assert found.unused == sorted(set(names) - set(parts.values()))


def test_a_text_about_a_domain_is_no_list_but_is_told(tmp_path):
    write(tmp_path, "photo.txt", text="These are photographs.\n")
    write(tmp_path, "photo_train (1).txt", "CALTECH_train.txt", "readme.txt", "training_notes.txt", "photographer.txt")
    found = lists.lists_in(Folder(str(tmp_path)), ["photo"])
    assert found.files == {} and found.unused == ["CALTECH_train.txt", "photo.txt", "photo_train (1).txt"]


def test_a_pattern_names_the_lists(tmp_path):
    write(tmp_path, "photo-train.lst", "photo-val.lst", "cartoon-train.lst", "photo_train.txt")
    found = lists.lists_in(Folder(str(tmp_path)), ["photo"], "{domain}-{part}.lst")
    assert found.files == {"photo": {"train": "photo-train.lst", "crossval": "photo-val.lst"}}
    assert found.unused == ["cartoon-train.lst", "photo_train.txt"]
    found = lists.lists_in(Folder(str(tmp_path)), ["photo"], "{domain}-train.lst")
    assert found.files == {"photo": {"full": "photo-train.lst"}}


@pytest.mark.parametrize("pattern", ["photo.txt", "{domain}{domain}.txt", "lists/{domain}.txt"])
def test_a_pattern_without_its_place_for_the_domain_is_refused(tmp_path, pattern):
    with pytest.raises(ValueError, match="domain"):
        lists.lists_in(Folder(str(tmp_path)), ["photo"], pattern)
