from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import logging
import os
import shutil
import time

import pytest

from obs_sync import (
    AlreadyPublished, IntegrityError, LocalStorageError, LocalStore, ObjectNotFound, StoreError, StoreUnavailable,
    UnsafeKey, delete_checkpoint, fetch_checkpoint, list_markers, orphans, publish_checkpoint, read_pointer, retain,
    write_pointer,
)
from obs_sync.checkpoints.markers import Marker, MarkerFile
from obs_sync.local.files import digest_of
from tests.obs_sync.trees import leftovers, read_tree, write_tree
from tests.obs_sync.wrapped_store import Killed, KilledAt, WrappedStore

FILES = {"weights.npz": os.urandom(300000), "step.json": b"{}", "slots/adam.npz": os.urandom(1000)}
TOTAL = sum(map(len, FILES.values()))
METADATA = {"step": 100, "lineage": "a", "scores": {"source_val": 0.5}}


@pytest.fixture
def directory(tmp_path):
    return write_tree(tmp_path / "ckpt", FILES)


@pytest.fixture
def publish(directory):
    def publish(store, name, metadata=METADATA, **options):
        return publish_checkpoint(store, directory, name, metadata, **options)
    return publish


def names(store, **options):
    return [marker.name for marker in list_markers(store, **options)]


def test_what_was_published_is_listed_and_fetched(store, publish, tmp_path):
    marker = publish(store, "ckpt-000100-x", clock=lambda: 1700000000.0)
    assert marker.created == "2023-11-14T22:13:20Z" and marker.size == TOTAL and marker.metadata == METADATA
    assert list_markers(store) == [marker]
    path = fetch_checkpoint(store, marker, str(tmp_path / "restored"))
    assert path == str(tmp_path / "restored" / "ckpt-000100-x")
    assert read_tree(path) == FILES and leftovers(tmp_path / "restored") == {}


def test_the_layout_is_files_below_the_name_and_a_marker_beside(store, publish):
    publish(store, "one", prefix="run/checkpoints/")
    assert {info.key for info in store.list()} == \
        {"run/checkpoints/one.json"} | {"run/checkpoints/one/" + name for name in FILES}
    content = json.loads(store.read("run/checkpoints/one.json").decode("ascii"))
    assert sorted(content) == ["created", "files", "format", "metadata", "name"]
    assert content["metadata"] == METADATA and sorted(content["files"][0]) == ["name", "sha256", "size"]


def test_the_marker_is_written_last(local_store, publish):
    store = WrappedStore(local_store)
    publish(store, "one")
    writes = [call for call in store.calls if call.startswith(("upload", "write"))]
    assert len(writes) == 4 and writes[-1] == "write checkpoints/one.json"


def test_a_name_is_used_once(store, publish):
    publish(store, "one")
    with pytest.raises(AlreadyPublished, match="one.json"):
        publish(store, "one")
    store.write("checkpoints/two/leftover", b"x")
    with pytest.raises(AlreadyPublished, match="two/leftover"):
        publish(store, "two")
    store.write("checkpoints/three.json", b"{}")
    with pytest.raises(AlreadyPublished, match="three.json"):
        publish(store, "three")
    assert names(store, on_corrupt=lambda key, reason: None) == ["one"]


@pytest.mark.parametrize("name", ["", "..", "a/b", "/a", ".obs_sync"])
def test_a_name_is_one_plain_segment(local_store, publish, name):
    for operation in (lambda: publish(local_store, name), lambda: delete_checkpoint(local_store, name)):
        with pytest.raises(UnsafeKey):
            operation()


def test_nothing_to_publish_and_metadata_that_is_no_json_leave_nothing_behind(local_store, publish, tmp_path):
    (tmp_path / "empty").mkdir()
    for directory in ("empty", "missing"):
        with pytest.raises(LocalStorageError, match=directory):
            publish_checkpoint(local_store, str(tmp_path / directory), "one", {})
    for metadata in ({"x": object()}, {"x": float("nan")}):
        with pytest.raises((TypeError, ValueError)):
            publish(local_store, "one", metadata)
    assert list(local_store.list()) == []


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("kind", ["local", "esdk", "moxing"])
def test_wherever_a_publication_is_killed_readers_see_the_whole_or_nothing(kind, after, request, directory, tmp_path):
    """Also in between: each attempt has a name of its own, and the next one succeeds."""
    inner = request.getfixturevalue(f"{kind}_store")
    finished, step = False, 0
    while not finished:
        store = KilledAt(inner, step, after)
        try:
            publish_checkpoint(store, directory, f"n{step:02d}", METADATA)
            finished = True
        except Killed:
            pass
        seen = [marker for marker in list_markers(inner) if marker.name == f"n{step:02d}"]
        for marker in seen:
            assert read_tree(fetch_checkpoint(inner, marker, str(tmp_path / "restored"))) == FILES
        if finished:
            assert len(seen) == 1
        step += 1
    assert step > 5
    assert {orphan.name for orphan in orphans(inner)}.isdisjoint(names(inner))


@pytest.mark.parametrize("kind", ["local", "esdk"])
def test_wherever_a_removal_is_killed_readers_see_the_whole_or_nothing(kind, request, publish, tmp_path):
    inner = request.getfixturevalue(f"{kind}_store")
    finished, step = False, 0
    while not finished:
        publish(inner, f"n{step}")
        try:
            delete_checkpoint(KilledAt(inner, step), f"n{step}")
            finished = True
        except Killed:
            pass
        for marker in list_markers(inner):
            assert read_tree(fetch_checkpoint(inner, marker, str(tmp_path / "restored"))) == FILES
        step += 1
    assert step > 3 and names(inner) == ["n0"]


def test_a_marker_whose_reply_was_lost_counts(local_store, publish):
    class Lost(WrappedStore):
        def after(self, operation, key):
            if operation == "write":
                raise StoreUnavailable("the connection was reset")

    assert publish(Lost(local_store), "one").name == "one"
    assert names(local_store) == ["one"]


def test_a_marker_that_was_not_written_does_not_count(local_store, publish):
    class Refused(WrappedStore):
        def before(self, operation, key):
            if operation == "write":
                raise StoreUnavailable("503")

    with pytest.raises(StoreUnavailable):
        publish(Refused(local_store), "one")
    assert names(local_store) == []
    assert [(orphan.name, orphan.files, orphan.bytes) for orphan in orphans(local_store)] == [("one", 3, TOTAL)]


def test_a_file_that_changes_while_it_is_published_stops_it(local_store, directory):
    class Rewritten(WrappedStore):
        def before(self, operation, key):
            if operation == "upload" and key.endswith("step.json"):
                write_tree(directory, {"step.json": content})

    for content in (b"[]", b"{longer}", b"{"):
        with pytest.raises(IntegrityError, match="changed|grew"):
            publish_checkpoint(Rewritten(local_store), directory, f"one{len(content)}", {})
        write_tree(directory, FILES)
    assert names(local_store) == []


@pytest.mark.parametrize("kind, damage, told", [
    ("local", None, "deleted"), ("esdk", None, "deleted"), ("moxing", None, "deleted"),
    ("local", b"longer", "overwritten"), ("esdk", b"longer", "overwritten"), ("moxing", b"longer", "overwritten"),
    ("local", b"[]", "overwritten"), ("esdk", b"[]", "overwritten")])
def test_a_file_that_somebody_removes_or_overwrites_before_the_marker_stops_it(kind, damage, told, request, publish):
    store = request.getfixturevalue(f"{kind}_store")

    class Meddled(WrappedStore):
        def before(self, operation, key):
            if operation == "list" and self.calls_of("upload"):
                if damage is None:
                    self.inner.delete(["checkpoints/one/step.json"])
                else:
                    self.inner.write("checkpoints/one/step.json", damage)

    meddled = Meddled(store)
    with pytest.raises(IntegrityError, match=f"was {told} while.*one/step.json"):
        publish(meddled, "one")
    assert names(store) == [] and "write checkpoints/one.json" not in meddled.calls


@pytest.mark.parametrize("lacks", ["everything", "the last version"])
def test_a_listing_of_a_while_ago_stops_no_publication(local_store, publish, lacks):
    class Stale(WrappedStore):
        def list(self, prefix=""):
            infos = super().list(prefix)
            return iter(()) if lacks == "everything" else (dataclasses.replace(info, etag="old") for info in infos)

    store = Stale(local_store)
    publish(store, "one")
    assert names(local_store) == ["one"]
    assert set(store.calls_of("head")) == {"checkpoints/one.json"} | {"checkpoints/one/" + name for name in FILES}


def test_orphans_tell_their_age(store, publish):
    store.write("checkpoints/half/weights.npz", b"12345")
    publish(store, "whole")
    [orphan] = orphans(store)
    assert (orphan.name, orphan.files, orphan.bytes) == ("half", 1, 5)
    assert abs(orphan.modified - time.time()) < 60
    delete_checkpoint(store, "half")
    assert orphans(store) == [] and names(store) == ["whole"]


@pytest.mark.parametrize("content", [
    b"", b"{", b"[]", b"\xff\xfe", b"{}",
    b'{"format": "masf-checkpoint/1"}',
    b'{"format": "masf-checkpoint/1", "name": "other", "created": "", "files": [], "metadata": {}}',
    b'{"format": "masf-checkpoint/1", "name": "bad", "created": "", "files": [], "metadata": {}}',
    b'{"format": "masf-checkpoint/1", "name": "bad", "created": "", "metadata": {}, "files": [{"name": "../../evil", '
    b'"size": 1, "sha256": "' + b"0" * 64 + b'"}]}',
    b'{"format": "masf-checkpoint/1", "name": "bad", "created": "", "metadata": {}, "files": [{"name": "a", '
    b'"size": -1, "sha256": "' + b"0" * 64 + b'"}]}',
    b'{"format": "masf-checkpoint/1", "name": "bad", "created": "", "metadata": {}, "files": [{"name": "a", '
    b'"size": 1, "sha256": "abc"}]}',
])
def test_a_damaged_marker_is_left_out_and_told(local_store, publish, content, caplog):
    publish(local_store, "good")
    local_store.write("checkpoints/bad.json", content)
    told = []
    assert names(local_store, on_corrupt=lambda key, reason: told.append((key, reason))) == ["good"]
    assert [key for key, _ in told] == ["checkpoints/bad.json"] and told[0][1]
    with caplog.at_level(logging.WARNING):
        assert names(local_store) == ["good"]
    assert "checkpoints/bad.json" in caplog.text


def test_other_documents_and_other_keys_are_no_markers(local_store, publish):
    publish(local_store, "good")
    local_store.write("checkpoints/notes.json", b'{"format": "something else"}')
    local_store.write("checkpoints/good/nested.json", b"not a marker")
    local_store.write("checkpoints/readme.txt", b"not a marker")
    local_store.write("other/x.json", b"not a marker")
    told = []
    assert names(local_store, on_corrupt=lambda key, reason: told.append(key)) == ["good"]
    assert told == []


def test_a_listing_that_fails_is_no_empty_list(local_store):
    class Down(WrappedStore):
        def before(self, operation, key):
            raise StoreUnavailable("503")

    with pytest.raises(StoreUnavailable):
        list_markers(Down(local_store))


def test_a_marker_that_is_removed_while_they_are_listed_is_no_error(local_store, publish):
    class Removing(WrappedStore):
        def before(self, operation, key):
            if (operation, key) == ("read", "checkpoints/a.json"):
                self.inner.delete([key])

    publish(local_store, "a")
    publish(local_store, "b")
    assert names(Removing(local_store)) == ["b"]


@pytest.mark.parametrize("damage, told", [(b"X" * 1000, "SHA-256"), (b"short", "5 bytes")])
def test_a_damaged_file_is_named_and_nothing_appears(store, publish, tmp_path, damage, told):
    marker = publish(store, "one")
    store.write("checkpoints/one/slots/adam.npz", damage)
    with pytest.raises(IntegrityError, match=told) as caught:
        fetch_checkpoint(store, marker, str(tmp_path / "restored"))
    assert "checkpoints/one/slots/adam.npz" in str(caught.value) and "earlier one" in str(caught.value)
    assert read_tree(tmp_path / "restored") == {} == leftovers(tmp_path / "restored")


def test_what_is_only_read_need_not_be_copied(local_store, publish, tmp_path):
    marker = publish(local_store, "one")
    path = fetch_checkpoint(local_store, marker, str(tmp_path / "restored"), to_read_only=True)
    assert read_tree(path) == FILES
    stored = os.path.join(local_store.url, "checkpoints", "one", "weights.npz")
    assert os.path.samefile(os.path.join(path, "weights.npz"), stored)
    shutil.rmtree(path)
    assert read_tree(fetch_checkpoint(local_store, marker, str(tmp_path / "restored"))) == FILES


def test_what_is_not_copied_is_left_to_its_reader_to_compare_but_for_its_size(local_store, publish, tmp_path):
    marker = publish(local_store, "one")
    right = {file.name: file for file in marker.files}["slots/adam.npz"]
    local_store.write("checkpoints/one/slots/adam.npz", b"X" * right.size)
    path = fetch_checkpoint(local_store, marker, str(tmp_path / "restored"), to_read_only=True)
    assert digest_of(os.path.join(path, "slots", "adam.npz"), "sha256") != right.sha256
    local_store.write("checkpoints/one/slots/adam.npz", b"X" * (right.size + 1))
    with pytest.raises(IntegrityError, match="adam.npz"):
        fetch_checkpoint(local_store, marker, str(tmp_path / "again"), to_read_only=True)
    assert local_store.read("checkpoints/one/slots/adam.npz") == b"X" * (right.size + 1)


def test_where_links_cannot_be_made_it_is_copied(local_store, publish, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    marker = publish(local_store, "one")
    monkeypatch.setattr(os, "link", refuse)
    assert read_tree(fetch_checkpoint(local_store, marker, str(tmp_path / "restored"), to_read_only=True)) == FILES


def test_bytes_that_are_damaged_on_the_way_are_fetched_again(local_store, publish, tmp_path):
    class DamagingOnce(WrappedStore):
        def download(self, info, path, on_bytes=None):
            if info.key not in self.calls_of("download"):
                info = dataclasses.replace(info, sha256="0" * 64)  # of what has arrived
            super().download(info, path, on_bytes)

    marker = publish(local_store, "one")
    counted = []
    path = fetch_checkpoint(DamagingOnce(local_store), marker, str(tmp_path / "restored"),
                            on_progress=lambda done, total: counted.append((done, total)))
    assert read_tree(path) == FILES
    assert counted[-1] == (TOTAL, TOTAL)


def test_digests_of_who_wrote_the_files_are_taken_and_the_others_are_found(local_store, publish):
    told = {"step.json": "0" * 64}
    marker = publish(local_store, "one", digests=told)
    assert {file.name: file.sha256 for file in marker.files} == dict(
        {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}, **told)


def test_a_missing_file_is_named(store, publish, tmp_path):
    marker = publish(store, "one")
    store.delete(["checkpoints/one/step.json"])
    with pytest.raises(ObjectNotFound, match="step.json"):
        fetch_checkpoint(store, marker, str(tmp_path / "restored"))


def test_a_checkpoint_that_is_there_is_not_fetched_again_and_a_damaged_one_is(local_store, publish, tmp_path):
    marker = publish(local_store, "one")
    destination = str(tmp_path / "restored")
    path = fetch_checkpoint(local_store, marker, destination)
    watched = WrappedStore(local_store)
    assert fetch_checkpoint(watched, marker, destination) == path and watched.calls == []
    for damage in ({"step.json": b"[]"}, {"surplus": b"x"}):
        write_tree(path, damage)
        fetch_checkpoint(local_store, marker, destination)
        assert read_tree(path) == FILES
    assert leftovers(destination) == {}


def test_a_file_in_the_checkpoints_place_is_replaced_and_a_link_not_followed(local_store, publish, tmp_path):
    marker = publish(local_store, "one")
    write_tree(tmp_path / "restored", {"one": b"a file"})
    assert read_tree(fetch_checkpoint(local_store, marker, str(tmp_path / "restored"))) == FILES
    write_tree(tmp_path / "outside", {"precious": b"x"})
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "one").symlink_to(tmp_path / "outside")
    assert read_tree(fetch_checkpoint(local_store, marker, str(tmp_path / "again"))) == FILES
    assert read_tree(tmp_path / "outside") == {"precious": b"x"}


def test_a_marker_cannot_lead_outside(local_store, tmp_path):
    evil = Marker("../evil", "", (MarkerFile("a", 1, "0" * 64),), {})
    with pytest.raises(UnsafeKey):
        fetch_checkpoint(local_store, evil, str(tmp_path / "restored"))
    evil = Marker("good", "", (MarkerFile("../../evil", 1, "0" * 64),), {})
    with pytest.raises(UnsafeKey):
        fetch_checkpoint(local_store, evil, str(tmp_path / "restored"))
    assert read_tree(tmp_path) == {}


def test_too_little_space_is_told_before_anything_is_fetched(local_store, publish, tmp_path, monkeypatch):
    class Usage:
        free = 1000

    marker = publish(local_store, "one")
    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage)
    with pytest.raises(LocalStorageError, match="1,000 are free"):
        fetch_checkpoint(local_store, marker, str(tmp_path / "restored"))


def test_progress_of_publishing_and_fetching(local_store, publish, tmp_path):
    seen = []
    marker = publish(local_store, "one", on_progress=lambda done, total: seen.append((done, total)))
    assert (0, TOTAL) in seen and seen[-1] == (TOTAL, TOTAL)
    seen = []
    fetch_checkpoint(local_store, marker, str(tmp_path / "restored"),
                     on_progress=lambda done, total: seen.append((done, total)))
    assert seen[0] == (0, TOTAL) and seen[-1] == (TOTAL, TOTAL)


def test_a_stop_request_ends_both_cleanly(local_store, publish, directory, tmp_path):
    class Stop(Exception):
        pass

    def on_progress(done, total):
        if done:
            raise Stop()

    with pytest.raises(Stop):
        publish_checkpoint(local_store, directory, "one", {}, on_progress=on_progress)
    assert names(local_store) == [] and leftovers(local_store.url) == {}
    marker = publish(local_store, "two")
    with pytest.raises(Stop):
        fetch_checkpoint(local_store, marker, str(tmp_path / "restored"), on_progress=on_progress)
    assert read_tree(tmp_path / "restored") == {} == leftovers(tmp_path / "restored")


def test_retention_keeps_what_it_is_told_and_other_lineages(local_store, publish):
    for name, lineage in (("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b")):
        publish(local_store, name, {"lineage": lineage})
    local_store.write("checkpoints/broken.json", b"?")
    local_store.write("checkpoints/half/x", b"?")
    assert retain(local_store, ["a3"], lineage="a") == ["a1", "a2"]
    assert names(local_store, on_corrupt=lambda key, reason: None) == ["a3", "b1"]
    assert retain(local_store, ["a3"]) == ["b1"]
    assert {info.key for info in local_store.list()} == \
        {"checkpoints/broken.json", "checkpoints/half/x", "checkpoints/a3.json"} | \
        {"checkpoints/a3/" + name for name in FILES}


def test_retention_refuses_to_remove_everything(local_store, publish):
    publish(local_store, "a")
    with pytest.raises(ValueError, match="empty"):
        retain(local_store, [])
    assert names(local_store) == ["a"]


def test_a_pointer_says_which_is_best_and_is_no_marker(store, publish):
    assert read_pointer(store, "best") is None
    publish(store, "one")
    write_pointer(store, "best", "one", metadata={"score": 0.5})
    write_pointer(store, "best", "two")
    assert read_pointer(store, "best") == "two"
    told = []
    assert names(store, on_corrupt=lambda key, reason: told.append(key)) == ["one"] and told == []


@pytest.mark.parametrize("content", [b"", b"{}", b'{"format": "masf-pointer/1"}',
                                     b'{"format": "masf-pointer/1", "name": "../up"}'])
def test_a_damaged_pointer_is_told(local_store, content):
    local_store.write("checkpoints/best.json", content)
    with pytest.raises(StoreError, match="best.json|'..' segment"):
        read_pointer(local_store, "best")


def test_two_runs_share_a_store_without_seeing_each_other(local_store, publish, tmp_path):
    one, two = LocalStore(local_store.url + "/one"), LocalStore(local_store.url + "/two")
    publish(one, "ckpt")
    assert names(two) == [] and names(one) == ["ckpt"]
