"""Packing: the same tree gives the same bytes, a changed file changes its shard, and readers see whole packs."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import shutil
import subprocess
import tarfile

import pytest

from obs_sync import (
    AccessDenied, IntegrityError, LocalStorageError, LocalStore, PackedStore, StoreError, UnsafeKey, pack, plan_pack,
    publish_pack, pull,
)
from obs_sync.packs.index import INDEX_NAME
from obs_sync.packs.layout import END, Entry, cut, header
from tests.obs_sync.trees import read_tree, set_mtime, write_tree
from tests.obs_sync.wrapped_store import Killed, KilledAt, WrappedStore

LONG = "long/" + "n" * 120 + "/" + "m" * 130 + ".jpg"
TREE = {"photo/dog/1.jpg": b"1" * 1000, "photo/cat/2.jpg": b"", "art/cat/3.png": b"\x89" * 70000,
        "lists/train.txt": b"photo/dog/1.jpg 1\n", "skizze/Höhe 1.png": b"3", LONG: b"4" * 512, "-x": b"5",
        "new\nline": b"6"}
MANY = {"{}/{:03d}.jpg".format("abcd"[number % 4], number): hashlib.sha256(b"%d" % number).digest() * (30 + number % 50)
        for number in range(400)}
SHARD = 64 << 10  # bytes


@pytest.fixture
def source(tmp_path):
    return write_tree(tmp_path / "source", TREE)


@pytest.fixture
def target(tmp_path):
    return WrappedStore(LocalStore(str(tmp_path / "packed")))


def shards(store):
    return {info.key for info in store.list() if info.key.endswith(".tar")}


def test_the_shards_are_tars_that_anybody_can_read(source, target, tmp_path):
    report = pack(target, source, shard_bytes=SHARD)
    assert (report.files, report.bytes) == (len(TREE), sum(map(len, TREE.values())))
    (tmp_path / "by_tar").mkdir()
    unpacked = {}
    for name in shards(target):
        path = os.path.join(target.url, name)
        subprocess.run(["tar", "xf", path, "-C", str(tmp_path / "by_tar")], check=True)
        with tarfile.open(path) as archive:
            for member in archive:
                assert (member.mtime, member.uid, member.gid, member.mode, member.uname) == (0, 0, 0, 0o644, "")
                unpacked[member.name] = archive.extractfile(member).read()
    assert read_tree(tmp_path / "by_tar") == unpacked == TREE


def test_a_file_of_any_size_has_a_header_that_tar_reads():
    for key, size in (("a", 8 ** 11 - 1), ("b" * 99 + "é", 8 ** 11), ("c" * 84, 0), ("d" * 250, 10 ** 13)):
        entry = Entry(key, size)
        data = header(entry)
        member = tarfile.open(fileobj=io.BytesIO(data + END), mode="r:").next()
        assert (member.name, member.size, len(data) % 512) == (entry.key, entry.size, 0)


def test_the_index_says_where_each_member_is(source, target):
    pack(target, source, shard_bytes=SHARD)
    index = json.loads(target.read(INDEX_NAME).decode("ascii"))
    assert (index["format"], index["files"]) == ("masf-pack/1", len(TREE))
    found = {}
    for shard in index["shards"]:
        data = target.read(shard["name"])
        assert len(data) == shard["size"]
        for key, offset, size, sha256 in shard["members"]:
            found[key] = data[offset:offset + size]
            assert hashlib.sha256(found[key]).hexdigest() == sha256
    assert found == TREE


def test_the_same_tree_gives_the_same_bytes_everywhere(tmp_path):
    objects = []
    for name in ("one", "two"):
        source = write_tree(tmp_path / name, TREE)
        set_mtime(os.path.join(source, "-x"), 10 ** 9)
        os.chmod(os.path.join(source, "-x"), 0o600)
        pack(LocalStore(str(tmp_path / ("packed-" + name))), source, shard_bytes=SHARD)
        objects.append(read_tree(tmp_path / ("packed-" + name)))
    assert objects[0] == objects[1]
    whole = hashlib.sha256(b"".join(objects[0][key] for key in sorted(objects[0]))).hexdigest()
    assert whole == "d7e1ddd7e6a841345e1380a84435cac420eb991633035343d2df46b67efe00e3"


def test_a_pack_of_what_is_packed_already_stores_nothing(source, target):
    first = pack(target, source, shard_bytes=SHARD)
    assert (first.new_shards, first.changed) == (first.shards, True)
    del target.calls[:]
    again = pack(target, source, shard_bytes=SHARD)
    assert (again.new_shards, again.new_bytes, again.changed, again.shards) == (0, 0, False, first.shards)
    assert not target.calls_of("upload") and not target.calls_of("write") and not target.calls_of("delete")


CHANGES = {
    "changed": ({"b/101.jpg": b"other"}, [], 1),
    "added": ({"b/101-new.jpg": b"new" * 400}, [], 2),
    "removed": ({}, ["c/202.jpg"], 2),
    "much larger": ({"b/201.jpg": b"x" * (2 * SHARD)}, [], 3),
}


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_a_change_stores_the_shards_around_it_and_no_others(tmp_path, target, change):
    source = write_tree(tmp_path / "source", MANY)
    assert pack(target, source, shard_bytes=SHARD).shards > 10
    written, removed, most = CHANGES[change]
    write_tree(source, written)
    for key in removed:
        os.remove(os.path.join(source, key))
    assert 1 <= pack(target, source, shard_bytes=SHARD).new_shards <= most
    expected = {key: data for key, data in {**MANY, **written}.items() if key not in removed}
    pull(target, str(tmp_path / "out"))
    assert read_tree(tmp_path / "out") == expected


def test_shards_keep_to_their_size_and_larger_files_have_one_each():
    entries = [Entry(f"{number:04d}", 100 + 37 * (number % 60)) for number in range(2000)]
    entries[700:700] = [Entry("0699-large", 5 * SHARD)]
    parts = cut(entries, SHARD)
    assert [entry for part in parts for entry in part] == entries
    room = [sum(512 + -(-entry.size // 512) * 512 for entry in part) + 1024 for part in parts]
    assert [part for part, size in zip(parts, room) if size > SHARD] == [[Entry("0699-large", 5 * SHARD)]]
    assert sum(size < SHARD / 4 for size in room) < len(room) / 5


def test_shards_out_of_use_stay_for_readers_until_they_are_old(tmp_path, target):
    source = write_tree(tmp_path / "source", {"a": b"1"})
    names = []
    for content in (b"1", b"2", b"3"):
        write_tree(source, {"a": content})
        report = pack(target, source)
        names += sorted(shards(target) - set(names))
        assert report.removed_shards == 0
    for name in names:
        set_mtime(os.path.join(target.url, name), 10 ** 9)
    write_tree(source, {"a": b"4"})
    assert pack(target, source).removed_shards == 0  # old, and yet out of use only since a moment ago
    set_mtime(os.path.join(target.url, "masf-pack.json"), 10 ** 9)
    write_tree(source, {"a": b"5"})
    assert pack(target, source).removed_shards == 3  # and not the one that a reader may have begun with
    assert len(shards(target)) == 2
    assert pack(target, source, prune=True).removed_shards == 1
    assert len(shards(target)) == 1


def test_shards_that_may_not_be_deleted_fail_no_pack_but_one_that_was_asked_to_delete_them(tmp_path, target, caplog):
    source = write_tree(tmp_path / "source", {"a": b"1"})
    pack(target, source)
    write_tree(tmp_path / "source", {"a": b"2"})
    caplog.clear()

    def refuse(operation, key):
        if operation == "delete":
            raise AccessDenied("403", key)

    target.before = refuse
    with pytest.raises(AccessDenied):
        pack(target, source, prune=True)
    for name in shards(target):
        set_mtime(os.path.join(target.url, name), 10 ** 9)
    set_mtime(os.path.join(target.url, INDEX_NAME), 10 ** 9)
    report = pack(target, source)
    assert (report.removed_shards, len(shards(target))) == (0, 2)
    assert "the pack is complete, but 1 shards that it no longer uses could not be deleted" in caplog.text


def test_the_index_is_written_after_the_shards_and_before_any_is_removed(tmp_path, target):
    source = write_tree(tmp_path / "source", {"a": b"1"})
    pack(target, source)
    write_tree(source, {"a": b"2"})
    del target.calls[:]
    pack(target, source, prune=True)
    changes = [call.split()[0] for call in target.calls if call.split()[0] in ("upload", "write", "delete")]
    assert changes == ["upload", "write", "delete"]


@pytest.mark.parametrize("after", [False, True])
def test_a_pack_that_is_killed_anywhere_leaves_the_old_one_or_the_new_one(tmp_path, after):
    old = {key: data for key, data in MANY.items() if key < "a/100"}
    new = {**old, "a/000.jpg": b"new", "a/096.jpg": b"new as well"}
    at = 0
    while True:
        folder = tmp_path / str(at)
        store = LocalStore(str(folder / "packed"))
        source = write_tree(folder / "source", old)
        pack(store, source, shard_bytes=SHARD // 4)
        write_tree(source, new)
        try:
            pack(KilledAt(store, at, after), source, shard_bytes=SHARD // 4, prune=True)
            break
        except Killed:
            pass
        pull(store, str(folder / "out"))
        assert read_tree(folder / "out") in (old, new)
        pack(store, source, shard_bytes=SHARD // 4, prune=True)
        pull(store, str(folder / "out"))
        assert read_tree(folder / "out") == new
        shutil.rmtree(str(folder))
        at += 1
    assert at >= 6


def test_a_dry_run_says_what_would_be_done_and_does_nothing(source, target):
    told = publish_pack(target, plan_pack(source, SHARD), dry_run=True)
    assert set(target.calls) == {"list "}
    assert told == pack(target, source, shard_bytes=SHARD)


def test_progress_counts_what_is_read_and_then_what_is_stored(source, target):
    seen = []
    report = pack(target, source, shard_bytes=SHARD, on_progress=lambda done, total: seen.append((done, total)))
    assert (report.bytes, report.bytes) in seen and (report.new_bytes, report.new_bytes) in seen


def test_a_stop_request_ends_the_packing_and_leaves_no_temporary_file(source, target, tmp_path, monkeypatch):
    class Stop(Exception):
        pass

    def on_progress(done, total):
        if total > 75000:  # of what is stored, headers and all
            raise Stop()

    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    with pytest.raises(Stop):
        pack(target, source, shard_bytes=SHARD, on_progress=on_progress)
    assert not target.exists(INDEX_NAME) and os.listdir(str(tmp_path / "tmp")) == []


def test_one_shard_at_a_time_takes_temporary_space(tmp_path, target, monkeypatch):
    source = write_tree(tmp_path / "source", MANY)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    held = []
    target.before = lambda operation, key: held.append(
        sum(name.endswith(".tar") for name in read_tree(tmp_path / "tmp")))
    assert pack(target, source, shard_bytes=SHARD).shards > 10
    assert max(held) == 1 and read_tree(tmp_path / "tmp") == {}


# -- what cannot be packed

def test_nothing_to_pack_is_told(tmp_path, target):
    for path, told in ((tmp_path / "none", "no such directory"), (tmp_path, "no files to pack")):
        with pytest.raises(LocalStorageError, match=told) as caught:
            pack(target, str(path))
        assert str(path) in str(caught.value)


def test_links_are_followed_and_one_that_leads_nowhere_is_told(source, target, tmp_path, caplog):
    write_tree(tmp_path / "elsewhere", {"9.jpg": b"9"})
    os.symlink(str(tmp_path / "elsewhere"), os.path.join(source, "more"))
    with caplog.at_level(logging.INFO, "obs_sync"):
        pack(target, source)
    assert "1 symbolic links" in caplog.text
    pull(target, str(tmp_path / "out"))
    assert read_tree(tmp_path / "out") == {**TREE, "more/9.jpg": b"9"}
    os.symlink("/nowhere", os.path.join(source, "broken"))
    with pytest.raises(LocalStorageError, match="leads nowhere.*broken"):
        pack(target, source)


def test_a_pipe_is_told_and_not_waited_for(source, target):
    os.mkfifo(os.path.join(source, "pipe"))
    with pytest.raises(LocalStorageError, match="not a file, a directory or a link.*pipe"):
        pack(target, source)


@pytest.mark.parametrize("name", ["back\\slash", INDEX_NAME, "pack-{}.tar".format("0" * 64)])
def test_a_name_that_cannot_be_a_member_is_told_before_anything_is_stored(source, target, name):
    write_tree(source, {name: b"x"})
    with pytest.raises(UnsafeKey, match="slash|masf-pack.json|pack-0000"):
        pack(target, source)
    assert target.calls == []


@pytest.mark.parametrize("content", [b"other" * 200, b"", b"1" * 1001])
def test_a_file_that_changes_meanwhile_is_told_and_no_index_written(source, target, content):
    plan = plan_pack(source, SHARD)
    write_tree(source, {"photo/dog/1.jpg": content})
    with pytest.raises(IntegrityError, match="changed while it was being packed.*photo/dog/1.jpg"):
        publish_pack(target, plan)
    assert not target.exists(INDEX_NAME)


def test_objects_that_would_be_there_twice_are_told_before_anything_is_stored(source, target):
    target.inner.write("lists/train.txt", b"on its own")
    with pytest.raises(StoreError, match="1 of the files.*lists/train.txt.*could not know which of the two to take"):
        pack(target, source)
    target.inner.delete(["lists/train.txt"])
    target.inner.write("photo", b"a file")
    with pytest.raises(UnsafeKey, match="'photo' cannot be both a file"):
        pack(target, source)
    assert target.calls_of("upload") == []


def test_a_shard_that_somebody_removes_meanwhile_is_noticed(source, target):
    def thief(operation, key):
        if operation == "write":
            target.inner.delete(shards(target.inner))

    target.after = thief
    with pytest.raises(IntegrityError, match="deleted or overwritten while it was being packed"):
        pack(target, source)


def test_a_shard_that_is_removed_before_the_index_leaves_readers_the_pack_as_it_was(source, target, tmp_path):
    pack(target, source, shard_bytes=SHARD)
    old, listed = shards(target.inner), []
    write_tree(source, {"photo/dog/1.jpg": b"other", "art/cat/3.png": b"other" * 10000})

    def thief(operation, key):
        if operation == "list" and target.calls_of("upload") and len(shards(target.inner)) > len(old):
            listed.append(key)
            target.inner.delete(shards(target.inner) - old)

    del target.calls[:]
    target.before = thief
    with pytest.raises(IntegrityError, match="deleted or overwritten while it was being packed"):
        pack(target, source, shard_bytes=SHARD)
    assert listed and target.calls_of("write") == []
    target.before = WrappedStore(target.inner).before
    pull(target, str(tmp_path / "out"))
    assert read_tree(tmp_path / "out") == TREE


def test_a_listing_of_a_while_ago_does_not_stop_a_pack(source, target, tmp_path):
    class Stale(WrappedStore):
        def list(self, prefix=""):
            return iter(())

    assert pack(Stale(target), source, shard_bytes=SHARD).changed
    pull(target, str(tmp_path / "out"))
    assert read_tree(tmp_path / "out") == TREE


def test_a_pack_whose_index_no_reader_would_take_is_told_before_anything_is_stored(source, target, monkeypatch):
    monkeypatch.setattr("obs_sync.packs.publish.LARGEST_INDEX", 300)
    with pytest.raises(StoreError, match="index of 8 files would have [0-9,]+ bytes; readers accept at most 300"):
        pack(target, source)
    assert target.calls == []


def test_a_damaged_index_is_mended_by_packing_again(source, target):
    pack(target, source)
    target.write(INDEX_NAME, b"{}")
    assert pack(target, source).changed
    assert {info.key for info in PackedStore(target).list()} == set(TREE)


def test_a_pack_goes_into_every_store_below_a_prefix(store, source, tmp_path):
    assert pack(store, source, "packs/pacs/", SHARD).changed
    pull(store, str(tmp_path / "out"), "packs/pacs/")
    assert read_tree(tmp_path / "out" / "packs" / "pacs") == TREE
    assert pack(store, source, "packs/pacs/", SHARD).new_shards == 0


def test_a_pack_lies_in_a_folder(target, source):
    with pytest.raises(ValueError, match="'packs'; expected '' or a folder"):
        pack(target, source, "packs")
