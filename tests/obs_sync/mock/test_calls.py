"""Every call that the project makes, through the unmodified client, in each of the three dialects."""
from __future__ import annotations

import hashlib
import io

import pytest
from obs import (
    CompleteMultipartUploadRequest, CompletePart, CopyObjectHeader, DeleteObjectsRequest, GetObjectHeader,
    GetObjectRequest, ListMultipartUploadsRequest, Object, PutObjectHeader,
)

from tests.obs_sync.mock.support import BUCKET, DIALECTS, base64_md5_of, make_client

PART = 100 * 1024  # bytes; the smallest that OBS takes


def md5_of(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def read(client, key, **arguments) -> bytes:
    answer = client.getObject(BUCKET, key, loadStreamInMemory=True, **arguments)
    assert answer.status < 300, (answer.status, answer.errorCode)
    return answer.body.buffer or b""


def upload_in_parts(client, key, *contents):
    upload_id = client.initiateMultipartUpload(BUCKET, key).body.uploadId
    parts = [CompletePart(number, client.uploadPart(BUCKET, key, number, upload_id, content).body.etag)
             for number, content in enumerate(contents, 1)]
    return upload_id, parts


# --- buckets

def test_a_bucket_is_created_found_listed_and_deleted(client, mock):
    assert client.headBucket("new-bucket").status == 404
    assert client.createBucket("new-bucket").status == 200
    assert client.headBucket("new-bucket").status == 200
    assert [item.name for item in client.listBuckets().body.buckets] == [BUCKET, "new-bucket"]
    assert client.deleteBucket("new-bucket").status == 204
    assert mock.buckets() == [BUCKET]


def test_creating_a_bucket_again_changes_nothing(client, mock):
    mock.put(BUCKET, "kept", b"content")
    assert client.createBucket(BUCKET).status == 200
    assert mock.keys(BUCKET) == ["kept"]


def test_a_bucket_with_content_is_not_deleted(client, mock):
    mock.put(BUCKET, "key", b"content")
    answer = client.deleteBucket(BUCKET)
    assert (answer.status, answer.errorCode) == (409, "BucketNotEmpty")


def test_a_bucket_with_an_unfinished_upload_is_not_deleted(client):
    client.initiateMultipartUpload(BUCKET, "key")
    assert client.deleteBucket(BUCKET).errorCode == "BucketNotEmpty"


def test_the_metadata_of_a_bucket_say_where_it_is(client):
    body = client.getBucketMetadata(BUCKET).body
    assert (body.storageClass, body.location) == ("STANDARD", "mock-region-1")


@pytest.mark.parametrize("dialect", ["v2", "v4"])
def test_an_impossible_bucket_name_is_refused(mock, dialect):
    answer = make_client(mock, dialect).createBucket("Not_A_Bucket")
    assert (answer.status, answer.errorCode) == (400, "InvalidBucketName")


@pytest.mark.parametrize("dialect", ["v2", "v4"])
def test_a_missing_bucket_is_told_from_a_missing_key(mock, dialect):
    client = make_client(mock, dialect)
    assert client.getObject("absent", "key", loadStreamInMemory=True).errorCode == "NoSuchBucket"
    assert client.getObject(BUCKET, "key", loadStreamInMemory=True).errorCode == "NoSuchKey"


def test_in_production_a_missing_bucket_fails_the_version_negotiation(mock):
    answer = make_client(mock).getObject("absent", "key", loadStreamInMemory=True)
    assert (answer.status, answer.errorCode) == (404, None)
    assert [record.operation for record in mock.requests] == ["GetApiVersion"]


# --- single objects

def test_content_type_etag_and_metadata_come_back(client, mock):
    answer = client.putContent(BUCKET, "a/b.txt", "content", metadata={"step": "100", "note": "blank & ünïcode"})
    assert (answer.status, answer.body.etag) == (200, f'"{md5_of(b"content")}"')
    found = client.getObjectMetadata(BUCKET, "a/b.txt")
    assert (found.body.contentLength, found.body.contentType) == (7, "text/plain")
    assert found.body.etag == answer.body.etag
    assert {("step", "100"), ("note", "blank & ünïcode")} <= set(found.header)
    assert mock.get(BUCKET, "a/b.txt") == b"content"


def test_metadata_are_the_same_in_every_dialect(client, mock):
    client.putContent(BUCKET, "key", "content", metadata={"step": "100"})
    for dialect in DIALECTS:
        assert ("step", "100") in make_client(mock, dialect).getObjectMetadata(BUCKET, "key").header


def test_a_file_a_stream_and_a_stream_of_unknown_length_are_stored(client, mock, tmp_path):
    content = bytes(range(256)) * 1000
    path = tmp_path / "file.bin"
    path.write_bytes(content)
    assert client.putFile(BUCKET, "file", str(path)).status == 200
    assert client.putContent(BUCKET, "stream", io.BytesIO(content),
                             headers=PutObjectHeader(contentLength=len(content))).status == 200
    assert client.putContent(BUCKET, "chunked", io.BytesIO(content)).status == 200
    assert [mock.get(BUCKET, key) for key in ("file", "stream", "chunked")] == [content] * 3


def test_an_object_is_read_into_memory_into_a_file_and_as_a_stream(client, mock, tmp_path):
    content = bytes(range(256)) * 1000
    mock.put(BUCKET, "key", content)
    assert read(client, "key") == content
    assert client.getObject(BUCKET, "key", downloadPath=str(tmp_path / "file")).status == 200
    assert (tmp_path / "file").read_bytes() == content
    stream = client.getObject(BUCKET, "key").body.response
    assert b"".join(iter(lambda: stream.read(65536), b"")) == content
    stream.close()


def test_an_empty_object_is_an_object(client, mock):
    assert client.putContent(BUCKET, "empty", "").status == 200
    assert client.getObjectMetadata(BUCKET, "empty").body.contentLength == 0
    assert read(client, "empty") == b""
    assert mock.info(BUCKET, "empty").etag == md5_of(b"")


@pytest.mark.parametrize("key", ["with blank", "ünï/cödé/文件", "plus+and&equals=1?", "a%2Fb", "tilde~'()*", "dir/",
                                 "//double//", "../up", "quote\"<&>"])
def test_any_key_comes_back_as_it_was(client, mock, key):
    assert client.putContent(BUCKET, key, "content").status == 200
    assert mock.keys(BUCKET) == [key]
    assert [item.key for item in client.listObjects(BUCKET).body.contents] == [key]
    assert read(client, key) == b"content"
    assert client.deleteObject(BUCKET, key).status == 204
    assert mock.keys(BUCKET) == []


def test_headers_of_a_reply_can_be_chosen_by_the_reader(client, mock):
    mock.put(BUCKET, "key", b"content")
    wanted = GetObjectRequest(content_type="text/css", cache_control="no-cache\r\nx-evil: 1")
    answer = client.getObject(BUCKET, "key", getObjectRequest=wanted, loadStreamInMemory=True)
    assert (answer.body.contentType, answer.body.cacheControl) == ("text/css", "no-cache x-evil: 1")


def test_deleting_what_is_not_there_succeeds(client):
    assert client.deleteObject(BUCKET, "absent").status == 204


def test_what_is_not_there_is_not_found(client):
    answer = client.getObject(BUCKET, "absent", loadStreamInMemory=True)
    assert (answer.status, answer.errorCode, answer.resource) == (404, "NoSuchKey", f"/{BUCKET}/absent")
    assert len(answer.requestId) == 32 and answer.hostId
    answer = client.getObjectMetadata(BUCKET, "absent")
    assert (answer.status, answer.errorCode) == (404, None)
    assert len(answer.requestId) == 32


# --- digests

def test_a_wrong_content_md5_is_refused_and_nothing_is_stored(client, mock):
    header = PutObjectHeader(md5=base64_md5_of(b"something else"))
    answer = client.putContent(BUCKET, "key", "content", headers=header)
    assert (answer.status, answer.errorCode) == (400, "BadDigest")
    assert mock.keys(BUCKET) == []
    header = PutObjectHeader(md5=base64_md5_of(b"content"))
    assert client.putContent(BUCKET, "key", "content", headers=header).status == 200


def test_a_content_md5_that_is_none_is_refused(client):
    answer = client.putContent(BUCKET, "key", "content", headers=PutObjectHeader(md5="nonsense"))
    assert (answer.status, answer.errorCode) == (400, "InvalidDigest")


@pytest.mark.parametrize("dialect", ["obs", "v2"])  # with v4 the client overwrites the header
def test_a_wrong_sha256_is_refused(mock, dialect):
    client = make_client(mock, dialect)
    header = PutObjectHeader(sha256=hashlib.sha256(b"something else").hexdigest())
    assert client.putContent(BUCKET, "key", "content", headers=header).errorCode == "BadDigest"
    header = PutObjectHeader(sha256=hashlib.sha256(b"content").hexdigest())
    assert client.putContent(BUCKET, "key", "content", headers=header).status == 200


def test_a_wrong_crc64_is_refused_and_the_right_one_comes_back(client, mock):
    answer = client.putContent(BUCKET, "key", "content", headers=PutObjectHeader(crc64="1"))
    assert (answer.status, answer.errorCode) == (400, "BadDigest")
    answer = client.putContent(BUCKET, "key", "content", headers=PutObjectHeader(isAttachCrc64=True))
    assert answer.status == 200 and answer.body.crc64
    assert client.getObjectMetadata(BUCKET, "key").body.crc64 == answer.body.crc64
    assert read(client, "key", isAttachCrc64=True) == b"content"  # the client compares


# --- ranges and conditions

@pytest.mark.parametrize("asked, answered", [("0-0", b"0"), ("2-4", b"234"), ("7-", b"789"), ("5-99", b"56789"),
                                             ("bytes=-3", b"789"), ("bytes=-99", b"0123456789")])
def test_a_range_is_answered_with_206(client, mock, asked, answered):
    mock.put(BUCKET, "key", b"0123456789")
    answer = client.getObject(BUCKET, "key", headers=GetObjectHeader(range=asked), loadStreamInMemory=True)
    assert (answer.status, answer.body.buffer) == (206, answered)
    first = b"0123456789".index(answered)
    assert dict(answer.header)["content-range"] == f"bytes {first}-{first + len(answered) - 1}/10"


def test_a_range_behind_the_end_is_answered_with_416(client, mock):
    mock.put(BUCKET, "key", b"0123456789")
    answer = client.getObject(BUCKET, "key", headers=GetObjectHeader(range="10-20"), loadStreamInMemory=True)
    assert (answer.status, answer.errorCode) == (416, "InvalidRange")


def test_a_pinned_read_succeeds_only_while_the_object_is_the_same(client, mock):
    etag = mock.put(BUCKET, "key", b"content").etag
    assert read(client, "key", headers=GetObjectHeader(if_match=etag)) == b"content"
    mock.put(BUCKET, "key", b"another")
    answer = client.getObject(BUCKET, "key", headers=GetObjectHeader(if_match=etag), loadStreamInMemory=True)
    assert (answer.status, answer.errorCode) == (412, "PreconditionFailed")


def test_what_the_reader_has_already_is_answered_with_304(client, mock):
    etag = mock.put(BUCKET, "key", b"content").etag
    answer = client.getObject(BUCKET, "key", headers=GetObjectHeader(if_none_match=etag), loadStreamInMemory=True)
    assert answer.status == 304
    assert read(client, "key", headers=GetObjectHeader(if_none_match="0" * 32)) == b"content"


def test_an_etag_with_its_quotes_matches_nothing_because_the_client_encodes_them(client, mock):
    etag = f'"{mock.put(BUCKET, "key", b"content").etag}"'
    answer = client.getObject(BUCKET, "key", headers=GetObjectHeader(if_match=etag), loadStreamInMemory=True)
    assert answer.status == 412


PAST, FUTURE = "Sat, 01 Jan 2000 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"


@pytest.mark.parametrize("condition, status", [
    (dict(if_modified_since=PAST), 200), (dict(if_modified_since=FUTURE), 304),
    (dict(if_unmodified_since=PAST), 412), (dict(if_unmodified_since=FUTURE), 200)])
def test_conditions_on_the_time_of_modification(client, mock, condition, status):
    mock.put(BUCKET, "key", b"content")
    answer = client.getObject(BUCKET, "key", headers=GetObjectHeader(**condition), loadStreamInMemory=True)
    assert answer.status == status


# --- copies and deletions

def test_a_copy_has_the_content_and_the_metadata_of_its_source(client, mock):
    client.putContent(BUCKET, "source ü", "content", metadata={"step": "100"})
    answer = client.copyObject(BUCKET, "source ü", BUCKET, "target")
    assert (answer.status, answer.body.etag) == (200, f'"{md5_of(b"content")}"')
    assert mock.get(BUCKET, "target") == b"content"
    assert mock.info(BUCKET, "target").properties.metadata == {"step": "100"}


def test_a_copy_can_replace_the_metadata(client, mock):
    client.putContent(BUCKET, "source", "content", metadata={"step": "100"})
    header = CopyObjectHeader(directive="REPLACE", contentType="text/css")
    assert client.copyObject(BUCKET, "source", BUCKET, "target", {"step": "200"}, header).status == 200
    properties = mock.info(BUCKET, "target").properties
    assert (properties.metadata, properties.content_type) == ({"step": "200"}, "text/css")


def test_a_copy_can_be_bound_to_a_version_of_its_source(client, mock):
    etag = mock.put(BUCKET, "source", b"content").etag
    bound = CopyObjectHeader(if_match=etag)
    assert client.copyObject(BUCKET, "source", BUCKET, "target", headers=bound).status == 200
    mock.put(BUCKET, "source", b"another")
    answer = client.copyObject(BUCKET, "source", BUCKET, "target", headers=bound)
    assert (answer.status, answer.errorCode) == (412, "PreconditionFailed")
    assert client.copyObject(BUCKET, "absent", BUCKET, "target").errorCode == "NoSuchKey"


@pytest.mark.parametrize("encoding", [None, "url"])
def test_a_batch_deletion_says_what_it_deleted(client, mock, encoding):
    keys = ["a", "b c", "d+ü&", "absent"]
    for key in keys[:-1] + ["kept"]:
        mock.put(BUCKET, key, b"content")
    wanted = DeleteObjectsRequest(quiet=False, objects=[Object(key) for key in keys], encoding_type=encoding)
    answer = client.deleteObjects(BUCKET, wanted)
    assert (answer.status, [item.key for item in answer.body.deleted]) == (200, keys)
    assert mock.keys(BUCKET) == ["kept"]


def test_a_quiet_batch_deletion_says_nothing(client, mock):
    mock.put(BUCKET, "key", b"content")
    answer = client.deleteObjects(BUCKET, DeleteObjectsRequest(quiet=True, objects=[Object("key")]))
    assert (answer.body.deleted, answer.body.error, mock.keys(BUCKET)) == ([], [], [])


# --- multipart uploads

def test_parts_become_one_object(client, mock):
    first, second = b"1" * PART, b"2" * 10
    upload_id = client.initiateMultipartUpload(BUCKET, "key", metadata={"step": "1"},
                                               contentType="text/plain").body.uploadId
    assert mock.uploads(BUCKET) == [("key", upload_id)]
    parts = [CompletePart(2, client.uploadPart(BUCKET, "key", 2, upload_id, second, isAttachMd5=True).body.etag),
             CompletePart(1, client.uploadPart(BUCKET, "key", 1, upload_id, first).body.etag)]
    assert mock.keys(BUCKET) == []
    answer = client.completeMultipartUpload(BUCKET, "key", upload_id, CompleteMultipartUploadRequest(parts))
    expected = md5_of(hashlib.md5(first).digest() + hashlib.md5(second).digest()) + "-2"
    assert (answer.status, answer.body.etag, answer.body.key) == (200, f'"{expected}"', "key")
    assert mock.get(BUCKET, "key") == first + second
    stored = mock.info(BUCKET, "key")
    assert (stored.properties.metadata, stored.properties.content_type) == ({"step": "1"}, "text/plain")
    assert mock.uploads(BUCKET) == []


def test_a_part_can_be_sent_again_and_the_last_one_counts(client, mock):
    upload_id, _ = upload_in_parts(client, "key", b"wrong")
    etag = client.uploadPart(BUCKET, "key", 1, upload_id, b"right").body.etag
    answer = client.completeMultipartUpload(BUCKET, "key", upload_id,
                                            CompleteMultipartUploadRequest([CompletePart(1, etag)]))
    assert (answer.status, mock.get(BUCKET, "key")) == (200, b"right")


def test_a_part_can_be_copied_from_an_object(client, mock):
    mock.put(BUCKET, "source", b"0123456789" * PART)
    upload_id = client.initiateMultipartUpload(BUCKET, "key").body.uploadId
    copied = client.copyPart(BUCKET, "key", 1, upload_id, f"{BUCKET}/source", f"1-{PART}")
    assert copied.status == 200
    last = client.copyPart(BUCKET, "key", 2, upload_id, f"{BUCKET}/source", "bytes=0-4")
    parts = [CompletePart(1, copied.body.etag), CompletePart(2, last.body.etag)]
    answer = client.completeMultipartUpload(BUCKET, "key", upload_id, CompleteMultipartUploadRequest(parts))
    assert answer.status == 200
    assert mock.get(BUCKET, "key") == (b"0123456789" * PART)[1:PART + 1] + b"01234"


def test_a_part_with_a_wrong_md5_is_refused(client, mock):
    upload_id = client.initiateMultipartUpload(BUCKET, "key").body.uploadId
    answer = client.uploadPart(BUCKET, "key", 1, upload_id, b"content", md5=base64_md5_of(b"something else"))
    assert (answer.status, answer.errorCode) == (400, "BadDigest")
    assert client.listParts(BUCKET, "key", upload_id).body.parts == []


@pytest.mark.parametrize("number", [0, 10001])
def test_a_part_number_out_of_bounds_is_refused(client, number):
    upload_id = client.initiateMultipartUpload(BUCKET, "key").body.uploadId
    answer = client.uploadPart(BUCKET, "key", number, upload_id, b"content")
    assert (answer.status, answer.errorCode) == (400, "InvalidArgument")


def test_a_small_part_before_the_last_is_refused(client, mock):
    upload_id, parts = upload_in_parts(client, "key", b"1" * (PART - 1), b"2")
    answer = client.completeMultipartUpload(BUCKET, "key", upload_id, CompleteMultipartUploadRequest(parts))
    assert (answer.status, answer.errorCode) == (400, "EntityTooSmall")
    assert mock.uploads(BUCKET) == [("key", upload_id)]  # it can still be mended


def test_a_completion_with_a_wrong_or_missing_part_is_refused(client, mock):
    upload_id, parts = upload_in_parts(client, "key", b"1" * PART)
    for wrong in (CompletePart(1, "0" * 32), CompletePart(2, parts[0].etag)):
        answer = client.completeMultipartUpload(BUCKET, "key", upload_id, CompleteMultipartUploadRequest([wrong]))
        assert (answer.status, answer.errorCode) == (400, "InvalidPart")
    assert mock.keys(BUCKET) == []


def test_an_aborted_upload_is_gone(client, mock):
    upload_id, parts = upload_in_parts(client, "key", b"content")
    assert client.abortMultipartUpload(BUCKET, "key", upload_id).status == 204
    assert mock.uploads(BUCKET) == []
    for answer in (client.abortMultipartUpload(BUCKET, "key", upload_id),
                   client.uploadPart(BUCKET, "key", 2, upload_id, b"more"),
                   client.listParts(BUCKET, "key", upload_id),
                   client.completeMultipartUpload(BUCKET, "key", upload_id, CompleteMultipartUploadRequest(parts))):
        assert (answer.status, answer.errorCode) == (404, "NoSuchUpload")


def test_an_upload_belongs_to_its_key(client):
    upload_id, _ = upload_in_parts(client, "key", b"content")
    assert client.abortMultipartUpload(BUCKET, "other", upload_id).errorCode == "NoSuchUpload"


def test_parts_are_listed_page_by_page(client):
    upload_id, _ = upload_in_parts(client, "k ü", b"1", b"22", b"333")
    body = client.listParts(BUCKET, "k ü", upload_id, maxParts=2, encoding_type="url").body
    assert [(part.partNumber, part.size) for part in body.parts] == [(1, 1), (2, 2)]
    assert (body.isTruncated, body.nextPartNumberMarker, body.objectKey) == (True, 2, "k ü")
    body = client.listParts(BUCKET, "k ü", upload_id, maxParts=2, partNumberMarker=2).body
    assert [part.etag for part in body.parts] == [f'"{md5_of(b"333")}"']
    assert body.isTruncated is False


def test_uploads_are_listed_page_by_page(client):
    started = sorted((key, client.initiateMultipartUpload(BUCKET, key).body.uploadId)
                     for key in ("a/1", "a/1", "a/2", "b", "c/1"))
    seen, marker = [], ListMultipartUploadsRequest(max_uploads=2)
    while True:
        body = client.listMultipartUploads(BUCKET, marker).body
        assert len(body.upload) <= 2
        seen += [(item.key, item.uploadId) for item in body.upload]
        if not body.isTruncated:
            break
        marker = ListMultipartUploadsRequest(max_uploads=2, key_marker=body.nextKeyMarker,
                                             upload_id_marker=body.nextUploadIdMarker)
    assert seen == started
    body = client.listMultipartUploads(BUCKET, ListMultipartUploadsRequest(delimiter="/")).body
    assert ([item.key for item in body.upload], [item.prefix for item in body.commonPrefixs]) == (["b"], ["a/", "c/"])
    body = client.listMultipartUploads(BUCKET, ListMultipartUploadsRequest(prefix="a/"), encoding_type="url").body
    assert [item.key for item in body.upload] == ["a/1", "a/1", "a/2"]


def test_of_two_writers_the_one_that_began_last_wins(client, mock):
    """As documented for OBS: the time of initiation counts, so an old upload completes and changes nothing."""
    upload_id, parts = upload_in_parts(client, "key", b"begun first")
    client.putContent(BUCKET, "key", "begun last")
    answer = client.completeMultipartUpload(BUCKET, "key", upload_id, CompleteMultipartUploadRequest(parts))
    assert answer.status == 200
    assert mock.get(BUCKET, "key") == b"begun last"
    upload_id, parts = upload_in_parts(client, "key", b"begun later still")
    client.completeMultipartUpload(BUCKET, "key", upload_id, CompleteMultipartUploadRequest(parts))
    assert mock.get(BUCKET, "key") == b"begun later still"
