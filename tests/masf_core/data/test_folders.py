from __future__ import annotations

import collections
import os

import pytest

from masf_core.data import Folder, build_index, image_kind
from masf_core.errors import DataError
from tests.masf_core.data.datasets import save_image, write_folders, write_lists


@pytest.fixture
def root(tmp_path):
    """A folder with an image, an image without a suffix, a text, a hidden image, a pipe, links and folders."""
    save_image(tmp_path / "root" / "b.png")
    save_image(tmp_path / "root" / "a", format="PNG")
    for name in ("notes.txt", "README", ".hidden.png"):
        (tmp_path / "root" / name).write_text("text")
    os.mkfifo(str(tmp_path / "root" / "pipe"))
    for name in ("z/y/x", ".git", "__MACOSX", "@eaDir", "work"):
        os.makedirs(str(tmp_path / "root" / name))
    links = {"to_folder": "z", "to_nowhere": "nowhere", "to_image.png": "b.png", "to_text": "README"}
    for name, target in links.items():
        os.symlink(target, str(tmp_path / "root" / name))
    return str(tmp_path / "root")


def test_what_is_in_a_folder_is_told_apart(root):
    folder = Folder(root)
    assert folder.images == ["a", "b.png", "to_image.png"] and folder.has_image()
    assert folder.links == ["to_folder", "to_nowhere"]
    assert folder.other_files == [
        ".hidden.png", "README", "notes.txt", "pipe", "to_folder", "to_nowhere", "to_text"]
    assert list(folder.subfolders) == ["work", "z"]
    assert folder.files == sorted(folder.images + folder.other_files)


def test_paths_are_below_the_root(root):
    save_image(os.path.join(root, "z", "y", "1.png"))
    folder = Folder(root).subfolders["z"].subfolders["y"]
    assert (folder.name, folder.path, folder.location) == ("y", "z/y", os.path.join(root, "z/y"))
    assert folder.images == ["z/y/1.png"] and folder.path_of("2.png") == "z/y/2.png"
    assert [each.path for each in Folder(root).below(2)] == ["work", "z", "z/y"]


def test_folders_to_skip_are_skipped_also_behind_a_link_above_them(root, tmp_path):
    os.symlink(root, str(tmp_path / "link"))
    assert list(Folder(root, skip=[str(tmp_path / "link" / "work")]).subfolders) == ["z"]
    assert [each.path for each in Folder(root, skip=[os.path.join(root, "z", "y")]).below(3)] == ["work", "z"]


def test_a_folder_with_an_image_by_its_name_opens_no_file(root, monkeypatch):
    monkeypatch.setattr(image_kind, "read_head", lambda path: pytest.fail("opened " + path))
    assert Folder(root).has_image() and len(Folder(root).files) == 10


def test_a_folder_that_cannot_be_listed_is_named_each_time(tmp_path):
    folder = Folder(str(tmp_path / "nowhere"))
    for _ in range(2):
        with pytest.raises(DataError, match="nowhere cannot be listed: No such file"):
            folder.has_image()


@pytest.mark.parametrize("with_lists", [True, False])
def test_an_index_reads_each_folder_once(tmp_path, monkeypatch, with_lists):
    write_folders(tmp_path / "images")
    write_lists(tmp_path / "lists")
    read, scandir = collections.Counter(), os.scandir

    def counting(path):
        read[path] += 1
        return scandir(path)

    monkeypatch.setattr(os, "scandir", counting)
    build_index(str(tmp_path / "images"), str(tmp_path / "lists") if with_lists else None)
    assert len(read) == 13 + with_lists and set(read.values()) == {1}
