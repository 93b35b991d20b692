from __future__ import annotations

import pytest

from masf_core.data import lists
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
    ("/art/dog/1.jpg 1", "path outside dataroot"),
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


def test_domains_are_found_by_their_lists(tmp_path):
    for name in ("b_train_kfold.txt", "a_b_test_kfold.txt", "b_crossval_kfold.txt", "readme.txt", "_train_kfold.txt"):
        (tmp_path / name).write_text("")
    assert lists.domains_with_lists(str(tmp_path)) == ["a_b", "b"]


def test_lists_that_are_missing_are_named(tmp_path):
    for name in ("a_train_kfold.txt", "a_crossval_kfold.txt", "b_train_kfold.txt"):
        (tmp_path / name).write_text("")
    assert sorted(lists.find_lists(str(tmp_path), ["a"])["a"]) == ["crossval", "train"]
    with pytest.raises(DataError) as caught:
        lists.find_lists(str(tmp_path), ["a", "b", "c"])
    for name in ("b_crossval_kfold.txt", "c_train_kfold.txt", "c_crossval_kfold.txt"):
        assert name in str(caught.value)
    assert "b_train_kfold.txt" not in str(caught.value)
