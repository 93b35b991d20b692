"""Programs that others wrote, against the mocked OBS: they read what obs_sync stored, and obs_sync
reads what they did.

They sign with v4 and v2 and check what they move by their own means; the mocked OBS lets nothing pass that it does
not know.
"""
from __future__ import annotations

import base64
import hashlib
import os
import tarfile

import pytest
from botocore.exceptions import ClientError

from obs_sync import (
    PackedStore, fetch_checkpoint, list_markers, open_store, pack, publish_checkpoint, pull, push,
)
from obs_sync.mock import mock_obs
from tests.obs_sync import judges
from tests.obs_sync.trees import read_tree, write_tree

BUCKET, LARGE_BUCKET = "bucket", "large-bucket"
TREE = {"a.txt": b"1", "empty": b"", "dir/with space+plus&=.bin": os.urandom(100000), "ünï/犬.jpg": b"x" * 4097,
        "quote'\"<>.txt": b"q", "100%25.txt": b"p", "parts": os.urandom((12 << 20) + 5)}
LARGE = os.urandom((64 << 20) + 1)  # obs_sync stores it in parts, with its MD5 as metadata
JUDGES = {"rclone-v4": judges.RcloneV4, "rclone-v2": judges.RcloneV2, "s5cmd": judges.S5cmd, "boto3": judges.Boto3}


@pytest.fixture(scope="module")
def mock():
    with mock_obs(buckets=[BUCKET, LARGE_BUCKET], strict=True) as running:
        yield running


@pytest.fixture(scope="module")
def large_object(mock, tmp_path_factory):
    """Where obs_sync stored `LARGE`, for those who only read it."""
    with open_store(f"obs://{LARGE_BUCKET}/base/", mock.environment()) as store:
        push(store, write_tree(tmp_path_factory.mktemp("large"), {"large": LARGE}))
    assert mock.info(LARGE_BUCKET, "base/large").etag.endswith("-5")
    return LARGE_BUCKET, "base/large"


@pytest.fixture
def store(mock):
    """The empty bucket, spoken to as in production."""
    with open_store(f"obs://{BUCKET}/base/", mock.environment()) as store:
        yield store
    for key in mock.keys(BUCKET):
        mock.delete(BUCKET, key)
    assert mock.uploads(BUCKET) == []


@pytest.fixture(params=JUDGES.values(), ids=JUDGES)
def judge(request, mock, tmp_path):
    return request.param(mock, tmp_path)


@pytest.fixture(params=[judges.RcloneV4, judges.RcloneV2], ids=["v4", "v2"])
def rclone(request, mock, tmp_path):
    return request.param(mock, tmp_path)


# --- they read what obs_sync wrote

def test_a_pushed_tree_is_downloaded_whole(judge, store, tmp_path):
    push(store, write_tree(tmp_path / "source", TREE))
    judge.download(judge.url(BUCKET, "base"), tmp_path / "out")
    assert read_tree(tmp_path / "out") == TREE


def test_a_large_object_is_read_and_downloaded(judge, large_object, tmp_path):
    bucket, key = large_object
    assert judge.read(judge.url(bucket, key)) == LARGE
    judge.download(judge.url(bucket, "base"), tmp_path / "out")
    assert (tmp_path / "out" / "large").read_bytes() == LARGE


def test_a_published_checkpoint_is_downloaded_whole(judge, store, tmp_path):
    files = {"model.index": b"1" * 100, "model.data-00000-of-00001": os.urandom(300000)}
    publish_checkpoint(store, write_tree(tmp_path / "checkpoint", files), "step-1", {"step": 1})
    judge.download(judge.url(BUCKET, "base/checkpoints/step-1"), tmp_path / "out")
    assert read_tree(tmp_path / "out") == files


def test_a_pack_is_downloaded_and_unpacked_with_tar(judge, store, tmp_path):
    pack(store, write_tree(tmp_path / "source", TREE), shard_bytes=1 << 20)
    judge.download(judge.url(BUCKET, "base"), tmp_path / "out")
    shards = [path for path in (tmp_path / "out").rglob("*") if path.suffix == ".tar"]
    assert len(shards) > 1
    unpacked = {}
    for shard in shards:
        with tarfile.open(str(shard)) as archive:
            unpacked.update((member.name, archive.extractfile(member).read()) for member in archive)
    assert unpacked == TREE


def test_rclone_finds_no_difference_by_checksum_nor_by_content(rclone, store, tmp_path):
    source = write_tree(tmp_path / "source", TREE)
    push(store, source)
    check = ["check", "--exclude", ".obs_sync/**", source, rclone.url(BUCKET, "base")]
    rclone(*check)
    rclone(*check, "--download")
    write_tree(source, {"a.txt": b"2"})
    with pytest.raises(AssertionError, match="1 differences found"):
        rclone(*check)


def test_rclone_reads_the_digest_of_an_object_in_parts(rclone, large_object):
    line = rclone("md5sum", rclone.url(*large_object)).decode()
    assert line.split() == [hashlib.md5(LARGE).hexdigest(), "large"]


def test_s5cmd_lists_and_adds_up(mock, store, tmp_path):
    s5cmd = judges.S5cmd(mock, tmp_path)
    push(store, write_tree(tmp_path / "source", TREE))
    listed = [line.split(None, 3) for line in s5cmd("ls", s5cmd.url(BUCKET, "base/*")).decode().splitlines()]
    listed = {key: int(size) for _, _, size, key in listed if not key.startswith(".obs_sync/")}
    assert listed == {key: len(data) for key, data in TREE.items()}
    assert s5cmd("du", s5cmd.url(BUCKET, "base/dir/*")).decode().startswith("100000 bytes in 1 objects")


# --- obs_sync reads what they wrote

def test_an_uploaded_tree_is_pulled_with_its_digests_checked(judge, mock, store, tmp_path):
    judge.upload(write_tree(tmp_path / "source", TREE), judge.url(BUCKET, "base"))
    assert mock.info(BUCKET, "base/parts").etag.endswith("-3")
    assert {info.key: info.size for info in store.list()} == {key: len(data) for key, data in TREE.items()}
    for key in set(TREE) - {"parts"}:
        assert store.head(key).md5 == hashlib.md5(TREE[key]).hexdigest()
    pull(store, str(tmp_path / "out"))
    assert read_tree(tmp_path / "out") == TREE
    assert pull(store, str(tmp_path / "out")).files == 0


def test_the_digest_that_rclone_leaves_with_parts_is_read_and_checked(rclone, mock, store, tmp_path):
    rclone.upload(write_tree(tmp_path / "source", {"parts": TREE["parts"]}), rclone.url(BUCKET, "base"))
    digest = hashlib.md5(TREE["parts"]).digest()
    assert mock.info(BUCKET, "base/parts").properties.metadata["md5chksum"] == base64.b64encode(digest).decode()
    assert store.head("parts").md5 == digest.hex()


def test_a_checkpoint_that_was_carried_elsewhere_is_fetched(judge, mock, store, tmp_path):
    files = {"model.index": b"1" * 100, "model.data-00000-of-00001": os.urandom(300000)}
    marker = publish_checkpoint(store, write_tree(tmp_path / "checkpoint", files), "step-1", {"step": 1})
    judge.download(judge.url(BUCKET, "base"), tmp_path / "carried")
    judge.upload(tmp_path / "carried", judge.url(BUCKET, "elsewhere"))
    with open_store(f"obs://{BUCKET}/elsewhere/", mock.environment()) as elsewhere:
        assert list_markers(elsewhere) == [marker]
        assert read_tree(fetch_checkpoint(elsewhere, marker, str(tmp_path / "restored"))) == files


def test_a_pack_that_was_carried_elsewhere_is_pulled(judge, mock, store, tmp_path):
    pack(store, write_tree(tmp_path / "source", TREE), shard_bytes=1 << 20)
    judge.download(judge.url(BUCKET, "base"), tmp_path / "carried")
    judge.upload(tmp_path / "carried", judge.url(BUCKET, "elsewhere"))
    with open_store(f"obs://{BUCKET}/elsewhere/", mock.environment()) as elsewhere:
        pull(PackedStore(elsewhere), str(tmp_path / "out"))
    assert read_tree(tmp_path / "out") == TREE


@pytest.mark.parametrize("key", ["a.txt", "ünï/犬.jpg", "dir/with space+plus&=.bin"])
def test_what_they_copy_and_delete_is_copied_and_gone(judge, store, tmp_path, key, request):
    if isinstance(judge, judges.S5cmd) and " " in key:
        request.node.add_marker(pytest.mark.xfail(reason="s5cmd writes a space in x-amz-copy-source as '+'",
                                                  raises=AssertionError))
    push(store, write_tree(tmp_path / "source", TREE))
    judge.copy(judge.url(BUCKET, f"base/{key}"), judge.url(BUCKET, "base/copy of ünï+&"))
    assert store.read("copy of ünï+&") == TREE[key]
    judge.delete(judge.url(BUCKET, "base/dir"))
    assert list(store.list("dir/")) == [] and store.exists("a.txt")


# --- who is not let in

@pytest.mark.parametrize("kind", JUDGES.values(), ids=JUDGES)
def test_a_wrong_secret_is_refused(kind, mock, store, tmp_path):
    store.write("a.txt", b"1")
    with pytest.raises((AssertionError, ClientError), match="SignatureDoesNotMatch"):
        stranger = kind(mock, tmp_path, "wrong")
        stranger.list(stranger.url(BUCKET, "base/"))
