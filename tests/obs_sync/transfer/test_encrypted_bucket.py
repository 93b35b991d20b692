"""A bucket that encrypts at rest: ETags have the form of an MD5 and are none, and no listing says so."""
from __future__ import annotations

import hashlib
import os

import pytest

from benchmarks.soak import small_parts
from obs_sync import fetch_checkpoint, list_markers, open_store, pack, publish_checkpoint, pull, push
from obs_sync.mock import FaultPlan, mock_obs
from obs_sync.retry import Retry
from obs_sync.transfer.compare import compare
from obs_sync.transfer.trees import preview_pull, preview_push
from tests.obs_sync.trees import read_tree, write_tree

PART = 102400
TREE = {"a.txt": b"some text\n", "photo/dog/1.jpg": os.urandom(5000)}


@pytest.fixture
def obs():
    with mock_obs(buckets=["bucket"], encryption="kms") as server:
        yield server


@pytest.fixture
def store(obs):
    with open_store("obs://bucket/", obs.environment(), retry=Retry(2, sleep=lambda seconds: None)) as opened:
        yield opened


@pytest.fixture
def source(tmp_path):
    return write_tree(tmp_path / "source", TREE)


class Silent(FaultPlan):
    """Replies to who stores something say nothing of the encryption."""

    def before_reply(self, request, response):
        if request.operation in ("PutObject", "UploadPart"):
            del response.headers["x-obs-server-side-encryption"]
        return response


def put_by_others(obs, tree):
    for key, data in tree.items():
        obs.put("bucket", key, data)


def test_the_bucket_is_as_told(obs, store):
    obs.put("bucket", "a", b"data")
    listed, = store.list()
    assert len(listed.etag) == 32 and listed.etag != hashlib.md5(b"data").hexdigest()
    looked = store.head("a")
    assert looked.encrypted and looked.md5 is None and looked.etag == listed.etag


@pytest.mark.parametrize("plan", [FaultPlan(), Silent()], ids=["told at once", "told when asked"])
def test_what_is_stored_counts_as_stored_and_is_not_sent_twice(obs, store, source, plan):
    obs.faults = plan
    assert push(store, source).files == 2
    assert obs.counts["PutObject"] == 2
    assert push(store, source).present_files == 2
    write_tree(source, {"a.txt": b"SOME TEXT\n"})
    assert [key for key, _ in preview_push(store, source).send] == ["a.txt"]


@pytest.mark.parametrize("plan", [FaultPlan(), Silent()], ids=["told at once", "told when it was begun"])
@pytest.mark.parametrize("with_md5", [True, False])
def test_an_upload_in_parts_is_whole_though_no_part_has_its_md5(obs, store, tmp_path, plan, with_md5):
    obs.faults = plan
    write_tree(tmp_path, {"large": os.urandom(3 * PART)})
    with small_parts(PART):
        store.upload(str(tmp_path / "large"), "large", with_md5=with_md5)
    assert obs.counts["UploadPart"] == 3
    assert obs.get("bucket", "large") == (tmp_path / "large").read_bytes()


def test_a_file_differs_only_if_something_that_is_a_digest_says_so(obs, store, source):
    push(store, source)
    found = compare(store, source)
    assert [info.key for info in found.same] == sorted(TREE) and not found.differ and not found.size_only
    write_tree(source, {"a.txt": b"SOME TEXT\n"})
    difference, = compare(store, source).differ
    assert difference.info.key == "a.txt" and hashlib.md5(TREE["a.txt"]).hexdigest() in difference.why


def test_of_what_others_have_stored_nothing_but_the_size_is_known(obs, store, source):
    put_by_others(obs, TREE)
    found = compare(store, source)
    assert not found.same and not found.differ
    assert [(info.key, info.encrypted) for info in found.size_only] == [("a.txt", True), ("photo/dog/1.jpg", True)]
    assert len(compare(store, source, full=True).same) == 2


def test_a_crc64_counts_where_the_etag_does_not(obs, store, source):
    from obs import ObsClient, PutObjectHeader
    client = ObsClient(**obs.client_arguments())
    crc64 = str(0x995DC9BBDF1939FA)  # of these bytes, by the catalogue
    client.putContent("bucket", "a.txt", "123456789", headers=PutObjectHeader(crc64=crc64))
    client.close()
    assert store.head("a.txt").crc64 == crc64
    write_tree(source, {"a.txt": b"123456789"})
    assert [info.key for info in compare(store, source).same] == ["a.txt"]
    write_tree(source, {"a.txt": b"12345678X"})
    difference, = compare(store, source).differ
    assert "CRC-64 " + crc64 in difference.why


def test_a_pull_brings_everything_and_does_not_bring_it_again_by_digest(obs, store, source, tmp_path):
    push(store, source)
    out = str(tmp_path / "out")
    assert pull(store, out).files == 2
    assert read_tree(out) == TREE
    assert preview_pull(store, source).plan.fetch == ()  # a folder that no pull has written down


def test_a_checkpoint_and_a_pack_are_published_and_come_back(obs, store, source, tmp_path):
    files = {"network.npz": os.urandom(3 * PART), "progress.json": b"{}"}
    with small_parts(PART):
        publish_checkpoint(store, write_tree(tmp_path / "made", files), "ckpt", {})
        marker, = list_markers(store)
        assert read_tree(fetch_checkpoint(store, marker, str(tmp_path / "fetched"))) == files
        pack(store, source, "packed/")
        pull(store, str(tmp_path / "out"), "packed/")
    assert read_tree(tmp_path / "out" / "packed") == TREE
