from __future__ import annotations

import os

import pytest

from masf_core.data import Folder, build_index, find_dataroot, find_filelist_root, lists_beside, locate
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


def test_one_folder_between_each_domain_and_its_classes_is_named_exactly(tmp_path):
    write_folders(tmp_path / "data", domains=("clip/images", "photo/images", "sketch/pictures"), count=1)
    with pytest.raises(DataError, match="one level too deep, below a single folder such as data/clip/images. Expected "
                                        "<domain>/<class>/<image>. Move what is in data/clip/images into data/clip, "
                                        "data/photo/images into data/photo, data/sketch/pictures into data/sketch"):
        find_dataroot(Folder(str(tmp_path)))


def test_folders_to_skip_are_as_if_they_were_not_there(tmp_path):
    for place in ("kfold", "work/inputs/kfold", "kfold/inputs"):
        write_folders(tmp_path / place, count=2)
        write_lists(tmp_path / place, count=2)
    skip = [str(tmp_path / "work" / "inputs"), str(tmp_path / "kfold" / "inputs")]
    assert locate(Folder(str(tmp_path), skip=skip)) == (str(tmp_path / "kfold"), str(tmp_path / "kfold"))
    with pytest.raises(DataError, match="inputs"):
        build_index(str(tmp_path / "kfold"))
    assert len(build_index(str(tmp_path / "kfold"), skip=skip).domains) == 3


@pytest.mark.parametrize("place, found", [("", True), ("filelist", True), ("pacs_label", True), ("other", False)])
def test_lists_beside_the_data_are_found_where_lists_are_kept(tmp_path, place, found):
    write_folders(tmp_path / "kfold", count=1)
    write_lists(tmp_path / place, count=1)
    beside = lists_beside(Folder(str(tmp_path / "kfold")), str(tmp_path / "kfold"))
    assert beside == (os.path.normpath(str(tmp_path / place)) if found else None)


def test_lists_of_other_domains_beside_the_data_are_none_of_it(tmp_path):
    write_folders(tmp_path / "kfold", domains=("art", "cartoon", "photo"), count=1)
    write_lists(tmp_path, domains=("clip", "photo", "sketch"), count=1)
    assert lists_beside(Folder(str(tmp_path / "kfold")), str(tmp_path / "kfold")) is None
