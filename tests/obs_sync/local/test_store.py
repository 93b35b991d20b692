from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import time

import pytest

from benchmarks.soak import small_parts
from obs_sync import (
    IntegrityError, LocalStorageError, LocalStore, ObjectChanged, ObjectNotFound, UnsafeKey, open_store, plan_pack,
)
from obs_sync.esdk import body, multipart, upload
from obs_sync.local import store as local_store
from obs_sync.mock import mock_obs
from obs_sync.packs import source as pack_source
from obs_sync.packs.source import write_shard
from tests.obs_sync.trees import leftovers, read_tree, set_mtime, write_tree


def test_a_directory_need_not_exist_before_the_first_write(tmp_path):
    store = LocalStore(str(tmp_path / "a" / "b"))
    assert list(store.list()) == [] and not (tmp_path / "a").exists()
    store.write("k", b"x")
    assert read_tree(tmp_path / "a" / "b") == {"k": b"x"}


def test_files_are_listed_by_the_bytes_of_their_names_without_bookkeeping(tmp_path):
    store = LocalStore(str(tmp_path))
    for key in ("b", "a/z", "a.txt", "ä", "Z"):
        store.write(key, b"x")
    assert [info.key for info in store.list()] == ["Z", "a.txt", "a/z", "b", "ä"]
    assert (tmp_path / ".obs_sync").is_dir()


def test_a_failed_write_leaves_the_old_object_and_nothing_else(tmp_path):
    store = LocalStore(str(tmp_path / "store"))
    store.write("k", b"old")
    with pytest.raises(LocalStorageError):
        store.write("k/below", b"x")  # k is a file
    with pytest.raises(TypeError):
        store.write("k", "not bytes")
    assert store.read("k") == b"old" and leftovers(store.url) == {}


def test_unfinished_writes_of_the_dead_are_removed_and_those_of_the_living_are_not(tmp_path):
    incoming = write_tree(tmp_path / "store" / ".obs_sync" / "incoming", {"dead": b"x", "living": b"x"})
    set_mtime(os.path.join(incoming, "dead"), time.time() - 100000)
    LocalStore(str(tmp_path / "store")).write("k", b"x")
    assert os.listdir(incoming) == ["living"]


def test_deleting_the_last_file_of_a_directory_removes_the_directory(tmp_path):
    store = LocalStore(str(tmp_path))
    store.write("a/b/c", b"x")
    store.write("a/d", b"x")
    store.delete(["a/b/c"])
    assert sorted(os.listdir(str(tmp_path / "a"))) == ["d"]
    store.delete(["a/d"])
    assert os.listdir(str(tmp_path)) == [".obs_sync"]


def test_nothing_is_written_or_deleted_behind_a_link(tmp_path):
    outside = write_tree(tmp_path / "outside", {"precious": b"x"})
    (tmp_path / "store").mkdir()
    os.symlink(outside, str(tmp_path / "store" / "link"))
    store = LocalStore(str(tmp_path / "store"))
    for operation in (lambda: store.write("link/new", b"x"), lambda: store.delete(["link/precious"])):
        with pytest.raises(UnsafeKey, match="symbolic link"):
            operation()
    assert store.read("link/precious") == b"x"
    assert read_tree(outside) == {"precious": b"x"}


@pytest.mark.parametrize("at, link, operation", [
    ("fsync", "sub", lambda store, path: store.write("sub/new", b"new")),
    ("fsync", "sub", lambda store, path: store.upload(path, "sub/new")),
    ("remove", "sub", lambda store, path: store.delete(["sub/precious"])),
    ("rmdir", "sub/empty", lambda store, path: store.delete(["sub/empty/deeper/k"])),
    ("scandir", ".obs_sync/incoming", lambda store, path: store.write("new", b"new")),
], ids=["write", "upload", "delete", "empty folder", "what the dead left"])
def test_a_link_that_appears_meanwhile_is_not_followed(tmp_path, monkeypatch, at, link, operation):
    tree = {"precious": b"x", "empty/deeper/k": b"k"}
    store = LocalStore(write_tree(tmp_path / "store", {"sub/" + name: data for name, data in tree.items()}))
    (tmp_path / "store" / ".obs_sync" / "incoming").mkdir(parents=True)
    outside = write_tree(tmp_path / "outside", {"precious": b"x"})
    (tmp_path / "outside" / "deeper").mkdir()
    set_mtime(os.path.join(outside, "precious"), time.time() - 7 * 86400)
    source = write_tree(tmp_path / "source", {"k": b"new"})
    call, place = getattr(os, at), str(tmp_path / "store" / link)

    def call_after_another_was_faster(path, *args, **kwargs):
        monkeypatch.setattr(os, at, call)
        os.rename(place, str(tmp_path / "moved"))
        os.symlink(outside, place)
        return call(path, *args, **kwargs)

    monkeypatch.setattr(os, at, call_after_another_was_faster)
    with contextlib.suppress(UnsafeKey, LocalStorageError):
        operation(store, os.path.join(source, "k"))
    assert os.path.islink(place) and read_tree(outside) == {"precious": b"x"}
    assert os.path.isdir(os.path.join(outside, "deeper"))


def test_a_file_that_changes_while_it_is_stored_is_not_stored(tmp_path):
    path = tmp_path / "rewritten"
    path.write_bytes(b"x" * (3 << 20))

    def rewrite(amount):
        with open(str(path), "r+b") as stream:
            stream.write(b"y")

    store = LocalStore(str(tmp_path / "store"))
    with pytest.raises(IntegrityError, match="rewritten"):
        store.upload(str(path), "k", rewrite)
    assert list(store.list()) == [] and leftovers(store.url) == {}


def test_a_digest_that_was_promised_is_checked(tmp_path):
    from obs_sync import ObjectInfo
    store = LocalStore(str(tmp_path / "store"))
    store.write("k", b"damaged")
    with pytest.raises(IntegrityError, match="MD5"):
        store.download(ObjectInfo("k", 7, md5="0" * 32), str(tmp_path / "out"))


def test_a_file_that_is_removed_meanwhile_is_missing(tmp_path):
    store = LocalStore(str(tmp_path / "store"))
    store.write("k", b"x" * (3 << 20))
    with pytest.raises(ObjectNotFound, match="deleted after it was listed"):
        store.download(store.head("k"), str(tmp_path / "out"), lambda amount: store.delete(["k"]))


def test_head_tells_the_digest(tmp_path):
    store = LocalStore(str(tmp_path))
    store.write("k", b"content")
    assert store.head("k").md5 == "9a0364b9e99bb480dd25e1f0284c8555"


def test_a_write_that_ends_while_another_store_looks_for_those_of_the_dead_disturbs_neither(tmp_path, monkeypatch):
    incoming = write_tree(tmp_path / "store" / ".obs_sync" / "incoming", {"ending": b"x", "living": b"x"})
    scandir = os.scandir

    def scandir_before_one_ends(path):
        entries = list(scandir(path))
        os.rename(os.path.join(incoming, "ending"), str(tmp_path / "ended"))
        return contextlib.nullcontext(entries)

    monkeypatch.setattr(os, "scandir", scandir_before_one_ends)
    LocalStore(str(tmp_path / "store")).write("k", b"x")
    assert os.listdir(incoming) == ["living"]


def test_a_writer_hears_of_its_own_version_even_if_others_write_or_delete_right_after(tmp_path, monkeypatch):
    store, replace = LocalStore(str(tmp_path / "store")), os.replace
    for others in (lambda path: write_tree(os.path.dirname(path), {"k": b"a longer one"}),
                   lambda path: shutil.rmtree(os.path.dirname(path))):
        def replace_before_others(temporary, name, others=others, **folders):
            replace(temporary, name, **folders)
            others(os.path.join(store.url, "directory", name))

        monkeypatch.setattr(os, "replace", replace_before_others)
        mine = store.write("directory/k", b"mine")
        assert mine.size == 4 and mine.md5 == hashlib.md5(b"mine").hexdigest()
        with pytest.raises((ObjectChanged, ObjectNotFound)):
            store.download(mine, str(tmp_path / "out"))


def test_what_is_removed_while_it_is_read_is_missing(tmp_path, monkeypatch):
    store = LocalStore(str(tmp_path))
    info, look = store.write("k", b"content"), os.stat

    def removed_after_a_look(path, *args, **kwargs):
        found = look(path, *args, **kwargs)
        if path == os.path.join(store.url, "k"):
            os.remove(path)
        return found

    monkeypatch.setattr(os, "stat", removed_after_a_look)
    for read in (lambda: store.head("k"), lambda: store.read("k"), lambda: store.read_range(info, 0, 7),
                 lambda: store.download(info, str(tmp_path / "out"))):
        with open(os.path.join(store.url, "k"), "wb") as stream:
            stream.write(b"content")
        with pytest.raises(ObjectNotFound):
            read()


@pytest.fixture
def unreadable(monkeypatch):
    """A function after which a file cannot be opened, as by a user who may not."""
    def make(path, *modules):
        def refusing(name, *args, **kwargs):
            if name == str(path):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
            return open(name, *args, **kwargs)

        for module in modules:
            monkeypatch.setattr(module, "open", refusing, raising=False)
    return make


def test_a_source_that_may_not_be_read_is_no_fault_of_the_destination(tmp_path, unreadable):
    store = LocalStore(write_tree(tmp_path / "store", {"k": b"x"}))
    info, source = store.head("k"), tmp_path / "store" / "k"
    unreadable(source, local_store)
    for operation in (lambda: store.download(info, str(tmp_path / "out")), lambda: store.read("k"),
                      lambda: LocalStore(str(tmp_path / "other")).upload(str(source), "k")):
        with pytest.raises(LocalStorageError, match=f"cannot be read .Permission denied.: {source}. Let this"):
            operation()


@pytest.mark.parametrize("module", [upload, body, multipart])
def test_a_file_that_may_not_be_read_is_no_fault_of_the_bucket(tmp_path, unreadable, module):
    source = tmp_path / "k"
    source.write_bytes(bytes(300000 if module is multipart else 1))
    unreadable(source, module)
    with small_parts(102400), mock_obs(buckets=["bucket"]), open_store("obs://bucket/") as store:
        with pytest.raises(LocalStorageError, match=f"cannot be read .Permission denied.: {source}. Let this"):
            store.upload(str(source), "k")


def test_a_file_that_may_not_be_packed_any_more_is_no_fault_of_the_folder_for_shards(tmp_path, unreadable):
    plan = plan_pack(write_tree(tmp_path / "source", {"k": b"x"}))
    unreadable(tmp_path / "source" / "k", pack_source)
    with pytest.raises(LocalStorageError, match=f"cannot be read .Permission denied.: {tmp_path}/source/k[.]"):
        write_shard(str(tmp_path / "shard"), plan.index.shards[0], plan.paths, lambda amount: None)
