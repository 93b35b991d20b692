"""What every store promises, whatever is behind it."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from obs_sync import IntegrityError, LocalStorageError, ObjectChanged, ObjectInfo, ObjectNotFound, UnsafeKey, pull
from obs_sync.errors import WrongDigest
from tests.obs_sync.trees import read_tree

AWKWARD_KEYS = ["plain.txt", "a/b/c.bin", "with space.txt", "plus+and&amp=1?.txt", "100%25.txt", "ümläut/犬.jpg",
                "quote'\"<>.txt", "~tilde/#hash", "trailing."]
TREE = {"photo/dog/1.jpg": b"1" * 30, "photo/cat/2.jpg": b"2" * 40, "art/3.jpg": b"3", "art/empty": b""}
BY_CONSOLES = ["", "photo/", "photo/dog/", "empty/"]  # empty objects that stand for folders


def info_of(store, key):
    return {info.key: info for info in store.list()}[key]


def keys_of(listing):
    return sorted(info.key for info in listing)


def ours(caplog):
    return [record.getMessage() for record in caplog.records if record.name.startswith("obs_sync.folder")]


def test_an_empty_store_lists_nothing(store):
    assert list(store.list()) == []


@pytest.mark.parametrize("size", [0, 1, 65536, 300001])
def test_what_was_written_is_read(store, size):
    data = os.urandom(size)
    stored = store.write("folder/object", data)
    assert (stored.key, stored.size) == ("folder/object", size)
    assert store.read("folder/object") == data


@pytest.mark.parametrize("key", AWKWARD_KEYS)
def test_keys_are_kept_letter_by_letter(store, key, tmp_path):
    store.write(key, b"content of " + key.encode("utf-8"))
    assert [info.key for info in store.list()] == [key]
    store.download(info_of(store, key), str(tmp_path / "out"))
    assert (tmp_path / "out").read_bytes() == store.read(key)
    store.delete([key])
    assert list(store.list()) == []


def test_a_listing_tells_sizes_and_times(store):
    store.write("a", b"12345")
    info = info_of(store, "a")
    assert info.size == 5
    head = store.head("a")
    assert head.size == 5
    assert abs(head.modified - info.modified) < 1.5


def test_a_prefix_is_a_string_and_not_a_directory(store):
    for key in ("ab.txt", "ab/c", "abc/d", "b"):
        store.write(key, b"x")
    assert {info.key for info in store.list("ab")} == {"ab.txt", "ab/c", "abc/d"}
    assert {info.key for info in store.list("ab/")} == {"ab/c"}
    assert list(store.list("nothing")) == []


def test_a_long_listing_is_complete(store):
    if type(store).__name__ == "MoxingStore":
        count = 120
    else:
        count = 2101  # more than two pages
    keys = {f"many/{number:05d}" for number in range(count)}
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda key: store.write(key, b""), keys))
    assert {info.key for info in store.list("many/")} == keys


def test_the_empty_objects_that_consoles_make_for_folders_are_listed_by_no_store(store, put, caplog):
    for key, data in TREE.items():
        put(key, data)
    for key in BY_CONSOLES:
        put(key, b"")
    assert keys_of(store.list()) == sorted(TREE)
    assert keys_of(store.list("photo/")) == ["photo/cat/2.jpg", "photo/dog/1.jpg"]
    assert keys_of(store.list_completely("", lambda key: True)) == sorted(TREE)
    assert ours(caplog) == []  # a directory like any other is nothing to talk about


def test_markers_of_other_tools_are_listed_by_no_store_and_named_once(store, put, caplog):
    put("photo/dog/1.jpg", b"1" * 30)
    put("photo_$folder$", b"")
    for _ in range(2):
        assert keys_of(store.list()) == ["photo/dog/1.jpg"]
    told, = ours(caplog)
    assert store.locate("photo_$folder$") in told


def test_an_empty_object_beside_a_folder_of_its_name_is_listed_by_no_store(store, put):
    put("photo/dog/1.jpg", b"1" * 30)
    put("photo", b"")
    put("photo/dog", b"")
    assert keys_of(store.list()) == ["photo/dog/1.jpg"]


def test_our_own_bookkeeping_is_listed_by_no_store(store, put, caplog):
    for key in ("a.jpg", ".obs_sync/index.jsonl", "photo/.obs_sync/incoming/x"):
        put(key, b"x" * 100)
    assert keys_of(store.list()) == ["a.jpg"]
    assert ours(caplog) == []


def test_a_pull_of_a_folder_made_in_a_console_brings_its_files_and_the_next_one_finds_them(store, put, tmp_path):
    for key, data in TREE.items():
        put(key, data)
    for key in BY_CONSOLES + ["art"]:
        put(key, b"")
    assert pull(store, str(tmp_path / "out")).files == len(TREE)
    assert read_tree(tmp_path / "out") == TREE
    again = pull(store, str(tmp_path / "out"), mirror=True, delete=True)
    assert (again.removed_files, read_tree(tmp_path / "out")) == (0, TREE)


def test_head_of_nothing_says_what_and_where(store):
    with pytest.raises(ObjectNotFound) as caught:
        store.head("missing.txt")
    assert store.locate("missing.txt") in str(caught.value)
    assert isinstance(caught.value, FileNotFoundError)


def test_a_directory_is_no_object(store):
    store.write("folder/object", b"x")
    assert not store.exists("folder")
    assert store.exists("folder/object")


def test_reading_nothing_raises(store, tmp_path):
    with pytest.raises(ObjectNotFound):
        store.read("missing")
    with pytest.raises(ObjectNotFound):
        store.download(ObjectInfo("missing", 3), str(tmp_path / "out"))


def test_a_later_write_replaces(store):
    store.write("a", b"one")
    store.write("a", b"three")
    assert store.read("a") == b"three"
    assert [(info.key, info.size) for info in store.list()] == [("a", 5)]


def test_upload_stores_a_file_and_counts_its_bytes(store, tmp_path):
    data = os.urandom(700001)
    (tmp_path / "file").write_bytes(data)
    counted = []
    stored = store.upload(str(tmp_path / "file"), "up/file", counted.append)
    assert stored.size == len(data) == sum(counted)
    assert store.read("up/file") == data


def test_upload_without_an_md5_stores_the_same(store, tmp_path):
    data = os.urandom(300001)
    (tmp_path / "file").write_bytes(data)
    stored = store.upload(str(tmp_path / "file"), "a", with_md5=False)
    assert stored.md5 in (None, hashlib.md5(data).hexdigest())
    assert store.read("a") == data
    store.download(store.head("a"), str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == data


def test_a_file_that_grows_all_the_time_is_stored_up_to_a_length_that_it_had(store, tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"x" * (3 << 20))

    def grow(amount):
        with open(str(path), "ab") as stream:
            stream.write(b"y")

    stored = store.upload(str(path), "log", grow)
    content = store.read("log")
    assert len(content) == stored.size >= 3 << 20 and path.read_bytes().startswith(content)


def test_upload_of_a_missing_file_names_it(store, tmp_path):
    with pytest.raises(LocalStorageError, match="nowhere"):
        store.upload(str(tmp_path / "nowhere"), "a")
    assert not store.exists("a")


def test_download_writes_the_file_and_counts_its_bytes(store, tmp_path):
    data = os.urandom(700001)
    store.write("a", data)
    counted = []
    store.download(info_of(store, "a"), str(tmp_path / "out"), counted.append)
    assert (tmp_path / "out").read_bytes() == data
    assert sum(counted) == len(data)


def test_download_is_of_the_version_that_was_listed(store, tmp_path):
    store.write("a", b"old version")
    info = info_of(store, "a")
    store.write("a", b"NEW VERSION")
    counted = []
    with pytest.raises(ObjectChanged):
        store.download(info, str(tmp_path / "out"), counted.append)
    assert sum(counted) == 0


def test_a_wrong_size_is_noticed(store, tmp_path):
    store.write("a", b"12345")
    listed = info_of(store, "a")
    with pytest.raises((IntegrityError, ConnectionError)):
        store.download(ObjectInfo("a", 4, listed.etag), str(tmp_path / "out"))


def test_the_sha256_that_the_caller_knows_is_checked(store, tmp_path):
    store.write("a", b"content")
    info = dataclasses.replace(store.head("a"), sha256=hashlib.sha256(b"content").hexdigest())
    store.download(info, str(tmp_path / "right"))
    assert (tmp_path / "right").read_bytes() == b"content"
    counted = []
    with pytest.raises(WrongDigest, match="SHA-256"):
        store.download(dataclasses.replace(info, sha256="0" * 64), str(tmp_path / "wrong"), counted.append)
    assert sum(counted) == 0


@pytest.mark.parametrize("offset, size", [(0, 300001), (0, 1), (100000, 65537), (300000, 1), (300001, 0), (5, 0)])
def test_a_range_is_read(store, offset, size):
    data = os.urandom(300001)
    store.write("object", data)
    counted = []
    assert store.read_range(info_of(store, "object"), offset, size, counted.append) == data[offset:offset + size]
    assert sum(counted) == size


@pytest.mark.parametrize("offset, size", [(-1, 1), (0, 11), (10, 1), (0, -1)])
def test_a_range_that_is_not_inside_the_object_is_refused(store, offset, size):
    store.write("object", b"0123456789")
    with pytest.raises(ValueError, match="10 bytes"):
        store.read_range(info_of(store, "object"), offset, size)


def test_a_range_is_of_the_version_that_was_listed(store):
    store.write("object", b"old content")
    old = info_of(store, "object")
    store.write("object", b"new content, longer")
    counted = []
    with pytest.raises(ObjectChanged):
        store.read_range(old, 0, 5, counted.append)
    assert sum(counted) == 0
    store.delete(["object"])
    with pytest.raises(ObjectNotFound):
        store.read_range(old, 0, 5)


def test_download_into_no_directory_is_a_local_error(store, tmp_path):
    store.write("a", b"12345")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(LocalStorageError):
        store.download(info_of(store, "a"), str(tmp_path / "file" / "out"))


def test_delete_removes_only_what_it_is_told(store):
    for key in ("a", "ab", "b/a"):
        store.write(key, b"x")
    store.delete(["a", "never-existed"])
    assert {info.key for info in store.list()} == {"ab", "b/a"}
    store.delete([])


@pytest.mark.parametrize("key", ["", "/absolute", "../outside", "a/../../outside", "a//b", "a/./b", "a\\b", "a\0b",
                                 "folder/", ".obs_sync/index.jsonl"])
def test_keys_that_cannot_be_files_are_not_written(store, key, tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(UnsafeKey):
        store.write(key, b"x")
    with pytest.raises(UnsafeKey):
        store.upload(str(tmp_path / "file"), key)
    assert list(store.list()) == []


def test_an_exception_of_the_counter_ends_the_transfer(store, tmp_path):
    class Stop(Exception):
        pass

    def stop(_):
        raise Stop()

    (tmp_path / "file").write_bytes(os.urandom(2000000))
    with pytest.raises(Stop):
        store.upload(str(tmp_path / "file"), "a", stop)
    store.write("b", os.urandom(2000000))
    with pytest.raises(Stop):
        store.download(info_of(store, "b"), str(tmp_path / "out"), stop)
    assert store.read("b")  # the store is as good as before


def test_many_threads_share_one_store(store, tmp_path):
    def round_trip(number):
        data = hashlib.sha256(b"%d" % number).digest() * 100
        key = f"t/{number}"
        store.write(key, data)
        path = str(tmp_path / f"out-{number}")
        store.download(store.head(key), path)
        with open(path, "rb") as stream:
            return stream.read() == data == store.read(key)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(round_trip, range(40)))


def test_urls_and_repr(store):
    assert store.locate("a/b").endswith("/a/b")
    assert store.url in repr(store)
