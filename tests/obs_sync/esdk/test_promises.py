"""What the SDK lets pass or gets wrong, one test each, in the production dialect: the adapter must be right there.

Others of the kind stand where they belong: 429 and 5xx with a file, idle connections that were closed and redirections
in test_esdk_overload, uploads that go on in test_esdk_multipart, listings of servers that are not OBS in
test_esdk_faults.
"""

from __future__ import annotations

import os

import pytest

from obs_sync import (
    AccessDenied, IntegrityError, ObjectChanged, StoreError, StoreUnavailable, UnsafeKey, open_store, pull, push,
)
from obs_sync.esdk import upload
from obs_sync.mock import Call, Cut, ErrorBody, ETag, Faults, Flip, IgnoredRange, PartialDelete, Reset, Rule, Status
from obs_sync.retry import Retry
from tests.obs_sync.trees import read_tree, write_tree

DATA = os.urandom(300000)


@pytest.fixture
def store(obs):
    obs.put("bucket", "a", DATA)
    with open_store("obs://bucket/", obs.environment(), retry=Retry(3, sleep=lambda seconds: None)) as store:
        yield store


@pytest.mark.parametrize("fault", [Cut(0.5), Cut(0.0), Flip(0.5), Reset("before"), Reset("after")],
                         ids=["cut", "nothing", "flip", "reset before", "reset after"])
def test_bytes_that_are_lost_or_damaged_on_the_way_down_are_fetched_again_or_refused(obs, store, tmp_path, fault):
    obs.faults = Faults([Rule(fault, operation="GetObject", first=2)])
    store.download(store.head("a"), str(tmp_path / "a"))
    assert (tmp_path / "a").read_bytes() == DATA
    obs.faults = Faults([Rule(fault, operation="GetObject")])
    with pytest.raises((StoreUnavailable, IntegrityError), match="tried 3 times"):
        store.read("a")
    with pytest.raises(StoreError):
        pull(store, str(tmp_path / "tree"))
    assert read_tree(tmp_path / "tree") == {}  # nothing partial at its place


@pytest.mark.parametrize("fault", [Flip(0.5, "upload"), Reset("before"), Reset("after"), ETag("missing")],
                         ids=["flip", "reset before", "reset after", "no ETag"])
def test_bytes_that_are_lost_or_damaged_on_the_way_up_are_sent_again(obs, store, tmp_path, fault):
    (tmp_path / "file").write_bytes(DATA)
    obs.faults = Faults([Rule(fault, operation="PutObject", first=2)])
    store.upload(str(tmp_path / "file"), "b")
    assert obs.get("bucket", "b") == DATA


def test_an_object_that_is_overwritten_in_mid_download_is_not_mixed(obs, store, tmp_path):
    info = store.head("a")
    obs.faults = Faults([Rule(Call(lambda request: obs.put("bucket", "a", DATA[::-1]), "after"), "GetObject", nth=2),
                         Rule(Cut(0.5), "GetObject", first=2)])
    with pytest.raises(ObjectChanged):
        store.download(info, str(tmp_path / "a"))
    with pytest.raises(ObjectChanged):
        store.read_range(info, 10, 10)


def test_a_version_is_asked_for_without_the_quotes_that_the_sdk_would_mangle(obs, store, tmp_path):
    for info in (store.head("a"), next(iter(store.list()))):
        store.download(info, str(tmp_path / "a"))
    assert obs.counts["GetObject"] == 2


def test_a_server_that_ignores_a_range_is_noticed(obs, store):
    info = store.head("a")
    obs.faults = Faults([Rule(IgnoredRange(), "GetObject", first=2)])
    assert store.read_range(info, 1000, 10) == DATA[1000:1010]
    obs.faults = Faults([Rule(IgnoredRange(), "GetObject")])
    with pytest.raises(IntegrityError, match="answered 200 with the whole"):
        store.read_range(info, 1000, 10)


@pytest.mark.parametrize("applied", [False, True])
def test_a_completion_that_is_answered_200_with_an_error_is_looked_into(obs, store, tmp_path, monkeypatch, applied):
    original = upload.put_file
    monkeypatch.setattr("obs_sync.esdk.store.put_file",
                        lambda *arguments: original(*arguments, part_size=100 << 10, largest_put=100 << 10))
    (tmp_path / "file").write_bytes(DATA)
    obs.faults = Faults([Rule(ErrorBody(applied=applied), "CompleteMultipartUpload")])
    if applied:
        store.upload(str(tmp_path / "file"), "b")
        assert obs.get("bucket", "b") == DATA
    else:
        with pytest.raises(StoreUnavailable, match="200 but not completed"):
            store.upload(str(tmp_path / "file"), "b")
        assert obs.keys("bucket") == ["a"]


def test_a_deletion_that_is_done_in_part_is_finished_or_told(obs, store):
    for key in "bcd":
        obs.put("bucket", key, b"x")
    obs.faults = Faults([Rule(PartialDelete(0.5), "DeleteObjects", first=1)])
    store.delete(["b", "c", "d"])
    assert obs.keys("bucket") == ["a"]
    obs.faults = Faults([Rule(PartialDelete(1), "DeleteObjects")])
    with pytest.raises(StoreError, match="1 of 1 objects were not deleted"):
        store.delete(["a"])


def test_a_listing_whose_second_page_fails_is_an_error_and_no_short_tree(obs, store, tmp_path):
    for number in range(1001):
        obs.put("bucket", "b/%04d" % number, b"x")
    obs.faults = Faults([Rule(Status(403, "AccessDenied"), "ListObjects", nth=2)])
    with pytest.raises(AccessDenied):
        pull(store, str(tmp_path / "tree"))
    assert read_tree(tmp_path / "tree") == {}
    obs.faults = Faults([Rule(Status(503), "ListObjects", nth=2)])
    assert len(list(store.list("b/"))) == 1001


@pytest.mark.parametrize("key", ["p/../../../evil.txt", "/evil.txt", "p//evil.txt", "..", "p/./evil"])
def test_a_key_that_leads_out_of_the_folder_is_refused_before_anything_is_written(obs, store, tmp_path, key):
    obs.put("bucket", key, b"evil")
    with pytest.raises(UnsafeKey):
        pull(store, str(tmp_path / "one" / "two" / "tree"))
    assert not [name for _, _, names in os.walk(str(tmp_path)) for name in names if "evil" in name or name == "a"]


def test_no_checksum_of_the_servers_own_is_needed(obs, store, tmp_path):
    """The SDK fails with a KeyError where CRC64 is asked for and missing. We go by MD5, both ways."""
    (tmp_path / "file").write_bytes(DATA)
    store.upload(str(tmp_path / "file"), "b")
    store.download(store.head("b"), str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == DATA


def test_a_tree_goes_up_and_down_through_a_storm(obs, tmp_path):
    tree = {"photo/%d.jpg" % number: os.urandom(1000 * number) for number in range(40)}
    obs.faults = Faults(["storm"], seed=3)
    with open_store("obs://bucket/pacs/", obs.environment(), retry=Retry(20, sleep=lambda seconds: None)) as store:
        push(store, write_tree(tmp_path / "source", tree))
        pull(store, str(tmp_path / "back"))
    assert read_tree(tmp_path / "back") == tree and sum(obs.injected.values()) > 10
