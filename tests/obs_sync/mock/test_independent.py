"""The same scenarios against the mocked OBS and against servers that others wrote: moto, and rclone's.

So that the mock does not merely agree with itself. Path style and v4 signatures, which they understand and rclone's
verifies; and only what moto does as OBS does: it ignores Content-MD5, wants parts of 5 MiB and has markers that mean
nothing to others. What rclone's does not do is named in `RCLONE_LACKS`, and it fails there once it does.
"""
from __future__ import annotations

import hashlib
import io
import re

import pytest
from obs import (
    CompleteMultipartUploadRequest, CompletePart, DeleteObjectsRequest, GetObjectHeader, Object, ObsClient,
)

from obs_sync.mock import mock_obs
from tests.obs_sync import judges

BUCKET = "bucket"
PART = 5 << 20


RCLONE_LACKS = {  # tests -> what it does instead
    r"test_writing_reading_and_deleting\[.*dir/": "lists the key dir/ as dir",
    "test_a_listing_quotes_etags": "lists ETags without quotes",
    "test_a_body_of_unknown_length": "wants to know the length before: 411",
    "test_ranges": "answers a Range with 200, the right bytes and the right Content-Range",
    "test_conditions": "ignores If-Match and If-None-Match",
    "test_listing_page_by_page": "tells NextMarker with a delimiter only, as S3 does",
    "test_a_bucket_without_uploads": "answers NoSuchUpload before the first one",
    "test_uploads_that_are_not": "drops an upload whose completion it refuses",
    "test_parts_that_are_too_small": "takes parts of any size",
}


def run_mock(_):
    with mock_obs() as mock:
        yield dict(mock.client_arguments(path_style=True))


def run_moto(_):
    with judges.moto_server() as url:
        yield dict(access_key_id="any", secret_access_key="any", server=url)


def run_rclone(directory):
    keys = judges.ACCESS_KEY, judges.SECRET_KEY
    with judges.rclone_server(directory, "--auth-key", ",".join(keys)) as url:
        yield dict(access_key_id=keys[0], secret_access_key=keys[1], server=url, make=judges.DatedClient)


@pytest.fixture(scope="module", params=[run_mock, run_moto, run_rclone], ids=["mock", "moto", "rclone"])
def server(request, tmp_path_factory):
    yield from request.param(tmp_path_factory.mktemp("server"))


def connect(server, **changes):
    arguments = dict(dict(signature="v4", region="us-east-1", path_style=True, max_retry_count=0, timeout=60,
                          make=ObsClient), **dict(server, **changes))
    return arguments.pop("make")(**arguments)


def unfinished_uploads(client):
    answer = client.listMultipartUploads(BUCKET)
    return [] if answer.errorCode == "NoSuchUpload" else answer.body.upload


@pytest.fixture
def client(server, request):
    if "rclone" in request.node.name:
        for tests, reason in RCLONE_LACKS.items():
            if re.match(tests, request.node.name):
                request.node.add_marker(pytest.mark.xfail(reason=f"rclone {reason}", raises=AssertionError))
    made = connect(server)
    assert made.createBucket(BUCKET).status == 200
    yield made
    for item in made.listObjects(BUCKET).body.contents:
        made.deleteObject(BUCKET, item.key)
    for item in unfinished_uploads(made):
        made.abortMultipartUpload(BUCKET, item.key, item.uploadId)
    assert made.deleteBucket(BUCKET).status == 204


def test_a_wrong_secret_is_refused(client, server):
    if server["access_key_id"] == "any":
        pytest.skip("moto lets anybody in")
    stranger = connect(server, secret_access_key="wrong-secret-key")
    answer = stranger.putContent(BUCKET, "key", "content")
    assert (answer.status, answer.errorCode) == (403, "SignatureDoesNotMatch")
    assert client.listObjects(BUCKET).body.contents == []


def buffer_of(answer):
    assert answer.status in (200, 206), (answer.status, answer.errorCode)
    return answer.body.buffer


def test_buckets(client):
    assert BUCKET in [item.name for item in client.listBuckets().body.buckets]
    assert client.headBucket(BUCKET).status == 200
    assert client.headBucket("absent").status == 404
    assert client.listObjects("absent").errorCode == "NoSuchBucket"
    client.putContent(BUCKET, "key", "content")
    answer = client.deleteBucket(BUCKET)
    assert (answer.status, answer.errorCode) == (409, "BucketNotEmpty")


@pytest.mark.parametrize("key", ["key", "a/b c", "ünï/cödé/文件", "plus+equals=1?", "tilde~'()*", "dir/"])
def test_writing_reading_and_deleting(client, key):
    etag = client.putContent(BUCKET, key, "content", metadata={"step": "1"}).body.etag
    assert etag == f'"{hashlib.md5(b"content").hexdigest()}"'
    answer = client.getObject(BUCKET, key, loadStreamInMemory=True)
    assert (buffer_of(answer), answer.body.etag, dict(answer.header)["step"]) == (b"content", etag, "1")
    found = client.getObjectMetadata(BUCKET, key).body
    assert (found.contentLength, found.etag) == (7, etag)
    listed = client.listObjects(BUCKET).body.contents
    assert [(item.key, item.size, item.etag.strip('"')) for item in listed] == [(key, 7, etag.strip('"'))]
    assert client.deleteObject(BUCKET, key).status == 204
    assert client.deleteObject(BUCKET, key).status == 204
    answer = client.getObject(BUCKET, key, loadStreamInMemory=True)
    assert (answer.status, answer.errorCode) == (404, "NoSuchKey")
    assert client.getObjectMetadata(BUCKET, key).status == 404


def test_a_listing_quotes_etags(client):
    etag = client.putContent(BUCKET, "key", "content").body.etag
    assert etag.startswith('"') and [item.etag for item in client.listObjects(BUCKET).body.contents] == [etag]


def test_a_file_and_nothing_as_bodies(client, tmp_path):
    content = bytes(range(256)) * 1000
    (tmp_path / "file").write_bytes(content)
    assert client.putFile(BUCKET, "file", str(tmp_path / "file")).status == 200
    assert buffer_of(client.getObject(BUCKET, "file", loadStreamInMemory=True)) == content
    assert client.putContent(BUCKET, "empty", "").status == 200
    assert client.getObject(BUCKET, "empty", loadStreamInMemory=True).body.size == 0


def test_a_body_of_unknown_length(client):
    content = bytes(range(256)) * 1000
    assert client.putContent(BUCKET, "chunked", io.BytesIO(content)).status == 200
    assert buffer_of(client.getObject(BUCKET, "chunked", loadStreamInMemory=True)) == content


def test_ranges(client):
    client.putContent(BUCKET, "key", "0123456789")
    for asked, answered in [("0-0", b"0"), ("2-4", b"234"), ("7-", b"789"), ("5-99", b"56789"), ("bytes=-3", b"789")]:
        answer = client.getObject(BUCKET, "key", headers=GetObjectHeader(range=asked), loadStreamInMemory=True)
        first = b"0123456789".index(answered)
        assert (answer.status, answer.body.buffer) == (206, answered)
        assert dict(answer.header)["content-range"] == f"bytes {first}-{first + len(answered) - 1}/10"
    answer = client.getObject(BUCKET, "key", headers=GetObjectHeader(range="10-"), loadStreamInMemory=True)
    assert (answer.status, answer.errorCode) == (416, "InvalidRange")


def test_conditions(client):
    etag = client.putContent(BUCKET, "key", "content").body.etag.strip('"')

    def status(**condition):
        return client.getObject(BUCKET, "key", headers=GetObjectHeader(**condition), loadStreamInMemory=True).status

    assert (status(if_match=etag), status(if_match="0" * 32)) == (200, 412)
    assert (status(if_none_match=etag), status(if_none_match="0" * 32)) == (304, 200)


def test_listing_page_by_page(client):
    expected = sorted(f"{folder}/{number}" for folder in "abc" for number in range(7)) + ["top"]
    for key in expected:
        client.putContent(BUCKET, key, key)
    seen, marker = [], None
    while True:
        body = client.listObjects(BUCKET, marker=marker, max_keys=5).body
        seen += [item.key for item in body.contents]
        if not body.is_truncated:
            break
        assert len(body.contents) == 5 and body.next_marker
        marker = body.next_marker
    assert seen == expected


def test_listing_level_by_level_and_from_a_marker(client):
    for key in sorted(f"{folder}/{number}" for folder in "abc" for number in range(7)) + ["top"]:
        client.putContent(BUCKET, key, key)
    body = client.listObjects(BUCKET, delimiter="/").body
    assert [item.key for item in body.contents] == ["top"]
    assert [item.prefix for item in body.commonPrefixs] == ["a/", "b/", "c/"]
    body = client.listObjects(BUCKET, prefix="b/", marker="b/3", encoding_type="url").body
    assert [item.key for item in body.contents] == ["b/4", "b/5", "b/6"]


def test_copying_and_deleting_in_batches(client):
    client.putContent(BUCKET, "source ü", "content", metadata={"step": "1"})
    assert client.copyObject(BUCKET, "source ü", BUCKET, "target").status == 200
    answer = client.getObject(BUCKET, "target", loadStreamInMemory=True)
    assert (answer.body.buffer, dict(answer.header)["step"]) == (b"content", "1")
    answer = client.deleteObjects(BUCKET, DeleteObjectsRequest(False, [Object("source ü"), Object("target")]))
    assert sorted(item.key for item in answer.body.deleted) == ["source ü", "target"]
    assert client.listObjects(BUCKET).body.contents == []


def test_multipart_uploads(client):
    contents = [b"1" * PART, b"2" * 10]
    upload_id = client.initiateMultipartUpload(BUCKET, "key", metadata={"step": "1"}).body.uploadId
    assert [item.uploadId for item in client.listMultipartUploads(BUCKET).body.upload] == [upload_id]
    parts = [CompletePart(number, client.uploadPart(BUCKET, "key", number, upload_id, content).body.etag)
             for number, content in enumerate(contents, 1)]
    listed = client.listParts(BUCKET, "key", upload_id).body.parts
    assert [(part.partNumber, part.size, part.etag) for part in listed] == \
        [(part.partNum, len(content), part.etag) for part, content in zip(parts, contents)]
    answer = client.completeMultipartUpload(BUCKET, "key", upload_id, CompleteMultipartUploadRequest(parts))
    expected = hashlib.md5(b"".join(hashlib.md5(content).digest() for content in contents)).hexdigest()
    assert (answer.status, answer.body.etag) == (200, f'"{expected}-2"')
    answer = client.getObject(BUCKET, "key", loadStreamInMemory=True)
    assert (answer.body.buffer, dict(answer.header)["step"]) == (b"".join(contents), "1")


def test_a_bucket_without_uploads(client):
    assert client.createBucket("untouched").status == 200
    try:
        assert client.listMultipartUploads("untouched").status == 200
    finally:
        client.deleteBucket("untouched")


def test_parts_that_are_too_small(client):
    upload_id = client.initiateMultipartUpload(BUCKET, "key").body.uploadId
    parts = [CompletePart(number, client.uploadPart(BUCKET, "key", number, upload_id, b"too small").body.etag)
             for number in (1, 2)]
    answer = client.completeMultipartUpload(BUCKET, "key", upload_id, CompleteMultipartUploadRequest(parts))
    assert (answer.status, answer.errorCode) == (400, "EntityTooSmall")


def test_uploads_that_are_not_completed(client):
    upload_id = client.initiateMultipartUpload(BUCKET, "key").body.uploadId
    client.uploadPart(BUCKET, "key", 1, upload_id, b"content")
    wrong = CompleteMultipartUploadRequest([CompletePart(1, "0" * 32)])
    answer = client.completeMultipartUpload(BUCKET, "key", upload_id, wrong)
    assert (answer.status, answer.errorCode) == (400, "InvalidPart")
    assert client.abortMultipartUpload(BUCKET, "key", upload_id).status == 204
    assert client.abortMultipartUpload(BUCKET, "key", upload_id).status == 404
    assert client.listMultipartUploads(BUCKET).body.upload == []
    assert client.getObjectMetadata(BUCKET, "key").status == 404


def test_transfers_of_whole_files(client, tmp_path):
    content = bytes(range(256)) * (PART // 128) + b"the end"
    (tmp_path / "source").write_bytes(content)
    answer = client.uploadFile(BUCKET, "key", str(tmp_path / "source"), partSize=PART, taskNum=2, enableCheckpoint=True)
    assert answer.status == 200 and answer.body.etag.endswith('-3"')
    answer = client.downloadFile(BUCKET, "key", str(tmp_path / "target"), partSize=PART, taskNum=2,
                                 enableCheckpoint=True)
    assert answer.status == 200
    assert (tmp_path / "target").read_bytes() == content
