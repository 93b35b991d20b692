"""What stands for a folder, and our own bookkeeping: nothing is done with it.

That no store lists it is part of the contract: `test_store_contract`.
"""

from __future__ import annotations

import pytest

from obs_sync import ObjectInfo, ObjectNotFound, PackedStore, UnsafeKey, pack, pull, push
from obs_sync.folder_markers import Skipped, only_objects
from obs_sync.transfer.filters import Filters, Rule
from tests.obs_sync.test_store_contract import BY_CONSOLES, TREE, keys_of
from tests.obs_sync.trees import read_tree, write_tree



def listed(*objects):
    told = []
    infos = [ObjectInfo(key, size) for key, size in objects]
    return keys_of(only_objects(iter(infos), told.extend)), told


@pytest.mark.parametrize("objects, left, skipped", [
    ([("a/", 1), ("a/x", 9)], ["a/x"], ["a/"]),                          # a byte in it
    ([("", 1), ("a", 9)], ["a"], [""]),                                  # of the store's own folder
    ([("a/", 5000), ("a/x", 9)], ["a/", "a/x"], []),                     # holds something: to be told as an odd key
    ([(".", 1), ("a/.", 0), ("b/.", 2)], ["b/."], [".", "a/."]),
    ([("a/b/c", 3), ("a", 0), ("a/b", 0)], ["a/b/c"], ["a", "a/b"]),     # also when it comes later
    ([("a", 0), ("a-b/c", 3), ("ab", 0)], ["a", "a-b/c", "ab"], []),     # an empty file is one
    ([("a", 0), ("a/", 0)], [], ["a"]),
    ([("a", 1), ("a/x", 3)], ["a", "a/x"], []),                          # holds something: two that clash
    ([("a_$folder$", 0), ("b_$folder$", 3)], ["b_$folder$"], ["a_$folder$"]),
])
def test_what_holds_nothing_and_cannot_be_a_file_is_skipped(objects, left, skipped):
    assert listed(*objects) == (left, skipped)
    assert listed(*reversed(objects))[0] == left  # whatever the order of the store


def test_what_is_skipped_is_counted_and_named_once(caplog):
    skipped = Skipped(lambda key: "obs://b/" + key)
    skipped(["a", "b"])
    skipped(["b", "c"])
    first, second = [record.getMessage() for record in caplog.records]
    assert first.startswith("2 objects are skipped, such as obs://b/a")
    assert second.startswith("obs://b/c is skipped")


def test_a_folder_that_holds_nothing_but_markers_has_nothing_to_fetch(store, put, tmp_path):
    for key in BY_CONSOLES:
        put(key, b"")
    with pytest.raises(ObjectNotFound, match="nothing to fetch"):
        pull(store, str(tmp_path / "out"))


def test_a_push_into_a_folder_made_in_a_console_stores_the_tree_and_deletes_no_marker(esdk_store, obs, tmp_path):
    for key in ("", "photo/", "photo", "old"):
        obs.put("bucket", "base/" + key, b"")
    report = push(esdk_store, write_tree(tmp_path / "source", TREE), delete=True)
    assert report.removed_files == 1  # "old"
    assert keys_of(esdk_store.list()) == sorted(TREE)
    assert {"base/", "base/photo/", "base/photo"} <= set(obs.keys("bucket"))


def test_a_marker_that_lies_in_a_local_tree_is_not_stored(esdk_store, tmp_path, caplog):
    source = write_tree(tmp_path / "source", dict(TREE, **{"photo_$folder$": b""}))
    assert push(esdk_store, source).files == len(TREE)
    assert "photo_$folder$ is skipped" in caplog.text


def test_a_pack_beside_markers_of_its_folders_is_unpacked(esdk_store, obs, tmp_path, caplog):
    for key in ("", "photo/", "photo"):
        obs.put("bucket", "base/" + key, b"")
    pack(esdk_store, write_tree(tmp_path / "source", TREE))
    assert keys_of(PackedStore(esdk_store).list()) == sorted(TREE)
    assert pull(esdk_store, str(tmp_path / "out")).files == len(TREE)
    assert "obs://bucket/base/photo is skipped" in caplog.text


@pytest.mark.parametrize("key, pattern", [
    ("/photo/dog/x.jpg", "//photo/dog/x.jpg"),
    ("photo\\dog\\x.jpg", "/photo\\dog\\x.jpg"),
    ("a/../b[1]*.jpg", "/a/../b[[]1][*].jpg"),
    ("a//b, it's\n", "/a//b? it?s?"),
    ("photo", "/photo"),  # a file and a folder
])
def test_the_pattern_that_an_odd_key_is_refused_with_leaves_it_out(esdk_store, obs, tmp_path, key, pattern):
    obs.put("bucket", "base/" + key, b"x" * 20)
    obs.put("bucket", "base/photo/dog/1.jpg", b"1")
    with pytest.raises(UnsafeKey) as caught:
        pull(esdk_store, str(tmp_path / "out"))
    assert str(caught.value).endswith(f"exclude it with --exclude='{pattern}'.")
    pull(esdk_store, str(tmp_path / "out"), selects=Filters([Rule(False, pattern)]).selects)
    assert read_tree(tmp_path / "out") == {"photo/dog/1.jpg": b"1"}


def test_of_many_odd_keys_the_number_is_told(esdk_store, obs, tmp_path):
    for number in range(3):
        obs.put("bucket", f"base/photo\\{number}.jpg", b"x")
    with pytest.raises(UnsafeKey, match="3 keys cannot be files; the first: "):
        pull(esdk_store, str(tmp_path / "out"))
