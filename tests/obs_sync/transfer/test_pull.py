from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
import threading
import time

import pytest

from obs_sync import (
    IntegrityError, LocalStorageError, LocalStore, ObjectChanged, ObjectInfo, ObjectNotFound, StoreUnavailable,
    UnsafeKey, pull, pull_file,
)
from obs_sync.transfer.workspace import Workspace
from tests.obs_sync.trees import leftovers, read_tree, set_mtime, write_tree
from tests.obs_sync.wrapped_store import Killed, KilledAt, WrappedStore

TREE = {"photo/dog/1.jpg": b"1" * 1000, "photo/cat/2.jpg": b"", "art/cat/3.png": os.urandom(70000),
        "lists/train.txt": b"photo/dog/1.jpg 1\n"}
TOTAL = sum(map(len, TREE.values()))


@pytest.fixture
def filled(store):
    """Every store, holding TREE."""
    for key, data in TREE.items():
        store.write(key, data)
    return store


@pytest.fixture
def source(tmp_path):
    """A local store that holds TREE, watched."""
    return WrappedStore(LocalStore(write_tree(tmp_path / "store", TREE)))


@pytest.fixture
def out(tmp_path):
    return str(tmp_path / "out")


def test_everything_arrives_with_its_time(filled, out):
    report = pull(filled, out)
    assert read_tree(out) == TREE and leftovers(out) == {}
    assert (report.files, report.bytes, report.present_files, report.present_bytes) == (4, TOTAL, 0, 0)
    for info in filled.list():
        assert abs(os.path.getmtime(os.path.join(out, info.key)) - info.modified) < 1.5


def test_what_is_present_is_not_fetched_again(filled, out):
    pull(filled, out)
    store = WrappedStore(filled)
    report = pull(store, out)
    assert (report.files, report.bytes, report.present_files, report.present_bytes) == (0, 0, 4, TOTAL)
    assert store.calls == ["list "]


def test_an_object_that_changed_is_fetched_again_even_at_the_same_size(filled, out):
    pull(filled, out)
    filled.write("photo/dog/1.jpg", b"2" * 1000)
    store = WrappedStore(filled)
    assert pull(store, out).files == 1
    assert store.calls_of("download") == ["photo/dog/1.jpg"]
    assert read_tree(out) == {**TREE, "photo/dog/1.jpg": b"2" * 1000}


def test_a_local_file_that_was_damaged_is_fetched_again(filled, out):
    pull(filled, out)
    for name, data in (("photo/dog/1.jpg", b"3" * 1000), ("lists/train.txt", b"short")):
        with open(os.path.join(out, name), "wb") as stream:
            stream.write(data)
    os.remove(os.path.join(out, "photo/cat/2.jpg"))
    assert pull(filled, out).files == 3
    assert read_tree(out) == TREE


def test_without_its_index_files_are_compared_by_digest(esdk_store, out):
    for key, data in TREE.items():
        esdk_store.write(key, data)
    pull(esdk_store, out)
    os.remove(os.path.join(out, ".obs_sync", "index.jsonl"))
    with open(os.path.join(out, "photo/dog/1.jpg"), "wb") as stream:
        stream.write(b"3" * 1000)
    store = WrappedStore(esdk_store)
    assert (pull(store, out).present_files, store.calls_of("download")) == (3, ["photo/dog/1.jpg"])
    assert read_tree(out) == TREE
    assert pull(WrappedStore(esdk_store), out).files == 0  # what was compared is known from then on


def test_only_the_prefix_is_fetched_and_keeps_its_path(source, out):
    assert pull(source, out, prefix="photo/").files == 2
    assert set(read_tree(out)) == {"photo/dog/1.jpg", "photo/cat/2.jpg"}
    pull(source, out, prefix="art/")
    assert pull(source, out, prefix="photo/").present_files == 2


def test_directory_markers_make_no_files(esdk_store, obs, out):
    obs.put("bucket", "base/photo/", b"")
    obs.put("bucket", "base/photo/a.jpg", b"x")
    assert pull(esdk_store, out).files == 1
    assert read_tree(out) == {"photo/a.jpg": b"x"}


def test_nothing_to_fetch_is_an_error(store, out):
    with pytest.raises(ObjectNotFound, match="nothing to fetch") as caught:
        pull(store, out)
    assert store.url in str(caught.value)
    store.write("a/b", b"x")
    with pytest.raises(ObjectNotFound, match="photo"):
        pull(store, out, prefix="photo/")


@pytest.mark.parametrize("key", ["../evil", "photo/../../evil", "/etc/evil", "photo//evil", "back\\slash"])
def test_a_key_that_leaves_the_destination_stops_everything(esdk_store, obs, out, tmp_path, key):
    obs.put("bucket", "base/" + key, b"evil")
    esdk_store.write("good", b"good")
    with pytest.raises(UnsafeKey, match="base"):
        pull(esdk_store, out)
    assert read_tree(tmp_path) == read_tree(out) == {}


def test_a_name_that_is_file_and_directory_stops_everything(esdk_store, obs, out):
    for key in ("photo", "photo/dog.jpg"):
        obs.put("bucket", "base/" + key, b"x")
    with pytest.raises(UnsafeKey, match="'photo' cannot be both a file"):
        pull(esdk_store, out)
    assert read_tree(out) == {}


def test_a_link_in_the_destination_is_not_followed(source, out, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    os.makedirs(out)
    os.symlink(str(tmp_path / "elsewhere"), os.path.join(out, "photo"))
    with pytest.raises(UnsafeKey, match="symbolic link"):
        pull(source, out)
    assert os.listdir(str(tmp_path / "elsewhere")) == []


def test_a_link_that_appears_under_way_is_not_followed(tmp_path, out):
    class Linking(WrappedStore):
        def after(self, operation, key):
            if operation == "download":
                os.symlink(str(tmp_path / "elsewhere"), os.path.join(out, "photo"))

    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(UnsafeKey, match="symbolic link"):
        pull(Linking(LocalStore(write_tree(tmp_path / "store", {"photo/a": b"x"}))), out)
    assert os.listdir(str(tmp_path / "elsewhere")) == []


def test_a_link_in_place_of_a_file_is_replaced_and_its_target_kept(source, out, tmp_path):
    (tmp_path / "target").write_bytes(b"mine")
    os.makedirs(os.path.join(out, "lists"))
    os.symlink(str(tmp_path / "target"), os.path.join(out, "lists", "train.txt"))
    pull(source, out)
    assert (tmp_path / "target").read_bytes() == b"mine"
    assert read_tree(out) == TREE and not os.path.islink(os.path.join(out, "lists", "train.txt"))


def test_the_destination_itself_may_be_a_link(source, out, tmp_path):
    (tmp_path / "disk").mkdir()
    os.symlink(str(tmp_path / "disk"), out)
    pull(source, out)
    assert read_tree(tmp_path / "disk") == TREE


def test_files_of_others_are_left_alone(source, out):
    write_tree(out, {"mine.txt": b"mine", "photo/dog/mine.jpg": b"mine"})
    pull(source, out, mirror=True)
    assert read_tree(out) == {**TREE, "mine.txt": b"mine", "photo/dog/mine.jpg": b"mine"}


def test_what_vanished_from_the_source_is_removed_only_by_a_mirror(source, out):
    pull(source, out)
    source.delete(["art/cat/3.png", "lists/train.txt"])
    pull(source, out)
    assert read_tree(out) == TREE
    with open(os.path.join(out, "lists/train.txt"), "wb") as stream:
        stream.write(b"edited by hand\n")
    pull(source, out, mirror=True)
    assert set(read_tree(out)) == {"photo/dog/1.jpg", "photo/cat/2.jpg", "lists/train.txt"}
    pull(source, out, mirror=True)


def test_a_mirror_of_one_prefix_leaves_the_others(source, out):
    pull(source, out)
    source.delete(["photo/dog/1.jpg"])
    source.inner.delete(["art/cat/3.png"])
    pull(source, out, prefix="photo/", mirror=True)
    assert set(read_tree(out)) == set(TREE) - {"photo/dog/1.jpg"}


def test_an_object_that_changes_under_way_is_fetched_as_it_is_now(tmp_path, out):
    class Overwritten(WrappedStore):
        def before(self, operation, key):
            if operation == "download" and key == "photo/dog/1.jpg" and self.calls_of("download").count(key) == 1:
                self.inner.write(key, b"the new version")

    store = Overwritten(LocalStore(write_tree(tmp_path / "store", TREE)))
    seen = []
    assert pull(store, out, on_progress=lambda done, total: seen.append((done, total))).files == 4
    assert read_tree(out)["photo/dog/1.jpg"] == b"the new version"
    assert all(0 <= done <= total for done, total in seen)
    assert pull(store, out).files == 0


def test_an_object_that_never_rests_is_given_up(tmp_path, out):
    class Restless(WrappedStore):
        def before(self, operation, key):
            if operation == "download":
                self.inner.write(key, os.urandom(10))

    with pytest.raises(ObjectChanged):
        pull(Restless(LocalStore(write_tree(tmp_path / "store", {"a": b"x"}))), out)
    assert read_tree(out) == {} == leftovers(out)


@pytest.mark.parametrize("error", [StoreUnavailable("503"), IntegrityError("damaged"), KeyError("bug")])
def test_one_failure_ends_the_pull_and_leaves_no_unfinished_file(tmp_path, out, error):
    class Failing(WrappedStore):
        def after(self, operation, key):
            if operation == "download" and key.startswith("art"):
                raise error

    with pytest.raises(type(error)):
        pull(Failing(LocalStore(write_tree(tmp_path / "store", TREE))), out)
    assert leftovers(out) == {}
    assert read_tree(out).items() <= TREE.items()


def test_a_pull_that_was_cut_off_goes_on_where_it_was(moxing_store, out):
    for number in range(20):
        moxing_store.write(f"{number:02d}", b"%d" % number)
    with pytest.raises(Killed):
        pull(KilledAt(moxing_store, 15), out, workers=1)
    arrived = len(read_tree(out))
    assert 10 < arrived < 20
    report = pull(moxing_store, out)
    assert (report.files, report.present_files) == (20 - arrived, arrived)


CHILD = """
import os, signal, sys
from obs_sync import LocalStore, pull
from tests.obs_sync.wrapped_store import WrappedStore

class Suicidal(WrappedStore):
    def download(self, info, path, on_bytes=None):
        def count(amount):
            if info.key == "5":
                os.kill(os.getpid(), signal.SIGKILL)
        return self.inner.download(info, path, count)

pull(Suicidal(LocalStore(sys.argv[1])), sys.argv[2], workers=1)
"""


def test_after_sigkill_no_file_is_half_and_the_rest_is_fetched(tmp_path, out):
    tree = {str(number): os.urandom(100000) for number in range(10)}
    store = LocalStore(write_tree(tmp_path / "store", tree))
    child = subprocess.run([sys.executable, "-c", CHILD, store.url, out],
                           cwd=os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))))
    assert child.returncode == -9
    assert read_tree(out) == {key: tree[key] for key in "01234"}
    assert len(leftovers(out)) == 1

    class Looking(WrappedStore):
        def before(self, operation, key):
            if operation == "list":
                assert leftovers(out) == {}  # their space is free again before it is needed

    report = pull(Looking(store), out)
    assert (report.files, report.present_files) == (5, 5)
    assert read_tree(out) == tree and leftovers(out) == {}


def test_progress_goes_from_nothing_to_everything(source, out):
    seen = []
    pull(source, out, on_progress=lambda done, total: seen.append((done, total)))
    assert (0, TOTAL) in seen and seen[-1] == (TOTAL, TOTAL)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_a_stop_request_ends_the_pull_cleanly(tmp_path, out):
    class Stop(Exception):
        pass

    class Endless(WrappedStore):
        def download(self, info, path, on_bytes=None):
            with open(path, "wb") as stream:
                while True:
                    stream.write(b"x")
                    time.sleep(0.001)
                    on_bytes(1)

    def on_progress(done, total):
        if done:
            raise Stop()

    store = Endless(LocalStore(write_tree(tmp_path / "store", {str(number): b"x" * 10 ** 6 for number in range(20)})))
    started = time.monotonic()
    with pytest.raises(Stop):
        pull(store, out, on_progress=on_progress)
    assert time.monotonic() - started < 4
    assert read_tree(out) == {} == leftovers(out)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("obs_sync-")]


def test_a_stop_request_is_heard_while_the_listing_hangs(tmp_path, out):
    class Stop(Exception):
        pass

    released = threading.Event()

    class Hanging(WrappedStore):
        def before(self, operation, key):
            released.wait(2)

    calls = []

    def on_progress(done, total):
        calls.append((done, total))
        if len(calls) == 3:
            released.set()
            raise Stop()

    with pytest.raises(Stop):
        pull(Hanging(LocalStore(write_tree(tmp_path / "store", TREE))), out, on_progress=on_progress)
    assert calls == [(0, 0)] * 3


def test_a_second_pull_into_the_same_place_waits_for_the_first_and_says_so(source, out, caplog):
    waited = []
    caplog.set_level("INFO", "obs_sync")
    with Workspace(out):
        other = threading.Thread(target=lambda: waited.append(pull(source, out).files))
        other.start()
        time.sleep(0.3)
        assert waited == [] and source.calls == []
    other.join(10)
    assert waited == [4] and [record.getMessage() for record in caplog.records] == [
        "waiting for another process that fetches to " + out]


def test_too_little_space_is_told_before_anything_is_fetched(source, out, monkeypatch):
    class Usage:
        free = 1000

    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage)
    with pytest.raises(LocalStorageError) as caught:
        pull(source, out)
    assert out in str(caught.value) and "1,000 are free" in str(caught.value)
    assert source.calls_of("download") == []


def test_space_that_is_taken_already_need_not_be_free(source, out, monkeypatch):
    class Usage:
        free = 8192

    pull(source, out)
    source.write("art/cat/3.png", os.urandom(70001))
    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage)
    assert pull(source, out).files == 1


def test_a_disk_that_runs_full_under_way_is_told(tmp_path, out):
    class Full(WrappedStore):
        def download(self, info, path, on_bytes=None):
            from obs_sync.local.files import local_storage
            with local_storage(path):
                raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(LocalStorageError) as caught:
        pull(Full(LocalStore(write_tree(tmp_path / "store", TREE))), out)
    message = str(caught.value)
    assert out in message and "No space left" in message and f"{TOTAL:,} bytes" in message and "free" in message
    assert leftovers(out) == {}


LIMITED = """
import resource, sys
from obs_sync import LocalStorageError, LocalStore, pull
resource.setrlimit(resource.RLIMIT_FSIZE, (50000, 50000))
try:
    pull(LocalStore(sys.argv[1]), sys.argv[2])
except LocalStorageError as error:
    sys.exit("told: %s" % error)
"""


def test_a_file_size_limit_is_told(tmp_path, out):
    assert resource.RLIMIT_FSIZE is not None
    store = write_tree(tmp_path / "store", TREE)
    child = subprocess.run([sys.executable, "-c", LIMITED, store, out], stderr=subprocess.PIPE,
                           cwd=os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))))
    assert child.returncode == 1 and child.stderr.decode().startswith("told: ") and out in child.stderr.decode()
    assert leftovers(out) == {}


def test_a_destination_that_cannot_be_made_is_told(source, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for destination in (str(tmp_path / "file"), str(tmp_path / "file" / "below")):
        with pytest.raises(LocalStorageError, match="file"):
            pull(source, destination)
    if os.path.isdir("/proc/self"):
        with pytest.raises(LocalStorageError, match="/proc/out"):
            pull(source, "/proc/out")


def test_a_file_that_disappears_meanwhile_is_noticed(tmp_path, out):
    class Thief(WrappedStore):
        def after(self, operation, key):
            if operation == "download" and key == "photo/dog/1.jpg":
                os.remove(os.path.join(out, "art/cat/3.png"))

    with pytest.raises(IntegrityError, match="art/cat/3.png"):
        pull(Thief(LocalStore(write_tree(tmp_path / "store", TREE))), out, workers=1)


def test_the_source_may_be_full_of_links(tmp_path, out):
    write_tree(tmp_path / "disk", {"1.jpg": b"1"})
    write_tree(tmp_path / "store", {"a": b"a"})
    (tmp_path / "store" / "photo").symlink_to(tmp_path / "disk")
    (tmp_path / "store" / "b").symlink_to(tmp_path / "disk" / "1.jpg")
    (tmp_path / "store" / "loop").symlink_to(tmp_path / "store")
    pull(LocalStore(str(tmp_path / "store")), out)
    assert read_tree(out) == {"a": b"a", "photo/1.jpg": b"1", "b": b"1"}


def test_one_file_is_pulled_and_then_is_present(filled, tmp_path):
    path = str(tmp_path / "weights" / "w.npy")
    seen = []
    report = pull_file(filled, "art/cat/3.png", path, on_progress=lambda done, total: seen.append((done, total)))
    assert (report.files, report.bytes) == (1, 70000) and seen[-1] == (70000, 70000)
    assert read_tree(tmp_path / "weights") == {"w.npy": TREE["art/cat/3.png"]}
    assert pull_file(filled, "art/cat/3.png", path).present_files == 1
    filled.write("art/cat/3.png", b"new")
    assert pull_file(filled, "art/cat/3.png", path).files == 1
    assert read_tree(tmp_path / "weights") == {"w.npy": b"new"}


def test_two_files_in_one_directory_do_not_forget_each_other(moxing_store, tmp_path):
    for name in ("a", "b"):
        moxing_store.write(name, name.encode())
        pull_file(moxing_store, name, str(tmp_path / "dir" / name))
    assert [pull_file(moxing_store, name, str(tmp_path / "dir" / name)).present_files for name in "ab"] == [1, 1]


def test_one_file_that_is_missing_is_named(store, tmp_path):
    with pytest.raises(ObjectNotFound, match="w.npy"):
        pull_file(store, "w.npy", str(tmp_path / "w.npy"))


def test_the_index_of_a_machine_that_was_restarted_is_not_believed(esdk_store, out, monkeypatch):
    esdk_store.write("a", b"right")
    pull(esdk_store, out)
    stat = os.stat(os.path.join(out, "a"))
    with open(os.path.join(out, "a"), "wb") as stream:
        stream.write(b"\0" * 5)  # what a crash may leave of a file that was never synced
    os.utime(os.path.join(out, "a"), ns=(stat.st_mtime_ns, stat.st_mtime_ns))
    assert pull(esdk_store, out).files == 0
    monkeypatch.setattr("obs_sync.transfer.index._boot_id", lambda: "another boot")
    assert pull(esdk_store, out).files == 1
    assert read_tree(out) == {"a": b"right"}


def test_times_that_a_store_does_not_know_are_no_obstacle(tmp_path, out):
    class Timeless(WrappedStore):
        def list(self, prefix=""):
            return (ObjectInfo(info.key, info.size, info.etag) for info in self.inner.list(prefix))

    set_mtime(os.path.join(write_tree(tmp_path / "store", {"a": b"x"}), "a"), 10 ** 9)
    pull(Timeless(LocalStore(str(tmp_path / "store"))), out)
    assert abs(os.path.getmtime(os.path.join(out, "a")) - time.time()) < 60


def test_what_comes_in_the_way_of_a_file_under_way_is_named(source, out):
    class Meddled(WrappedStore):
        def after(self, operation, key):
            if operation == "download":
                os.makedirs(os.path.join(out, "photo", "dog", "1.jpg"), exist_ok=True)

    with pytest.raises(LocalStorageError) as caught:
        pull(Meddled(source), out)
    assert f"(Is a directory): {out}/photo/dog/1.jpg. There is a directory" in str(caught.value)
    assert "bytes" not in str(caught.value)
