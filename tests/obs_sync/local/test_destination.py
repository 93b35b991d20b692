"""The directory that a pull fills: wide and deep trees, and links that appear while it is written."""
from __future__ import annotations

import os
import shutil

import pytest

from obs_sync import LocalStorageError, LocalStore, UnsafeKey, pull
from obs_sync.local.destination import Destination
from obs_sync.transfer.trees import preview_pull
from tests.obs_sync.trees import read_tree, write_tree


@pytest.fixture
def destination(tmp_path):
    (tmp_path / "out").mkdir()
    return Destination(str(tmp_path / "out"), lambda key: key, lambda key: "obs://bucket/" + key)


@pytest.fixture
def finished(tmp_path):
    """A function that makes so many finished files."""
    def make(count):
        paths = [str(tmp_path / f"{number}.tmp") for number in range(count)]
        for path in paths:
            with open(path, "wb") as stream:
                stream.write(b"whole")
        return paths
    return make


def counted(keys, seen):
    """The keys; `seen` is told how many descriptors are open when each is asked for."""
    for key in keys:
        seen.append(len(os.listdir("/proc/self/fd")))
        yield key


def test_a_tree_of_many_folders_takes_few_descriptors(destination, finished):
    keys = [f"a/{number:03d}/file" for number in range(200)]
    seen = []
    destination.put(finished(200), counted(keys, seen))
    assert sorted(destination.look(keys)) == keys
    destination.remove(counted(keys, seen))
    assert destination.look(keys) == {}
    assert max(seen) - min(seen) <= 40
    assert len(os.listdir("/proc/self/fd")) <= min(seen)


def test_a_folder_that_is_left_and_met_again_is_the_same(destination, finished):
    keys = [f"{number % 100}/deep/er/{number}" for number in range(300)]
    destination.put(finished(300), keys)
    assert sorted(destination.look(keys)) == sorted(keys)


def test_a_link_in_place_of_a_folder_that_was_used_before_is_refused(destination, finished, tmp_path):
    (tmp_path / "elsewhere").mkdir()

    def keys():
        for number in range(100):
            yield f"{number:03d}/file"
        shutil.rmtree(os.path.join(destination.root, "000"))
        os.symlink(str(tmp_path / "elsewhere"), os.path.join(destination.root, "000"))
        yield "000/other"

    with pytest.raises(UnsafeKey, match="000 is a symbolic link"):
        destination.put(finished(101), keys())
    assert os.listdir(str(tmp_path / "elsewhere")) == []


def test_a_deep_tree_takes_few_descriptors(destination, finished):
    key = "d/" * 250 + "file"
    seen = []
    destination.put(finished(3), counted([key, "one", key + "2"], seen))
    assert sorted(destination.look([key, key + "2"])) == [key, key + "2"]
    assert max(seen) - min(seen) <= 40
    destination.remove([key])
    assert destination.look([key]) == {}


@pytest.mark.parametrize("in_the_way, told", [
    ({"photo/dog/1.jpg/x": b""}, "this is a directory, but .*1.jpg needs a file here: .*/photo/dog/1.jpg"),
    ({"photo": b""}, "this is a file, but .*photo/.* needs a directory here: .*/photo[.]"),
])
def test_what_is_in_the_way_of_a_file_is_told_before_anything_moves(tmp_path, in_the_way, told):
    source = LocalStore(write_tree(tmp_path / "source", {"a": b"a", "photo/dog/1.jpg": b"1"}))
    out = write_tree(tmp_path / "out", in_the_way)
    for attempt in (preview_pull, pull):
        with pytest.raises(LocalStorageError, match=told):
            attempt(source, out)
    assert read_tree(out) == in_the_way
