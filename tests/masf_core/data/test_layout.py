from __future__ import annotations

import os

import pytest

from masf_core.data import Folder, find_dataroot, find_filelist_root, locate
from masf_core.errors import DataError
from tests.masf_core.data.datasets import save_image, write_folders, write_lists


@pytest.mark.parametrize("images, lists", [
    ("kfold", "kfold"),  # PACS as it is published
    ("images", "kfold"),  # side by side
    ("", ""),
    ("", "lists"),
    ("a/b/c", "a/b"),
])
def test_images_and_lists_are_found_where_people_keep_them(tmp_path, images, lists):
    write_folders(tmp_path / images, count=1)
    write_lists(tmp_path / lists)
    found = locate(Folder(str(tmp_path)))
    assert [os.path.normpath(path) for path in found] == [str(tmp_path / images), str(tmp_path / lists)]


def test_folders_alone_have_no_lists(tmp_path):
    write_folders(tmp_path / "data", count=1)
    assert locate(Folder(str(tmp_path))) == (str(tmp_path / "data"), None)


def test_subfolders_of_classes_and_stray_files_do_not_confuse(tmp_path):
    write_folders(tmp_path, count=1)
    save_image(tmp_path / "clip" / "ant" / "more" / "1.png")
    save_image(tmp_path / "preview.png")
    (tmp_path / "__MACOSX" / "clip" / "ant").mkdir(parents=True)
    save_image(tmp_path / "__MACOSX" / "clip" / "ant" / "0.png")
    assert find_dataroot(Folder(str(tmp_path))) == str(tmp_path)


def test_several_candidates_are_named_with_the_setting_that_decides(tmp_path):
    for name in ("pacs", "vlcs"):
        write_folders(tmp_path / name, count=1)
        write_lists(tmp_path / name / "lists")
    with pytest.raises(DataError, match="pacs, vlcs.*--dataroot"):
        find_dataroot(Folder(str(tmp_path)))
    with pytest.raises(DataError, match="pacs/lists, vlcs/lists.*--filelist_root"):
        find_filelist_root(Folder(str(tmp_path)))


def test_nothing_to_be_found_says_what_was_looked_for(tmp_path):
    save_image(tmp_path / "ant" / "0.png")  # classes without domains
    with pytest.raises(DataError, match="<domain>/<class>/<image>"):
        locate(Folder(str(tmp_path)))


def test_links_out_of_the_directory_are_not_followed(tmp_path):
    write_folders(tmp_path / "outside", count=1)
    (tmp_path / "root").mkdir()
    os.symlink(str(tmp_path / "outside"), str(tmp_path / "root" / "data"))
    with pytest.raises(DataError):
        locate(Folder(str(tmp_path / "root")))


def test_a_directory_that_is_not_there_is_named(tmp_path):
    for find in (locate, find_dataroot, find_filelist_root):
        with pytest.raises(DataError, match="nowhere cannot be listed"):
            find(Folder(str(tmp_path / "nowhere")))
