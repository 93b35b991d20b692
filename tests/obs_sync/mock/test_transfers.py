"""The client's own transfers of whole files, with their records for resuming."""
from __future__ import annotations

import hashlib
import os

import pytest
from obs import GetObjectHeader

from obs_sync.mock import FaultPlan, ObsError
from obs_sync.mock.protocol.operations import error_response
from tests.obs_sync.mock.support import BUCKET, make_client

PART = 100 * 1024


@pytest.fixture
def content():
    return hashlib.sha256(b"seed").digest() * (PART // 32) * 4 + b"the end"  # four parts and a bit


@pytest.fixture
def source(tmp_path, content):
    path = tmp_path / "source.bin"
    path.write_bytes(content)
    return str(path)


class Outage(FaultPlan):
    """Refuses one operation from the n-th call on."""

    def __init__(self, operation, after):
        self.operation, self.left = operation, after

    def before_handling(self, request):
        if request.operation == self.operation:
            self.left -= 1
            if self.left < 0:
                return error_response(request, ObsError("InternalError"))
        return None


def test_a_file_goes_up_in_parts_and_comes_down_in_ranges(client, mock, source, content, tmp_path):
    answer = client.uploadFile(BUCKET, "key", source, partSize=PART, taskNum=4, enableCheckpoint=True, checkSum=True)
    assert answer.status == 200 and answer.body.etag.endswith('-5"')
    assert mock.get(BUCKET, "key") == content
    target = str(tmp_path / "target.bin")
    answer = client.downloadFile(BUCKET, "key", target, partSize=PART, taskNum=4, enableCheckpoint=True)
    assert answer.status == 200
    with open(target, "rb") as file:
        assert file.read() == content
    assert (mock.counts["UploadPart"], mock.counts["GetObject"]) == (5, 5)
    assert sorted(os.listdir(str(tmp_path))) == ["source.bin", "target.bin"]  # no records left


def test_an_interrupted_upload_is_resumed(client, mock, source, content):
    mock.faults = Outage("UploadPart", after=3)
    with pytest.raises(Exception, match="some parts are failed"):
        client.uploadFile(BUCKET, "key", source, partSize=PART, enableCheckpoint=True)
    assert mock.keys(BUCKET) == [] and len(mock.uploads(BUCKET)) == 1
    mock.faults = FaultPlan()
    before = mock.counts["UploadPart"]
    assert client.uploadFile(BUCKET, "key", source, partSize=PART, enableCheckpoint=True).status == 200
    assert mock.counts["UploadPart"] - before == 2
    assert (mock.get(BUCKET, "key"), mock.uploads(BUCKET)) == (content, [])


def test_an_interrupted_download_is_resumed(client, mock, content, tmp_path):
    mock.put(BUCKET, "key", content)
    target = str(tmp_path / "target.bin")
    mock.faults = Outage("GetObject", after=2)
    with pytest.raises(Exception, match="some parts are failed"):
        client.downloadFile(BUCKET, "key", target, partSize=PART, enableCheckpoint=True)
    mock.faults = FaultPlan()
    before = mock.counts["GetObject"]
    assert client.downloadFile(BUCKET, "key", target, partSize=PART, enableCheckpoint=True).status == 200
    assert mock.counts["GetObject"] - before == 3
    with open(target, "rb") as file:
        assert file.read() == content


def test_an_empty_file_goes_up_and_down(client, mock, tmp_path):
    source = tmp_path / "empty"
    source.write_bytes(b"")
    assert client.uploadFile(BUCKET, "key", str(source)).status == 200
    assert client.downloadFile(BUCKET, "key", str(tmp_path / "target")).status == 200
    assert (tmp_path / "target").read_bytes() == b""


def test_a_download_pinned_to_a_version_fails_when_the_object_is_another(client, mock, content, tmp_path):
    etag = mock.put(BUCKET, "key", content).etag
    target = str(tmp_path / "target.bin")
    pinned = GetObjectHeader(if_match=etag)
    assert client.downloadFile(BUCKET, "key", target, partSize=PART, header=pinned).status == 200
    mock.put(BUCKET, "key", content[::-1])
    with pytest.raises(Exception, match="PreconditionFailed"):
        client.downloadFile(BUCKET, "key", target, partSize=PART, header=pinned)


def test_checksums_of_parts_and_of_the_whole_are_verified_both_ways(client, mock, source, content, tmp_path):
    answer = client.uploadFile(BUCKET, "key", source, partSize=PART, taskNum=3, isAttachCrc64=True)
    assert answer.status == 200 and answer.body.crc64
    target = str(tmp_path / "target.bin")
    assert client.downloadFile(BUCKET, "key", target, partSize=PART, isAttachCrc64=True).status == 200
    assert client.getObjectMetadata(BUCKET, "key").body.crc64 == answer.body.crc64


def test_a_prefix_is_downloaded_as_a_tree(client, mock, tmp_path):
    keys = [f"p/{number % 3}/{number}" for number in range(30)]
    for key in keys:
        mock.put(BUCKET, key, key.encode())
    state = client.downloadFiles(BUCKET, "p/", downloadFolder=str(tmp_path), taskNum=4)
    assert (state.successful_tasks, state.failed_tasks) == (30, 0)
    for key in keys:
        assert (tmp_path / key[2:]).read_bytes() == key.encode()


@pytest.mark.parametrize("kind", ["long_conn_mode", "use_http_conns"])
def test_connections_that_are_kept_work_too(mock, kind):
    client = make_client(mock, **{kind: True})
    for number in range(20):
        assert client.putContent(BUCKET, f"ü {number}", "content").status == 200
        answer = client.getObject(BUCKET, f"ü {number}", loadStreamInMemory=True)
        assert answer.body.buffer == b"content"
    assert client.getObject(BUCKET, "absent", loadStreamInMemory=True).errorCode == "NoSuchKey"
    client.close()
