"""Signatures: what is let in and what is not, against signers that were written by others."""
from __future__ import annotations

import hashlib
import http.client
import time
from email.utils import formatdate

import botocore.session
import pytest
from botocore.auth import HmacV1Auth, S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials as BotoCredentials
from botocore.exceptions import ClientError

from obs_sync.mock import Credentials, mock_obs
from obs_sync.mock.protocol.signature import sign_hmac_sha1
from tests.obs_sync.mock.support import BUCKET, DIALECTS, make_client, request, signed_headers


@pytest.fixture
def mock():
    with mock_obs(buckets=[BUCKET]) as running:
        running.put(BUCKET, "key", b"content")
        yield running


# --- what the client is told

@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("change, code", [
    (dict(secret_access_key="wrong"), "SignatureDoesNotMatch"), (dict(access_key_id="unknown"), "InvalidAccessKeyId"),
    (dict(access_key_id="", secret_access_key=""), "AccessDenied")])
def test_nobody_else_is_let_in(mock, dialect, change, code):
    client = make_client(mock, dialect, **change)
    for answer in (client.getObject(BUCKET, "key", loadStreamInMemory=True), client.listObjects(BUCKET),
                   client.putContent(BUCKET, "other", "content")):
        assert (answer.status, answer.errorCode) == (403, code)
    assert client.getObjectMetadata(BUCKET, "key").status == 403
    assert mock.keys(BUCKET) == ["key"]


def test_a_refused_signature_comes_with_the_string_that_should_have_been_signed(mock):
    answer = make_client(mock, secret_access_key="wrong").getObject(BUCKET, "key", loadStreamInMemory=True)
    assert f"/{BUCKET}/key</StringToSign>" in answer.body
    assert mock.credentials.secret_key not in answer.body


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("token, code", [("the-token", None), ("another", "InvalidSecurityToken"),
                                         (None, "InvalidSecurityToken")])
def test_temporary_credentials_need_their_token(dialect, token, code):
    with mock_obs(buckets=[BUCKET], credentials=Credentials("key", "secret", "the-token")) as mock:
        assert make_client(mock, dialect).listObjects(BUCKET).status == 200
        answer = make_client(mock, dialect, security_token=token).listObjects(BUCKET)
        assert answer.errorCode == code


@pytest.mark.parametrize("minutes, status, code", [
    (-16, 403, "RequestTimeTooSkewed"), (16, 403, "RequestTimeTooSkewed"), (-14, 200, ""), (14, 200, "")])
def test_a_clock_may_be_wrong_by_a_quarter_of_an_hour(mock, minutes, status, code):
    reply = request(mock, "GET", "/key", date=formatdate(time.time() + 60 * minutes, usegmt=True))
    assert (reply.status, reply.code) == (status, code)


@pytest.mark.parametrize("date", ["yesterday", "20240131T000000"])
def test_a_date_that_is_none_is_refused(mock, date):
    assert request(mock, "GET", "/key", headers={"x-obs-date": date}).code == "AccessDenied"


def test_the_date_of_the_dialect_stands_in_for_the_plain_one(mock):
    headers = {"x-obs-date": formatdate(usegmt=True), "Host": f"{BUCKET}.{mock.host_name}:{mock.port}"}
    text = f"GET\n\n\n\nx-obs-date:{headers['x-obs-date']}\n/{BUCKET}/key"
    headers["Authorization"] = f"OBS {mock.credentials.access_key}:{sign_hmac_sha1(mock.credentials.secret_key, text)}"
    assert send(mock, "GET", "/key", headers).status == 200


@pytest.mark.parametrize("authorization, code", [
    ("Basic dXNlcjpwYXNz", "InvalidArgument"), ("OBS", "InvalidAccessKeyId"),
    ("OBS mock-access-key:", "SignatureDoesNotMatch"), ("AWS4-HMAC-SHA256 nonsense", "InvalidArgument"),
    ("AWS mock-access-key:ünsinn", "SignatureDoesNotMatch")])
def test_a_malformed_authorization_is_refused(mock, authorization, code):
    headers = signed_headers(mock, "GET", "/key")
    headers["Authorization"] = authorization
    answer = send(mock, "GET", "/key", headers)
    assert answer.status in (400, 403) and f"<Code>{code}</Code>".encode() in answer.read()


@pytest.mark.parametrize("tampered", [("PUT", "/key", {}), ("GET", "/other", {}), ("GET", "/key?uploads", {}),
                                      ("GET", "/key", {"x-obs-meta-a": "b"}), ("GET", "/key", {"Content-Type": "a/b"})])
def test_what_was_not_signed_is_not_done(mock, tampered):
    method, path, headers = tampered
    answer = send(mock, method, path, dict(signed_headers(mock, "GET", "/key"), **headers))
    assert b"<Code>SignatureDoesNotMatch</Code>" in answer.read()


def test_a_signature_in_the_url_is_refused_loudly(mock):
    signed = make_client(mock).createSignedUrl("GET", BUCKET, "key")
    answer = send(mock, "GET", signed.signedUrl.partition(str(mock.port))[2], signed.actualSignedRequestHeaders)
    assert answer.status == 501
    assert len(mock.unknown_requests) == 1


def test_secrets_do_not_show():
    credentials = Credentials("visible", "hidden", "hidden")
    with mock_obs(credentials=credentials) as mock:
        assert "visible" in repr(credentials)
        assert "hidden" not in repr(credentials) + repr(mock) + repr(mock.requests)


# --- the signers and the client of botocore

def send(mock, method, path, headers, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", mock.port, timeout=20)
    connection.request(method, path, body, dict(headers))
    return connection.getresponse()


REQUESTS = [
    ("GET", "/", b""), ("GET", "/bucket?prefix=a%2Fb%20c&max-keys=5&marker=%C3%BC%2B%26", b""),
    ("PUT", "/bucket/a%20b/%C3%BC~%2B", b"content"), ("HEAD", "/bucket/key", b""), ("DELETE", "/bucket/key", b""),
    ("POST", "/bucket/big?uploads", b""), ("GET", "/bucket?prefix=b&uploads=", b""),
    ("GET", "/bucket/key?response-content-type=a%2Fb&response-cache-control=no-cache", b""),
]


@pytest.mark.parametrize("signer", ["v2", "v4"])
@pytest.mark.parametrize("method, path, body", REQUESTS)
@pytest.mark.parametrize("secret, refused", [("mock-secret-key", False), ("wrong", True)])
def test_the_signers_of_botocore_are_understood(mock, signer, method, path, body, secret, refused):
    credentials = BotoCredentials("mock-access-key", secret)
    prepared = AWSRequest(method, mock.path_style_endpoint + path, data=body,
                          headers={"x-amz-meta-b": "2  3", "x-amz-meta-a": "1", "Content-Type": "text/plain"})
    if signer == "v4":
        S3SigV4Auth(credentials, "s3", "mock-region-1").add_auth(prepared)
    else:
        HmacV1Auth(credentials).add_auth(prepared)
    ready = prepared.prepare()
    answer = send(mock, method, ready.url[len(mock.path_style_endpoint):], ready.headers, body)
    if refused:
        assert answer.status == 403
    else:
        assert answer.status < 300, answer.read()


@pytest.fixture
def boto_client(mock):
    settings = dict(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
    newer = dict(request_checksum_calculation="when_required", response_checksum_validation="when_required")
    try:
        config = Config(**dict(settings, **newer))
    except TypeError:  # botocore before 1.36, which has no checksums of its own
        config = Config(**settings)
    return botocore.session.get_session().create_client(
        "s3", "mock-region-1", endpoint_url=mock.path_style_endpoint, aws_access_key_id="mock-access-key",
        aws_secret_access_key="mock-secret-key", config=config)


def test_the_client_of_botocore_works_too(mock, boto_client):
    content = b"1" * 300000
    etag = boto_client.put_object(Bucket=BUCKET, Key="a b/ü", Body=content, Metadata={"step": "1"})["ETag"]
    assert etag == f'"{hashlib.md5(content).hexdigest()}"'
    found = boto_client.get_object(Bucket=BUCKET, Key="a b/ü", Range="bytes=5-9", IfMatch=etag)
    assert (found["Body"].read(), found["Metadata"]) == (b"11111", {"step": "1"})
    listed = boto_client.list_objects(Bucket=BUCKET, Delimiter="/")
    assert ([item["Key"] for item in listed["Contents"]], listed["CommonPrefixes"]) == (["key"], [{"Prefix": "a b/"}])
    upload_id = boto_client.create_multipart_upload(Bucket=BUCKET, Key="big")["UploadId"]
    part = boto_client.upload_part(Bucket=BUCKET, Key="big", UploadId=upload_id, PartNumber=1, Body=content)
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    boto_client.complete_multipart_upload(Bucket=BUCKET, Key="big", UploadId=upload_id, MultipartUpload=parts)
    assert mock.get(BUCKET, "big") == content
    with pytest.raises(ClientError, match="NoSuchKey"):
        boto_client.get_object(Bucket=BUCKET, Key="absent")
    assert mock.unknown_requests == []
