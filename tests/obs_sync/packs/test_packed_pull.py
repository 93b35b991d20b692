"""Pulling from a pack: as from a folder of the same files, in few requests, whatever happens to the pack meanwhile."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time

import pytest

from obs_sync import (
    IntegrityError, LocalStore, ObjectNotFound, PackedStore, StoreError, UnsafeKey, pack, pull, push,
)
from obs_sync.packs.index import INDEX_NAME
from tests.obs_sync.trees import leftovers, read_tree, write_tree
from tests.obs_sync.wrapped_store import Killed, KilledAt, WrappedStore

TREE = {"photo/dog/1.jpg": b"1" * 1000, "photo/cat/2.jpg": b"", "art/cat/3.png": os.urandom(70000),
        "lists/train.txt": b"photo/dog/1.jpg 1\n", "Höhe.png": b"h" * 513}
TREE.update({f"sketch/{number:02d}.png": os.urandom(3000 + number) for number in range(30)})
TOTAL = sum(map(len, TREE.values()))
SPAN = 32 << 10   # bytes
SHARD = 64 << 10  # bytes
REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


@pytest.fixture
def source(tmp_path):
    return write_tree(tmp_path / "source", TREE)


@pytest.fixture
def out(tmp_path):
    return str(tmp_path / "out")


@pytest.fixture
def packed(tmp_path, source):
    """A local store that holds a pack of TREE in several shards, watched."""
    store = LocalStore(str(tmp_path / "packed"))
    assert pack(store, source, shard_bytes=SHARD).shards >= 3
    return WrappedStore(store)


@pytest.fixture
def small_spans(monkeypatch):
    monkeypatch.setattr("obs_sync.packs.store.SPAN", SPAN)


def shard_of(store, key):
    """The object that holds a member's bytes."""
    packed = PackedStore(store)
    list(packed.list())
    return packed._contents.places[key].shard


def overwrite(store, key, offset, data):
    whole = bytearray(store.read(key))
    whole[offset:offset + len(data)] = data
    store.write(key, bytes(whole))


def test_the_tree_arrives_from_every_store(store, source, out):
    pack(store, source, shard_bytes=SHARD)
    seen = []
    report = pull(store, out, on_progress=lambda done, total: seen.append((done, total)))
    assert read_tree(out) == TREE and leftovers(out) == {}
    assert (report.files, report.bytes, report.present_files) == (len(TREE), TOTAL, 0)
    assert seen[-1] == (TOTAL, TOTAL) and [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert pull(store, out).present_files == len(TREE)


def test_neighbours_are_fetched_together_and_what_is_present_not_at_all(packed, out):
    pull(packed, out)
    shards = [info.key for info in packed.inner.list() if info.key.endswith(".tar")]
    assert packed.calls_of("read_range") == sorted(shards) and packed.calls_of("download") == []
    del packed.calls[:]
    os.remove(os.path.join(out, "sketch/07.png"))
    assert pull(packed, out).files == 1
    assert (len(packed.calls_of("read_range")), read_tree(out)) == (1, TREE)
    del packed.calls[:]
    assert pull(packed, out).files == 0
    assert packed.calls == ["list ", "read " + INDEX_NAME]


def test_no_request_brings_more_than_a_worker_may_hold(tmp_path, source, out, small_spans):
    class Measured(WrappedStore):
        sizes = []

        def read_range(self, info, offset, size, on_bytes=None):
            self.sizes.append(size)
            return super().read_range(info, offset, size, on_bytes)

    store = Measured(LocalStore(str(tmp_path / "packed")))
    pack(store, source)
    pull(store, out)
    assert read_tree(out) == TREE
    assert max(store.sizes) == SPAN and sum(store.sizes) < TOTAL * 1.3


def test_what_takes_longest_begins_first(packed, small_spans):
    view = PackedStore(packed)
    groups = view.together(view.list())
    assert [info.key for info in groups[0]] == ["art/cat/3.png"]
    assert sorted(info.key for group in groups for info in group) == sorted(TREE)


def test_no_more_space_is_needed_than_the_files_take(packed, out, monkeypatch):
    class Usage:
        free = sum(-(-len(data) // 4096) * 4096 for data in TREE.values())

    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage)
    pull(packed, out)
    assert read_tree(out) == TREE


def test_without_its_index_files_are_compared_by_sha256(packed, source, out, tmp_path):
    folder = LocalStore(str(tmp_path / "folder"))
    push(folder, source)
    pull(folder, out)  # one by one, before there was a pack
    os.remove(os.path.join(out, ".obs_sync", "index.jsonl"))
    with open(os.path.join(out, "photo/dog/1.jpg"), "wb") as stream:
        stream.write(b"2" * 1000)
    assert (pull(packed, out).files, read_tree(out)) == (1, TREE)


def test_a_pack_of_a_changed_source_brings_what_changed_and_a_mirror_removes_the_rest(packed, source, out):
    pull(packed, out)
    write_tree(source, {"photo/dog/1.jpg": b"2" * 1000, "new.txt": b"new"})
    os.remove(os.path.join(source, "lists/train.txt"))
    pack(packed, source, shard_bytes=SHARD)
    assert pull(packed, out, mirror=True).files == 2
    expected = {**TREE, "photo/dog/1.jpg": b"2" * 1000, "new.txt": b"new"}
    del expected["lists/train.txt"]
    assert read_tree(out) == expected


def test_what_lies_beside_a_pack_is_pulled_too(packed, out):
    packed.write("weights/alexnet.npy", b"w" * 100)
    assert pull(packed, out).files == len(TREE) + 1
    assert read_tree(out) == {**TREE, "weights/alexnet.npy": b"w" * 100}


def test_a_member_that_is_an_object_of_its_own_too_is_told(packed, out):
    packed.write("lists/train.txt", b"another")
    with pytest.raises(IntegrityError, match="1 members.*lists/train.txt.*which of the two to take"):
        pull(packed, out)
    assert read_tree(out) == {}


def test_a_folder_without_a_pack_is_pulled_as_ever(source, out, tmp_path):
    store = WrappedStore(LocalStore(source))
    pull(store, out)
    assert read_tree(out) == TREE
    assert len(store.calls_of("download")) == len(TREE) and store.calls_of("read_range") == []


# -- what can go wrong on the way

@pytest.mark.parametrize("span", [4 << 20, SPAN])
def test_bytes_that_are_damaged_on_the_way_are_asked_for_again(packed, out, monkeypatch, span):
    class Noisy(WrappedStore):
        noisy = True

        def read_range(self, info, offset, size, on_bytes=None):
            data = super().read_range(info, offset, size, on_bytes)
            if self.noisy and size > 2000:
                self.noisy, data = False, data[:1500] + bytes([data[1500] ^ 1]) + data[1501:]
            return data

    monkeypatch.setattr("obs_sync.packs.store.SPAN", span)
    moved = []
    monkeypatch.setattr("obs_sync.parallel.Progress.add", lambda progress, amount: moved.append(amount))
    pull(Noisy(packed), out, workers=1)
    assert read_tree(out) == TREE and sum(moved) == TOTAL


@pytest.mark.parametrize("key, span", [("sketch/05.png", 4 << 20), ("art/cat/3.png", SPAN)])
def test_a_damaged_shard_is_told_with_member_and_shard(packed, out, monkeypatch, key, span):
    monkeypatch.setattr("obs_sync.packs.store.SPAN", span)
    shard = shard_of(packed, key)
    at = packed.read(shard.key).index(TREE[key])
    overwrite(packed, shard.key, at + 7, bytes([TREE[key][7] ^ 1]))
    with pytest.raises(IntegrityError) as caught:
        pull(packed, out)
    told = str(caught.value)
    assert repr(key) in told and shard.key in told and hashlib.sha256(TREE[key]).hexdigest() in told
    assert "pack the source again" in told
    assert read_tree(out).items() <= TREE.items() and leftovers(out) == {}


def once(store, operation, act):
    """Let `act()` happen before the first such operation."""
    def before(called, key):
        if called == operation and act is not None and not done:
            done.append(key)
            act()

    done = []
    store.before = before
    return store


@pytest.mark.parametrize("spanned", [4 << 20, SPAN])
def test_a_source_that_is_packed_again_under_way_is_pulled_as_it_is_now(packed, source, out, monkeypatch, spanned):
    def pack_again():
        write_tree(source, {"sketch/05.png": b"other", "art/cat/3.png": b"o" * 70001, "sketch/00.png": b"a" * 3000})
        pack(packed.inner, source, shard_bytes=SHARD, prune=True)

    monkeypatch.setattr("obs_sync.packs.store.SPAN", spanned)
    pull(once(packed, "read_range", pack_again), out, workers=1)
    assert read_tree(out) == read_tree(source) != TREE


def test_a_shard_that_is_stored_again_under_way_is_read_as_it_is_now(packed, source, out):
    shard = shard_of(packed, "sketch/05.png").key
    pull(once(packed, "read_range", lambda: packed.inner.write(shard, packed.inner.read(shard))), out,
         workers=1)
    assert read_tree(out) == TREE


def test_a_shard_that_is_lost_under_way_is_told(packed, out):
    shard = shard_of(packed, "sketch/05.png").key
    with pytest.raises(IntegrityError, match=f"names {shard}, which does not exist.*Pack the source again"):
        pull(once(packed, "read_range", lambda: packed.inner.delete([shard])), out, workers=1)


def test_a_shard_that_was_cut_short_is_told_before_anything_is_fetched(packed, out):
    shard = shard_of(packed, "sketch/05.png")
    packed.write(shard.key, packed.read(shard.key)[:-1])
    with pytest.raises(IntegrityError, match=f"has {shard.size - 1:,} bytes; the index says {shard.size:,}"):
        pull(packed, out)
    assert packed.calls_of("read_range") == []


def test_a_member_that_is_gone_from_the_new_pack_is_told(packed, source, out):
    def pack_again():
        os.remove(os.path.join(source, "sketch/05.png"))
        pack(packed.inner, source, shard_bytes=SHARD, prune=True)

    with pytest.raises(ObjectNotFound, match="sketch/05.png"):
        pull(once(packed, "read_range", pack_again), out, workers=1)
    assert "sketch/05.png" not in read_tree(out)


def test_an_index_that_is_replaced_while_the_listing_is_read(packed, source, out):
    def pack_again():
        write_tree(source, {"sketch/05.png": b"other"})
        pack(packed.inner, source, shard_bytes=SHARD, prune=True)

    pull(once(packed, "read", pack_again), out)
    assert read_tree(out) == read_tree(source)


def test_a_pull_that_is_killed_goes_on_where_it_was(packed, out, small_spans):
    with pytest.raises(Killed):
        pull(KilledAt(packed, 5), out, workers=1)
    arrived = len(read_tree(out))
    assert 0 < arrived < len(TREE)
    del packed.calls[:]
    report = pull(packed, out)
    assert (report.files, report.present_files, read_tree(out)) == (len(TREE) - arrived, arrived, TREE)


CHILD = """
import os, signal, sys
import obs_sync.packs.store
from obs_sync import LocalStore, pull
obs_sync.packs.store.SPAN = 32 << 10
ranges = []
class Suicidal(LocalStore):
    def read_range(self, *arguments):
        ranges.append(arguments)
        if len(ranges) == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read_range(*arguments)
pull(Suicidal(sys.argv[1]), sys.argv[2], workers=1)
"""


def test_after_sigkill_the_rest_is_fetched(packed, out):
    assert subprocess.run([sys.executable, "-c", CHILD, packed.url, out], cwd=REPOSITORY).returncode == -9
    arrived = read_tree(out)
    assert 0 < len(arrived) < len(TREE) and arrived.items() <= TREE.items()
    assert (pull(packed, out).present_files, read_tree(out)) == (len(arrived), TREE)


def test_a_stop_request_ends_the_pull_within_a_range(tmp_path, source, out):
    class Stop(Exception):
        pass

    class Endless(WrappedStore):
        def read_range(self, info, offset, size, on_bytes=None):
            while True:
                time.sleep(0.001)
                on_bytes(1)

    def on_progress(done, total):
        if done:
            raise Stop()

    store = LocalStore(str(tmp_path / "packed"))
    pack(store, source)
    started = time.monotonic()
    with pytest.raises(Stop):
        pull(Endless(store), out, on_progress=on_progress)
    assert time.monotonic() - started < 4 and leftovers(out) == {}


# -- what may lie in wait

def test_the_names_in_the_tar_are_not_believed(packed, out, tmp_path):
    shard = shard_of(packed, "sketch/05.png").key
    position = packed.read(shard).index(b"sketch/05.png")
    overwrite(packed, shard, position, b"../../../evil")
    pull(packed, out)
    assert read_tree(out) == TREE and not os.path.exists(str(tmp_path / "evil"))


@pytest.mark.parametrize("folder", ["sketch", "photo/dog"])
def test_a_link_that_is_there_is_told_before_anything_is_fetched(packed, out, tmp_path, folder):
    os.makedirs(os.path.dirname(os.path.join(out, folder)), exist_ok=True)
    os.symlink(str(tmp_path), os.path.join(out, folder))
    with pytest.raises(UnsafeKey, match="symbolic link"):
        pull(packed, out)
    assert packed.calls_of("read_range") == []


@pytest.mark.parametrize("folder", ["sketch", "photo/dog"])
def test_a_link_that_appears_under_way_is_not_followed(packed, out, tmp_path, folder):
    def appear():
        os.makedirs(os.path.dirname(os.path.join(out, folder)), exist_ok=True)
        os.symlink(str(tmp_path / "elsewhere"), os.path.join(out, folder))

    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(UnsafeKey, match="symbolic link"):
        pull(once(packed, "read_range", appear), out, workers=1)
    assert os.listdir(str(tmp_path / "elsewhere")) == []


def test_a_link_in_place_of_a_file_is_replaced_and_its_target_kept(packed, out, tmp_path):
    (tmp_path / "target").write_bytes(b"mine")
    os.makedirs(os.path.join(out, "lists"))
    os.symlink(str(tmp_path / "target"), os.path.join(out, "lists", "train.txt"))
    pull(packed, out)
    assert (tmp_path / "target").read_bytes() == b"mine" and read_tree(out) == TREE


# -- the view itself

def test_a_member_is_read_like_an_object(packed):
    packed.write("beside", b"beside")
    view = PackedStore(packed)
    info = view.head("Höhe.png")
    assert (info.size, info.sha256, info.etag) == (513, hashlib.sha256(TREE["Höhe.png"]).hexdigest(), info.sha256)
    assert view.read("Höhe.png") == TREE["Höhe.png"] and view.read("photo/cat/2.jpg") == b""
    assert view.read_range(info, 510, 3) == b"hhh"
    assert (view.read("beside"), view.head("beside").size) == (b"beside", 6)
    assert view.read_range(view.head("beside"), 1, 2) == b"es"
    assert sorted(info.key for info in view.list("photo/")) == ["photo/cat/2.jpg", "photo/dog/1.jpg"]
    with pytest.raises(ObjectNotFound):
        view.read("nothing")


def test_the_view_changes_nothing(packed, tmp_path):
    view = PackedStore(packed)
    for change in (lambda: view.write("a", b""), lambda: view.upload(__file__, "a"), lambda: view.delete(["a"])):
        with pytest.raises(StoreError, match="a pack is read-only"):
            change()
    assert not view.link(view.head("Höhe.png"), str(tmp_path / "link"))


def test_a_head_tells_of_the_pack_as_it_is_now(packed, source):
    view = PackedStore(packed)
    view.head("Höhe.png")
    write_tree(source, {"Höhe.png": b"lower"})
    pack(packed, source, shard_bytes=SHARD)
    assert view.head("Höhe.png").size == 5
