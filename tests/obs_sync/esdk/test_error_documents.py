"""Replies with status 200 that are not what was asked for: no listing, nothing stored, other bytes."""

from __future__ import annotations

import pytest

from obs_sync import IntegrityError, StoreUnavailable, open_store, pull
from obs_sync.mock import ErrorBody, Faults, Flip, Rule
from obs_sync.retry import Retry
from tests.obs_sync.scripted_server import reply, scripted_server, store_at
from tests.obs_sync.trees import read_tree

INSTEAD = [b"<Error><Code>InternalError</Code></Error>", b"<html><body>Sign in</body></html>", b"<R></R>",
           b"<Error><Code>NoSuchUpload</Code><BucketName>bucket</BucketName><Key>a</Key></Error>"]


@pytest.fixture
def store(obs):
    obs.put("bucket", "a", b"content")
    with open_store("obs://bucket/", obs.environment(), retry=Retry(3, sleep=lambda seconds: None)) as store:
        yield store


@pytest.mark.parametrize("operation, call", [
    ("ListObjects", lambda store: [info.key for info in store.list()]),
    ("ListMultipartUploads", lambda store: [upload.key for upload in store.unfinished_uploads()]),
])
def test_an_error_in_place_of_a_listing_is_no_empty_listing(obs, store, operation, call):
    there = call(store)
    obs.faults = Faults([Rule(ErrorBody("InternalError"), operation=operation, first=2)])
    assert call(store) == there
    obs.faults = Faults([Rule(ErrorBody("InternalError"), operation=operation)])
    with pytest.raises(StoreUnavailable, match="not what was asked for.*tried 3 times"):
        call(store)


@pytest.mark.parametrize("body", INSTEAD)
def test_whatever_else_comes_in_place_of_a_listing_is_none(body):
    from obs_sync.esdk.unfinished import list_parts
    with scripted_server() as (server, url), store_at(url) as store:
        server.twist = lambda request: reply(200, body)
        for call in (lambda: list(store.list()), store.unfinished_uploads,
                     lambda: list_parts(store._calls, "a", "1", "a")):
            with pytest.raises(StoreUnavailable, match="not what was asked for"):
                call()


def test_no_file_is_removed_for_an_error_in_place_of_a_listing(obs, store, tmp_path):
    pull(store, str(tmp_path / "here"))
    obs.faults = Faults([Rule(ErrorBody("InternalError"), operation="ListObjects")])
    with pytest.raises(StoreUnavailable):
        pull(store, str(tmp_path / "here"), delete=True)
    assert read_tree(str(tmp_path / "here")) == {"a": b"content"}


@pytest.mark.parametrize("before", [None, b"another", b"content"])
@pytest.mark.parametrize("applied", [False, True])
def test_an_error_in_place_of_what_was_stored_is_looked_into(obs, store, before, applied):
    if before is not None:
        obs.put("bucket", "new", before)
    obs.faults = Faults([Rule(ErrorBody("InternalError", applied), operation="PutObject", first=2)])
    assert store.write("new", b"content").size == len(b"content")
    assert obs.get("bucket", "new") == b"content"


def test_a_put_that_is_answered_with_errors_only_is_unavailable(obs, store):
    obs.faults = Faults([Rule(ErrorBody("InternalError"), operation="PutObject")])
    with pytest.raises(StoreUnavailable, match="stored nothing.*tried 3 times"):
        store.write("new", b"content")
    assert obs.counts["PutObject"] == 3


def test_bytes_that_are_damaged_each_time_come_with_advice(obs, store):
    obs.faults = Faults([Rule(Flip(0.5), operation="GetObject")])
    with pytest.raises(IntegrityError, match="tried 3 times.*memory"):
        store.read("a")
