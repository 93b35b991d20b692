"""Every fault of the mocked OBS over real sockets: what the client gets, and what is stored."""
from __future__ import annotations

import hashlib
import http.client
import os
import re
import socket
import threading
import time
from email.utils import parsedate_to_datetime

import pytest

from obs_sync.mock import Call, Credentials, Cut, Faults, Flip, Rule, Stall, mock_obs
from tests.obs_sync.mock.support import BUCKET, base64_md5_of, make_client, request, signed_headers

DATA = bytes(range(256)) * 1200  # 300 KB: more than goes out in one piece
SMALL = b"0123456789"
RESET = (ConnectionResetError, BrokenPipeError)


@pytest.fixture(params=["memory", "disk", "link"])
def mock(request, tmp_path):
    """In memory, in a directory, and behind a slow link: the replies leave by different ways."""
    with mock_obs(root=str(tmp_path / "root") if request.param == "disk" else None, buckets=[BUCKET],
                  link_bytes_per_second=1e8 if request.param == "link" else None) as mock:
        yield mock


@pytest.fixture
def memory():
    with mock_obs(buckets=[BUCKET]) as mock:
        yield mock


def md5(data):
    return hashlib.md5(data).hexdigest()


# --- bodies and connections

@pytest.mark.parametrize("content, after, received", [(SMALL, 0.5, 5), (SMALL, 0, 0), (SMALL, 1.0, 9), (SMALL, 99, 9),
                                                      (DATA, 0.5, 153600), (DATA, 100000, 100000)])
def test_a_body_is_cut_short_and_the_connection_closed(mock, content, after, received):
    mock.put(BUCKET, "key", content)
    mock.faults = Faults([Rule(Cut(after), first=1)])
    with pytest.raises(http.client.IncompleteRead) as caught:
        request(mock, "GET", "/key")
    assert caught.value.partial == content[:received]
    assert caught.value.expected == len(content) - received  # so Content-Length said the whole
    assert request(mock, "GET", "/key").body == content
    assert [record.faults for record in mock.requests] == [("cut",), ()]


def test_a_body_is_cut_short_by_a_reset(mock):
    mock.put(BUCKET, "key", DATA)
    mock.faults = Faults(["cut=0.5 ending=reset"])
    with pytest.raises(ConnectionResetError):
        request(mock, "GET", "/key")


def test_a_range_is_cut_within_the_range(mock):
    mock.put(BUCKET, "key", DATA)
    mock.faults = Faults(["cut=10"])
    with pytest.raises(http.client.IncompleteRead) as caught:
        request(mock, "GET", "/key", headers={"Range": "bytes=1000-1099"})
    assert (caught.value.partial, caught.value.expected) == (DATA[1000:1010], 90)


@pytest.mark.parametrize("body", [b"content", DATA])
def test_a_reset_before_a_request_leaves_it_undone(mock, body):
    mock.faults = Faults(["PutObject nth=1 reset=before"])
    with pytest.raises(RESET):
        request(mock, "PUT", "/key", body)
    assert mock.keys(BUCKET) == []
    assert (mock.requests[0].status, mock.requests[0].faults) == (0, ("reset=before",))
    assert request(mock, "PUT", "/key", body).status == 200


@pytest.mark.parametrize("body", [b"content", DATA])
def test_a_reset_after_a_request_loses_the_reply_alone(mock, body):
    mock.faults = Faults(["PutObject nth=1 reset=after"])
    with pytest.raises(RESET):
        request(mock, "PUT", "/key", body)
    assert mock.get(BUCKET, "key") == body
    assert (mock.requests[0].status, mock.requests[0].faults) == (200, ("reset=after",))


def test_a_reset_is_a_reset_and_no_end_of_file(memory):
    memory.faults = Faults(["reset=before"])
    with socket.create_connection(("127.0.0.1", memory.port), timeout=10) as connection:
        connection.sendall(b"GET /bucket/key HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_a_reset_before_a_request_does_not_wait_for_its_body(memory):
    memory.faults = Faults(["reset=before"])
    with socket.create_connection(("127.0.0.1", memory.port), timeout=10) as connection:
        connection.sendall(b"PUT /bucket/key HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


@pytest.mark.parametrize("at", [None, 0, 0.5, 1.0])
def test_a_reply_stalls(mock, at):
    mock.put(BUCKET, "key", SMALL)
    mock.faults = Faults([Rule(Stall(0.3, at), operation="GetObject")])
    started = time.monotonic()
    reply = request(mock, "GET", "/key")
    if at != 1.0:  # then all of it has come, and only the next reply would be late
        assert time.monotonic() - started >= 0.3
    assert (reply.body, mock.injected) == (SMALL, {"stall": 1})


def test_the_bytes_before_a_stall_come_at_once(mock):
    mock.put(BUCKET, "key", DATA)
    mock.faults = Faults(["GetObject stall=600 at=1000"])
    connection = http.client.HTTPConnection("127.0.0.1", mock.port, timeout=0.5)
    connection.request("GET", "/key", headers=signed_headers(mock, "GET", "/key"))
    answer = connection.getresponse()
    assert answer.status == 200 and answer.read(1000) == DATA[:1000]
    with pytest.raises(socket.timeout):
        answer.read(1)
    connection.close()


def test_a_stalled_request_was_handled_and_a_late_one_not_yet(memory):
    for rule, keys in (("PutObject stall=600", ["stalled"]), ("PutObject latency=600", ["stalled"])):
        memory.faults = Faults([rule])
        key = "/stalled" if "stall" in rule else "/late"
        thread = threading.Thread(target=swallowing(request), args=(memory, "PUT", key, b"content"), daemon=True)
        thread.start()
        wait_until(lambda: memory.injected or memory.keys(BUCKET))
        time.sleep(0.1)
        assert memory.keys(BUCKET) == keys


def test_the_end_of_the_mock_does_not_wait_for_stalls():
    with mock_obs(buckets=[BUCKET]) as mock:
        mock.faults = Faults(["GetObject stall=600", "PutObject latency=600"])
        for method in ("GET", "PUT"):
            threading.Thread(target=swallowing(request), args=(mock, method, "/key"), daemon=True).start()
        wait_until(lambda: mock.counts["GetObject"] == 1)
        started = time.monotonic()
    assert time.monotonic() - started < 5


def swallowing(function):
    """The function, whose failures of the network are none of our business."""
    def quiet(*arguments):
        try:
            function(*arguments)
        except (OSError, http.client.HTTPException):
            pass

    return quiet


def wait_until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("content, at, position", [(SMALL, 0.5, 5), (SMALL, 0, 0), (SMALL, 1.0, 9), (DATA, 0.5, 153600),
                                                   (DATA, 262144, 262144)])
def test_a_bit_of_a_reply_is_flipped(mock, content, at, position):
    etag = mock.put(BUCKET, "key", content).etag
    mock.faults = Faults([Rule(Flip(at), first=1)])
    damaged = request(mock, "GET", "/key")
    assert damaged.headers["etag"] == f'"{etag}"' and len(damaged.body) == len(content)
    assert [place for place in range(len(content)) if damaged.body[place] != content[place]] == [position]
    assert damaged.body[position] == content[position] ^ 1
    assert request(mock, "GET", "/key").body == content


@pytest.mark.parametrize("content, at, position", [(SMALL, 0.5, 5), (DATA, 0.5, 153600), (DATA, 299999, 299999)])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_bit_of_an_upload_is_flipped_before_any_digest(mock, content, at, position, chunked):
    position = 0 if chunked and isinstance(at, float) else position
    body = iter([content[:4], content[4:]]) if chunked else content
    mock.faults = Faults([Rule(Flip(at, of="upload"), operation="PutObject")])
    stored = request(mock, "PUT", "/key", body)
    damaged = mock.get(BUCKET, "key")
    assert [place for place in range(len(content)) if damaged[place] != content[place]] == [position]
    assert stored.headers["etag"] == f'"{md5(damaged)}"'
    refused = request(mock, "PUT", "/checked", content, {"Content-MD5": base64_md5_of(content)})
    assert (refused.status, refused.code, mock.keys(BUCKET)) == (400, "BadDigest", ["key"])
    assert mock.injected == {"flip=upload": 2}


def test_several_mishaps_of_one_reply_come_in_their_order(mock):
    mock.put(BUCKET, "key", SMALL)
    mock.faults = Faults(["cut=8", "flip=2", "flip=0", "stall=0.1 at=5"])
    with pytest.raises(http.client.IncompleteRead) as caught:
        request(mock, "GET", "/key")
    assert caught.value.partial == b"11334567"


# --- answers

def test_a_status_is_answered_and_the_request_not_handled(memory):
    memory.faults = Faults(["PutObject nth=1 status=503 retry-after=2", "PutObject nth=2 status=429",
                            "PutObject nth=3 status=500 code=Strange"])
    replies = [request(memory, "PUT", "/key", DATA) for _ in range(3)]
    assert [(reply.status, reply.code) for reply in replies] == [
        (503, "SlowDown"), (429, "TooManyRequests"), (500, "Strange")]
    assert replies[0].headers["retry-after"] == "2" and "retry-after" not in replies[1].headers
    assert b"<RequestId>" + replies[0].headers["x-obs-request-id"].encode() in replies[0].body
    assert memory.keys(BUCKET) == [] and memory.requests[1].code == "TooManyRequests"
    client = make_client(memory)
    memory.faults = Faults(["status=403"])
    assert (client.putContent(BUCKET, "key", "content").errorCode, client.headBucket(BUCKET).status) == (
        "AccessDenied", 403)


@pytest.mark.parametrize("applied", [False, True])
def test_a_completion_is_answered_200_with_an_error(memory, applied):
    from obs import CompleteMultipartUploadRequest, CompletePart
    client = make_client(memory)
    upload_id = client.initiateMultipartUpload(BUCKET, "key").body.uploadId
    etag = client.uploadPart(BUCKET, "key", 1, upload_id, "content").body.etag
    memory.faults = Faults(["CompleteMultipartUpload error-body=InternalError"
                            + (" applied=yes" if applied else "")])
    answer = client.completeMultipartUpload(BUCKET, "key", upload_id,
                                            CompleteMultipartUploadRequest([CompletePart(1, etag)]))
    assert answer.status == 200 and not answer.body.etag
    assert memory.keys(BUCKET) == (["key"] if applied else []) and memory.injected == {"error-body": 1}
    assert (memory.requests[-1].status, memory.requests[-1].code) == (200, "InternalError")


def test_an_error_under_200_takes_the_place_of_an_objects_content(mock):
    mock.put(BUCKET, "key", DATA)
    mock.faults = Faults(["error-body=Busy applied=yes"])
    assert request(mock, "GET", "/key").code == "Busy"
    assert request(mock, "GET", "/absent").status == 404


@pytest.mark.parametrize("kept, remaining", [(0.5, ["k2", "k3"]), (1, ["k3"]), (0.1, ["k3"]),
                                             (9, ["k0", "k1", "k2", "k3"])])
def test_a_batch_deletion_keeps_some_keys_and_says_so(memory, kept, remaining):
    from obs import DeleteObjectsRequest, Object
    keys = [f"k{number}" for number in range(4)]
    for key in keys:
        memory.put(BUCKET, key, b"content")
    memory.faults = Faults([f"partial-delete={kept} code=Busy"])
    batch = DeleteObjectsRequest(quiet=False, objects=[Object(key) for key in keys])
    answer = make_client(memory).deleteObjects(BUCKET, batch)
    assert answer.status == 200 and memory.keys(BUCKET) == remaining
    assert [(error.key, error.code) for error in answer.body.error] == [(key, "Busy") for key in remaining]
    assert [item.key for item in answer.body.deleted] == [key for key in keys if key not in remaining]


def listed(mock):
    """Key to size, as a client lists it."""
    return {item.key: item.size for item in make_client(mock).listObjects(BUCKET).body.contents}


@pytest.mark.parametrize("rule", ["stale=0.4", "stale-changes=4"])
def test_a_listing_shows_the_bucket_as_it_was(mock, rule):
    mock.put(BUCKET, "overwritten", b"1")
    mock.put(BUCKET, "deleted", b"22")
    if rule == "stale=0.4":
        time.sleep(0.5)
    mock.put(BUCKET, "overwritten", b"333")
    mock.put(BUCKET, "new", b"4")
    mock.put(BUCKET, "new", b"55")
    mock.delete(BUCKET, "deleted")
    mock.faults = Faults([f"ListObjects first=1 {rule}"])
    assert listed(mock) == {"overwritten": 1, "deleted": 2}
    assert listed(mock) == {"overwritten": 3, "new": 2}
    assert request(mock, "GET", "/deleted").status == 404 and mock.injected == {"stale": 1}


def test_a_listing_older_than_the_bucket_is_empty(memory):
    memory.put(BUCKET, "key", b"content")
    memory.faults = Faults(["stale-changes=50"])
    assert listed(memory) == {}


def test_an_etag_is_wrong_or_missing_in_the_header_and_in_the_document(mock):
    etag = mock.put(BUCKET, "key", DATA).etag
    for how in ("wrong", "missing"):
        mock.faults = Faults([f"etag={how}"])
        reply = request(mock, "GET", "/key")
        found = re.findall(rb"<ETag>([^<]*)</ETag>", request(mock, "GET", "/").body)
        assert reply.body == DATA and mock.injected[f"etag={how}"] == 2
        if how == "missing":
            assert "etag" not in reply.headers and found == []
        else:
            assert re.fullmatch('"[0-9a-f]{32}"', reply.headers["etag"]) and reply.headers["etag"] != f'"{etag}"'
            assert found == [reply.headers["etag"].replace('"', "&quot;").encode()]
    assert mock.info(BUCKET, "key").etag == etag


def test_a_range_is_ignored(mock):
    mock.put(BUCKET, "key", DATA)
    mock.faults = Faults(["ignored-range first=1"])
    replies = [request(mock, "GET", "/key", headers={"Range": "bytes=2-4"}) for _ in range(2)]
    assert [(reply.status, reply.body, "content-range" in reply.headers) for reply in replies] == [
        (200, DATA, False), (206, DATA[2:5], True)]


# --- time, credentials, calls

def test_every_request_takes_the_latency(mock):
    mock.put(BUCKET, "key", DATA)
    mock.faults = Faults(["latency=0.1"])
    started = time.monotonic()
    assert [request(mock, "GET", "/key").body for _ in range(3)] == [DATA] * 3
    assert 0.3 <= time.monotonic() - started < 3 and mock.injected == {"latency": 3}
    assert all(record.seconds >= 0.1 for record in mock.requests)


@pytest.mark.parametrize("seconds, status", [(800, 404), (-800, 404), (1000, 403), (-1000, 403)])
def test_a_clock_that_is_off_refuses_beyond_15_minutes(memory, seconds, status):
    memory.faults = Faults([f"skew={seconds}"])
    reply = request(memory, "GET", "/key")
    assert (reply.status, reply.code) == (status, "NoSuchKey" if status == 404 else "RequestTimeTooSkewed")
    assert abs(parsedate_to_datetime(reply.headers["date"]).timestamp() - time.time() - seconds) < 5


def test_a_token_expires_and_a_rotated_one_works():
    old, new = Credentials("a", "b", "old"), Credentials("c", "d", "new")
    with mock_obs(buckets=[BUCKET], credentials=old) as mock:
        mock.faults = Faults(["expired-token since=3"])
        before = make_client(mock)
        answers = [before.putContent(BUCKET, f"key{number}", "content") for number in range(3)]  # after the negotiation
        assert [(answer.status, answer.errorCode) for answer in answers] == [
            (200, None), (403, "ExpiredToken"), (403, "ExpiredToken")]
        mock.credentials = new
        assert os.environ["OBS_SECURITY_TOKEN"] == "new" and mock.client_arguments()["security_token"] == "new"
        assert before.putContent(BUCKET, "key", "content").errorCode == "ExpiredToken"
        assert make_client(mock).putContent(BUCKET, "key", "content").status == 200
        assert (mock.injected, mock.keys(BUCKET)) == ({"expired-token": 3}, ["key", "key0"])


@pytest.mark.parametrize("dialect", ["obs", "v2", "v4"])
def test_credentials_are_rotated_while_it_runs(memory, dialect):
    before = make_client(memory, dialect)
    assert before.putContent(BUCKET, "key", "content").status == 200
    memory.credentials = Credentials("mock-access-key", "another secret")
    assert before.putContent(BUCKET, "key", "content").errorCode == "SignatureDoesNotMatch"
    assert make_client(memory, dialect).putContent(BUCKET, "key", "content").status == 200


def test_a_function_is_called_before_and_after_a_request_is_handled(memory):
    seen = []
    memory.faults = Faults([
        Rule(Call(lambda item: seen.append((item.operation, item.key, memory.keys(BUCKET)))), nth=2),
        Rule(Call(lambda item: seen.append(memory.keys(BUCKET)), "after"), nth=2)])
    for key in ("/a", "/b", "/c"):
        assert request(memory, "PUT", key, b"content").status == 200
    assert seen == [("PutObject", "b", ["a"]), ["a", "b"]] and memory.injected == {"call": 2}
