"""The SDK adapter against the mocked OBS, in the production dialect."""

from __future__ import annotations

import logging
import os

import pytest

from obs_sync import AccessDenied, BucketNotFound, ObjectNotFound, open_store, pull, push
from obs_sync.esdk import upload
from obs_sync.mock import FaultPlan
from tests.obs_sync.trees import read_tree, write_tree


def open_with(obs, url="obs://bucket/", **variables):
    return open_store(url, {**obs.environment(), **variables})


def test_a_wrong_secret_is_told_in_every_operation_and_never_printed(obs, tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    with open_with(obs, OBS_SECRET_ACCESS_KEY="not-the-s3cr3t") as store:
        for operation in (lambda: list(store.list()), lambda: store.head("a"), lambda: store.read("a"),
                          lambda: store.write("a", b"x"), lambda: store.upload(str(tmp_path / "file"), "a"),
                          lambda: store.delete(["a"]), lambda: pull(store, str(tmp_path / "out"))):
            with pytest.raises(AccessDenied) as caught:
                operation()
            assert "SignatureDoesNotMatch" in str(caught.value) and "OBS_SECRET_ACCESS_KEY" in str(caught.value)
            assert "s3cr3t" not in str(caught.value)


def test_an_unknown_access_key_is_told(obs):
    with open_with(obs, OBS_ACCESS_KEY_ID="nobody") as store:
        with pytest.raises(AccessDenied, match="InvalidAccessKeyId"):
            list(store.list())


def test_a_missing_bucket_is_told_in_every_operation(obs, tmp_path):
    with open_with(obs, "obs://no-such-bucket/folder/") as store:
        for operation in (lambda: list(store.list()), lambda: store.head("a"), lambda: store.read("a"),
                          lambda: store.write("a", b"x"), lambda: store.delete(["a"])):
            with pytest.raises(BucketNotFound) as caught:
                operation()
            assert "no-such-bucket" in str(caught.value) and "OBS_SERVER" in str(caught.value)


def test_a_missing_object_is_told_apart_from_a_missing_bucket(obs):
    with open_with(obs) as store:
        with pytest.raises(ObjectNotFound):
            store.head("a")


def test_the_store_sees_its_prefix_only(obs):
    for key in ("runs/a", "runs/b/c", "runs2/x", "y"):
        obs.put("bucket", key, b"content")
    with open_with(obs, "obs://bucket/runs") as store:
        assert [info.key for info in store.list()] == ["a", "b/c"]
        store.delete(["a"])
        store.write("new", b"x")
    assert sorted(obs.keys("bucket")) == ["runs/b/c", "runs/new", "runs2/x", "y"]


def test_a_big_file_in_parts_comes_back_whole_and_with_its_digest(obs, tmp_path, monkeypatch):
    original = upload.put_file
    monkeypatch.setattr("obs_sync.esdk.store.put_file",
                        lambda *arguments: original(*arguments, part_size=200000, largest_put=300000))
    data = os.urandom(1000001)
    (tmp_path / "big").write_bytes(data)
    with open_with(obs) as store:
        stored = store.upload(str(tmp_path / "big"), "big")
        assert stored.etag.endswith("-6") and store.head("big").md5 == stored.md5
        assert obs.get("bucket", "big") == data
        store.download(store.head("big"), str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == data


def test_keys_with_characters_that_xml_cannot_hold_are_listed_and_deleted(obs):
    keys = ["line\nbreak", "return\rkey", "bell\x07", "no\ufffe", "none\uffff", "plain"]
    with open_with(obs) as store:
        for key in keys:
            store.write(key, b"x")
        assert sorted(info.key for info in store.list()) == sorted(keys)
        for key in keys[:1] + keys[3:5]:  # each by itself
            store.delete([key])
        assert obs.keys("bucket") == sorted(keys[1:3] + keys[5:])
        store.delete(keys)  # among others, and those that are gone
        assert obs.keys("bucket") == []


def test_times_of_listing_and_head_agree_in_every_time_zone(obs, monkeypatch):
    import time
    with open_with(obs) as store:
        store.write("a", b"x")
        for zone in ("UTC", "Europe/Berlin", "America/New_York", "Asia/Shanghai", "Australia/Sydney"):
            monkeypatch.setenv("TZ", zone)
            time.tzset()
            assert abs(next(iter(store.list())).modified - store.head("a").modified) < 1.5
            assert abs(store.head("a").modified - time.time()) < 60
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("year", ["99999", str(10 ** 20)])
def test_a_time_of_no_calendar_is_unknown(obs, year):
    class Absurd(FaultPlan):
        def before_reply(self, request, response):
            if request.operation == "HeadObject":
                response.headers["Last-Modified"] = f"Tue, 01 Jan {year} 00:00:00 GMT"
            return response

    obs.faults = Absurd()
    with open_with(obs) as store:
        store.write("a", b"x")
        assert store.head("a").modified is None


def test_no_secret_reaches_any_log(obs, tmp_path, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    environ = obs.environment()
    environ["OBS_SECURITY_TOKEN"] = "t0k3n-of-the-session"
    source = write_tree(tmp_path / "source", {"a": b"payload-of-the-object"})
    with open_store("obs://bucket/", environ) as store:
        for operation in (lambda: push(store, source), lambda: pull(store, str(tmp_path / "out")),
                          lambda: store.head("missing"), lambda: store.delete(["a"])):
            try:
                operation()
            except (AccessDenied, ObjectNotFound):
                pass
        printed = caplog.text + "".join(capfd.readouterr()) + repr(store)
    for secret in (environ["OBS_SECRET_ACCESS_KEY"], environ["OBS_SECURITY_TOKEN"], "payload-of-the-object"):
        assert secret not in printed


def test_a_tree_goes_up_and_comes_down(obs, tmp_path):
    tree = {"photo/dog/1.jpg": b"1" * 1000, "photo/cat/2.jpg": b"", "art/Ölbild.png": os.urandom(70000)}
    with open_with(obs, "obs://bucket/pacs/") as store:
        push(store, write_tree(tmp_path / "source", tree))
        pull(store, str(tmp_path / "back"))
    assert read_tree(tmp_path / "back") == tree
    assert obs.unknown_requests == []
