from __future__ import annotations

import os
import time

import pytest

from obs_sync import LocalStorageError, LocalStore, StoreUnavailable, UnsafeKey, push
from tests.obs_sync.trees import leftovers, read_tree, set_mtime, write_tree
from tests.obs_sync.wrapped_store import WrappedStore

TREE = {"log.txt": b"line\n", "events/e.1": os.urandom(70000), "empty": b""}
TOTAL = sum(map(len, TREE.values()))


@pytest.fixture
def source(tmp_path):
    return write_tree(tmp_path / "source", TREE)


def content(store, prefix=""):
    return {info.key: store.read(info.key) for info in store.list(prefix)}


def test_everything_is_stored_below_the_prefix(store, source):
    report = push(store, source, prefix="run/logs/")
    assert content(store) == {"run/logs/" + name: data for name, data in TREE.items()}
    assert (report.files, report.bytes, report.present_files, report.present_bytes) == (3, TOTAL, 0, 0)


@pytest.mark.parametrize("name", ["local", "esdk"])
def test_what_is_stored_already_is_not_stored_again(name, request, source):
    store = WrappedStore(request.getfixturevalue(f"{name}_store"))
    push(store, source)
    set_mtime(os.path.join(source, "log.txt"), time.time() + 100)
    report = push(store, source)
    assert (report.files, report.present_files, report.present_bytes) == (0, 3, TOTAL)
    write_tree(source, {"log.txt": b"LINE\n"})
    assert push(store, source).files == 1
    assert store.read("log.txt") == b"LINE\n"


def test_a_store_without_digests_is_given_everything_again(moxing_store, source):
    push(moxing_store, source)
    write_tree(source, {"log.txt": b"LINE\n"})
    assert push(moxing_store, source).files == 3
    assert moxing_store.read("log.txt") == b"LINE\n"


def test_nothing_is_deleted(store, source):
    store.write("old", b"x")
    push(store, source)
    assert store.read("old") == b"x"


def test_bookkeeping_stays_at_home_and_links_are_followed(local_store, source, tmp_path):
    write_tree(tmp_path / "elsewhere", {"far": b"far"})
    write_tree(os.path.join(source, ".obs_sync"), {"index.jsonl": b"x"})
    os.symlink(str(tmp_path / "elsewhere"), os.path.join(source, "linked"))
    push(local_store, source)
    assert content(local_store) == {**TREE, "linked/far": b"far"}


def test_an_empty_directory_is_stored_in_no_time(local_store, tmp_path):
    (tmp_path / "nothing").mkdir()
    assert push(local_store, str(tmp_path / "nothing")).files == 0


def test_a_missing_directory_is_told(local_store, tmp_path):
    with pytest.raises(LocalStorageError, match="no such directory"):
        push(local_store, str(tmp_path / "nowhere"))


def test_a_name_that_cannot_be_a_key_stops_everything(local_store, source):
    write_tree(source, {"back\\slash": b"x"})
    with pytest.raises(UnsafeKey):
        push(local_store, source)
    assert content(local_store) == {}


def test_progress_goes_from_nothing_to_everything(store, source):
    seen = []
    push(store, source, on_progress=lambda done, total: seen.append((done, total)))
    assert (0, TOTAL) in seen and seen[-1] == (TOTAL, TOTAL)


def test_a_stop_request_leaves_whole_objects_only(tmp_path, source):
    class Stop(Exception):
        pass

    def on_progress(done, total):
        if total:
            raise Stop()

    store = LocalStore(str(tmp_path / "store"))
    with pytest.raises(Stop):
        push(store, source, on_progress=on_progress)
    assert content(store).items() <= TREE.items()
    assert leftovers(store.url) == {}


def test_a_failure_is_not_passed_over(local_store, source):
    class Failing(WrappedStore):
        def before(self, operation, key):
            if (operation, key) == ("upload", "log.txt"):
                raise StoreUnavailable("503")

    with pytest.raises(StoreUnavailable):
        push(Failing(local_store), source)


def test_a_tree_may_be_moved_from_store_to_store(local_store, source):
    push(local_store, source)
    assert read_tree(local_store.url) == TREE


def test_reading_for_the_digest_is_progress_of_its_own(local_store, source):
    push(local_store, source)
    compared, sent = [], []
    push(local_store, source, on_progress=lambda *seen: sent.append(seen),
         on_compare=lambda *seen: compared.append(seen))
    assert compared[0] == (0, TOTAL) and compared[-1] == (TOTAL, TOTAL)
    assert set(sent) == {(0, 0)}


@pytest.mark.parametrize("in_the_way", ["log.txt", "events"])
def test_what_is_in_the_way_in_a_folder_is_told_before_anything_is_stored(local_store, source, in_the_way):
    place = os.path.join(local_store.url, in_the_way)
    if in_the_way == "log.txt":
        os.makedirs(place)
    else:
        os.makedirs(local_store.url)
        os.mkfifo(place)
    with pytest.raises(LocalStorageError, match=f"needs a .* here: .*/{in_the_way}[.]"):
        push(local_store, source)
    assert content(local_store) == {}
