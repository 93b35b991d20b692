"""The server as such: HTTP, concurrency, hooks, the journal, starting and stopping."""
from __future__ import annotations

import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from obs_sync.mock import FaultPlan, ObsError, Response, current_mock, mock_obs
from tests.obs_sync.mock.support import BUCKET, base64_md5_of, make_client, request, signed_headers


def exchange(mock, *messages, wait=True) -> bytes:
    """Sends messages one by one over one connection, ends its sending side, and gives all that came back."""
    with socket.create_connection(("127.0.0.1", mock.port), timeout=20) as connection:
        for message in messages:
            connection.sendall(message)
        if wait:
            connection.shutdown(socket.SHUT_WR)
        received = b""
        for piece in iter(lambda: connection.recv(65536), b""):
            received += piece
        return received


def message(mock, method, path, body=b"", headers=None, **extra) -> bytes:
    lines = [f"{method} {path} HTTP/1.1"]
    all_headers = dict(signed_headers(mock, method, path, headers), **extra)
    if "Transfer-Encoding" not in all_headers:
        all_headers["Content-Length"] = str(len(body))
    lines += [f"{name}: {value}" for name, value in all_headers.items()]
    return "\r\n".join(lines + ["", ""]).encode("latin-1") + body


# --- HTTP

def test_one_connection_carries_many_requests(mock):
    received = exchange(mock, message(mock, "PUT", "/a", b"content a"), message(mock, "PUT", "/b", b"content b"),
                        message(mock, "GET", "/a"), message(mock, "GET", "/b"))
    assert received.count(b"HTTP/1.1 200 OK") == 4
    assert received.index(b"content a") < received.index(b"content b")


def test_a_connection_is_closed_when_the_client_wants_it(mock):
    received = exchange(mock, message(mock, "PUT", "/a", b"content", Connection="close"), wait=False)
    assert b"Connection: close" in received


def test_a_request_after_a_refused_body_is_still_understood(mock):
    received = exchange(mock, message(mock, "PUT", "/a", b"x" * 300000, Authorization="OBS nobody:x"),
                        message(mock, "PUT", "/a", b"content"))
    assert received.count(b"403 Forbidden") == received.count(b"200 OK") == 1
    assert mock.get(BUCKET, "a") == b"content"


def test_a_chunked_body_with_extensions_and_trailers_is_read(mock):
    body = b"5;note=1\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\nTrailer: x\r\n\r\n"
    received = exchange(mock, message(mock, "PUT", "/a", body, **{"Transfer-Encoding": "chunked"}),
                        message(mock, "GET", "/a"))
    assert received.endswith(b"hello world")


@pytest.mark.parametrize("framing", [b"zz\r\nhello\r\n", b"5\r\nhel", b""])
def test_a_broken_chunked_body_stores_nothing(mock, framing):
    exchange(mock, message(mock, "PUT", "/a", framing, **{"Transfer-Encoding": "chunked"}))
    assert mock.keys(BUCKET) == []


def test_a_body_that_ends_early_stores_nothing(mock):
    exchange(mock, message(mock, "PUT", "/a", b"x" * 100)[:-1])
    assert (mock.keys(BUCKET), mock.requests[-1].code) == ([], "IncompleteBody")


def test_a_client_that_waits_is_invited_to_send_its_body(mock):
    head, body = message(mock, "PUT", "/a", b"content", Expect="100-continue"), b"content"
    with socket.create_connection(("127.0.0.1", mock.port), timeout=20) as connection:
        connection.sendall(head[:-len(body)])
        assert connection.recv(1024) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert connection.recv(1024).startswith(b"HTTP/1.1 200 OK")
    assert mock.get(BUCKET, "a") == b"content"


def test_a_client_that_waits_is_told_before_it_sends(mock):
    head = message(mock, "PUT", "/a", b"content", Expect="100-continue", Authorization="OBS nobody:x")[:-7]
    assert exchange(mock, head, wait=False).startswith(b"HTTP/1.1 403 Forbidden")


@pytest.mark.parametrize("nonsense", [b"nonsense\r\n\r\n", b"GET / HTTP/2.0\r\n\r\n", b"GET http://x/ HTTP/1.1\r\n\r\n",
                                      b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\r\n",
                                      b"PUT / HTTP/1.1\r\nContent-Length: many\r\n\r\n",
                                      b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 300 + b"\r\n"])
def test_nonsense_is_answered_with_400_and_the_server_lives_on(mock, nonsense):
    assert exchange(mock, nonsense).startswith(b"HTTP/1.1 400")
    assert request(mock, "HEAD", "/").status == 200


@pytest.mark.parametrize("beginning", [
    b"", b"GE", b"GET / HTTP/1.1", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n"])
def test_a_client_that_goes_before_its_request_is_complete_gets_no_reply(mock, beginning):
    assert exchange(mock, beginning) == b""
    assert (mock.requests, request(mock, "HEAD", "/").status) == ([], 200)


def test_a_reply_to_head_has_no_body(mock):
    mock.put(BUCKET, "a", b"content")
    received = exchange(mock, message(mock, "HEAD", "/a"), message(mock, "HEAD", "/absent"))
    assert b"Content-Length: 7" in received and b"content" not in received.replace(b"content-", b"")
    assert b"HTTP/1.1 404" in received and b"<Error>" not in received


def test_a_key_that_is_not_utf8_or_too_long_is_refused(mock):
    assert request(mock, "PUT", "/%ff", b"").code == "InvalidArgument"
    assert request(mock, "PUT", "/%EF%BF%BD", b"").status == 200  # the replacement character itself
    assert request(mock, "PUT", "/" + "k" * 1025, b"").code == "KeyTooLong"
    assert request(mock, "PUT", "/" + "k" * 1024, b"").status == 200


def test_a_large_object_passes_through_whole(mock):
    content = os.urandom(1 << 20) * 20
    client = make_client(mock)
    assert client.putContent(BUCKET, "large", content).status == 200
    assert client.getObject(BUCKET, "large", loadStreamInMemory=True).body.buffer == content
    assert mock.requests[-1].bytes_out == mock.requests[-2].bytes_in == len(content)


def test_a_reader_sees_one_version_from_the_first_byte_to_the_last(mock):
    old, new = b"old " * (4 << 20), b"new " * (4 << 20)  # larger than what the sockets hold
    mock.put(BUCKET, "key", old)
    stream = make_client(mock).getObject(BUCKET, "key").body.response
    received = stream.read(65536)
    mock.put(BUCKET, "key", new)
    received += b"".join(iter(lambda: stream.read(65536), b""))
    assert received == old
    assert mock.get(BUCKET, "key") == new


# --- what is not known

@pytest.mark.parametrize("method, path, headers", [
    ("PATCH", "/key", {}), ("POST", "/key", {}), ("GET", "/key?x-image=1", {}), ("OPTIONS", "/", {}),
    ("PUT", "/key", {"x-obs-grant-read": "id=everybody"}), ("PUT", "/key", {"x-obs-content-sha256": "STREAMING-X"})])
def test_what_is_not_known_is_refused_loudly_and_remembered(mock, method, path, headers):
    reply = request(mock, method, path, b"", headers)
    assert (reply.status, reply.code) == (501, "NotImplemented")
    assert [(record.method, record.status) for record in mock.unknown_requests] == [(method, 501)]
    assert mock.keys(BUCKET) == []


def test_calls_of_the_client_that_are_not_known_are_refused_loudly(mock):
    client = make_client(mock)
    mock.put(BUCKET, "key", b"content")
    for answer in (client.getBucketVersioning(BUCKET), client.appendObject(BUCKET, "key"),
                   client.getObjectMetadata(BUCKET, "key", versionId="1"),
                   client.setObjectAcl(BUCKET, "key", aclControl="private")):
        assert answer.status == 501
    assert len(mock.unknown_requests) == 4


@pytest.mark.parametrize("body, md5, code", [
    (b"<Delete><Object><Key>key</Key></Object></Delete>", base64_md5_of(b"something else"), "BadDigest"),
    (b"<Delete><Object><Key>key</Key></Object></Delete>", None, "InvalidRequest"),
    (b"<Delete></Delete>", base64_md5_of(b"<Delete></Delete>"), "MalformedXML"),
    (b"<Other/>", base64_md5_of(b"<Other/>"), "MalformedXML"), (b"<Del", base64_md5_of(b"<Del"), "MalformedXML"),
    (b"<!DOCTYPE x><Delete/>", base64_md5_of(b"<!DOCTYPE x><Delete/>"), "MalformedXML")])
def test_a_batch_deletion_that_is_not_in_order_deletes_nothing(mock, body, md5, code):
    mock.put(BUCKET, "key", b"content")
    assert request(mock, "POST", "/?delete", body, {} if md5 is None else {"Content-MD5": md5}).code == code
    assert mock.keys(BUCKET) == ["key"]


# --- many at once

@pytest.mark.parametrize("where", ["in memory", "on disk"])
def test_sixty_four_clients_at_once_get_what_is_theirs(where, tmp_path):
    with mock_obs(root=str(tmp_path) if where == "on disk" else None, buckets=[BUCKET]) as mock:
        sixty_four_clients(mock)
        assert len(mock.keys(BUCKET)) == 65
        assert (mock.counts["PutObject"], mock.counts["GetObject"], mock.counts["ListObjects"]) == (384, 384, 192)


def sixty_four_clients(mock):
    client = make_client(mock, timeout=60)
    together = threading.Barrier(64)

    def work(number):
        content = bytes([number]) * (1000 * number + 1)
        together.wait()
        for _ in range(3):
            assert client.putContent(BUCKET, f"own/{number}", content).status == 200
            assert client.putContent(BUCKET, "shared", content).status == 200
            assert client.getObject(BUCKET, f"own/{number}", loadStreamInMemory=True).body.buffer == content
            shared = client.getObject(BUCKET, "shared", loadStreamInMemory=True).body.buffer
            assert len(shared) == 1000 * shared[0] + 1 and set(shared) == {shared[0]}
            listed = client.listObjects(BUCKET, prefix="own/").body.contents
            assert f"own/{number}" in [item.key for item in listed]

    with ThreadPoolExecutor(64) as pool:
        list(pool.map(work, range(64)))


def test_a_slow_body_holds_up_nobody(mock):
    head = message(mock, "PUT", "/slow", b"x" * 100)
    with socket.create_connection(("127.0.0.1", mock.port), timeout=20) as slow:
        slow.sendall(head[:-50])
        assert request(mock, "PUT", "/slow", b"quick").status == 200
        assert request(mock, "GET", "/slow").body == b"quick"
        slow.sendall(head[-50:])
        assert slow.recv(1024).startswith(b"HTTP/1.1 200 OK")
    assert mock.get(BUCKET, "slow") == b"x" * 100


# --- journal, faults

def test_the_journal_tells_what_was_asked_and_answered(mock):
    request(mock, "PUT", "/a%20b", b"content")
    request(mock, "GET", "/?prefix=a&max-keys=3")
    request(mock, "GET", "/absent")
    put, listing, missing = mock.requests
    assert put[:6] == ("PutObject", "PUT", BUCKET, "a b", {}, 200)
    assert (put.bytes_in, put.bytes_out, put.code) == (7, 0, None)
    assert (listing.operation, listing.query) == ("ListObjects", {"prefix": "a", "max-keys": "3"})
    assert listing.bytes_out > 100 and 0 < listing.seconds < 10
    assert (missing.operation, missing.status, missing.code) == ("GetObject", 404, "NoSuchKey")
    assert mock.counts == {"PutObject": 1, "ListObjects": 1, "GetObject": 1}
    assert mock.counts["DeleteObject"] == 0


def test_a_reset_leaves_nothing_but_the_initial_buckets(mock):
    mock.create_bucket("another")
    mock.put(BUCKET, "key", b"content")
    request(mock, "GET", "/key")
    mock.reset()
    assert (mock.buckets(), mock.keys(BUCKET), mock.requests, mock.counts) == ([BUCKET], [], [], {})


def test_a_fault_plan_is_asked_before_a_request_is_handled_and_before_the_reply(mock):
    seen = []

    class Plan(FaultPlan):
        def before_handling(self, request):
            seen.append(("before handling", request.operation, mock.keys(BUCKET)))
            return Response(503, body=b"busy", code="SlowDown") if request.key == "refused" else None

        def before_reply(self, request, response):
            seen.append(("before reply", request.operation, mock.keys(BUCKET)))
            return Response(500) if request.key == "reply-lost" else response

    mock.faults = Plan()
    assert request(mock, "PUT", "/plain", b"content").status == 200
    assert seen == [("before handling", "PutObject", []), ("before reply", "PutObject", ["plain"])]
    assert request(mock, "PUT", "/refused", b"content")[::2] == (503, b"busy")
    assert request(mock, "PUT", "/reply-lost", b"content").status == 500
    assert mock.keys(BUCKET) == ["plain", "reply-lost"]
    assert [record.code for record in mock.requests] == [None, "SlowDown", None]


# --- starting and stopping

def test_instances_inside_each_other_share_nothing():
    with mock_obs(buckets=[BUCKET]) as outer:
        outer.put(BUCKET, "key", b"outer")
        with mock_obs(buckets=[BUCKET], host_name="inner.fake-obs.test") as inner:
            assert inner.keys(BUCKET) == []
            assert make_client(outer).getObject(BUCKET, "key", loadStreamInMemory=True).body.buffer == b"outer"
            assert make_client(inner).putContent(BUCKET, "key", "inner").status == 200
            assert current_mock() is inner
        assert current_mock() is outer
        assert outer.get(BUCKET, "key") == b"outer"
    assert current_mock() is None


def test_everything_is_as_before_afterwards(monkeypatch):
    monkeypatch.setenv("OBS_SERVER", "https://obs.example.com")
    monkeypatch.setenv("OBS_SECURITY_TOKEN", "a token")
    monkeypatch.setenv("PYTHONPATH", "somewhere")
    monkeypatch.delenv("OBS_ACCESS_KEY_ID", raising=False)
    before, resolve, threads = dict(os.environ), socket.getaddrinfo, set(threading.enumerate())
    first, second = mock_obs().start(), mock_obs().start()
    assert os.environ["OBS_SERVER"] == second.endpoint
    assert os.environ["PYTHONPATH"].endswith(os.pathsep + "somewhere")
    assert "OBS_SECURITY_TOKEN" not in os.environ
    assert socket.getaddrinfo("any.obs.fake-obs.test", 80)[0][4] == ("127.0.0.1", 80)
    first.stop()  # not in the order of a stack
    assert os.environ["OBS_SERVER"] == second.endpoint
    assert socket.getaddrinfo("obs.fake-obs.test", 80)[0][4] == ("127.0.0.1", 80)
    second.stop()
    second.stop()
    assert (dict(os.environ), socket.getaddrinfo) == (before, resolve)
    deadline = time.monotonic() + 10
    while set(threading.enumerate()) - threads and time.monotonic() < deadline:
        time.sleep(0.01)
    assert set(threading.enumerate()) <= threads


def test_only_the_name_of_the_mock_and_what_is_below_it_is_resolved(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest: host)
    others = ["fake-obs.test", "notobs.fake-obs.test", "obs.fake-obs.test.example.com", "localhost", None, b"a.test"]
    with mock_obs():
        for name in ("obs.fake-obs.test", "a.b.obs.fake-obs.test", "A.OBS.Fake-OBS.test.", b"a.obs.fake-obs.test"):
            assert socket.getaddrinfo(name, 80) == "127.0.0.1"
        assert [socket.getaddrinfo(name, 80) for name in others] == others
    assert socket.getaddrinfo("obs.fake-obs.test", 80) == "obs.fake-obs.test"


def test_somebody_else_may_wrap_the_resolver_meanwhile(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest: host)
    mock = mock_obs().start()
    inner = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest: inner(host, *rest))
    mock.stop()
    assert socket.getaddrinfo("obs.fake-obs.test", 80) == "obs.fake-obs.test"
    with mock_obs():
        assert socket.getaddrinfo("obs.fake-obs.test", 80) == "127.0.0.1"
    monkeypatch.setattr(socket, "getaddrinfo", inner)
    with mock_obs():
        assert socket.getaddrinfo("obs.fake-obs.test", 80) == "127.0.0.1"
    assert socket.getaddrinfo is not inner


def test_stopping_ends_open_connections():
    mock = mock_obs().start()
    with socket.create_connection(("127.0.0.1", mock.port), timeout=20) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n")
        while not mock._server._connections:
            time.sleep(0.001)
        mock.stop()
        assert connection.recv(1024) == b""
    with pytest.raises(RuntimeError, match="not running"):
        assert mock.endpoint


def test_a_decorated_function_has_a_mock_of_its_own_in_each_call():
    seen = []

    @mock_obs(buckets=[BUCKET])
    def decorated(argument, *, keyword):
        """Text."""
        obs = current_mock()
        assert obs.keys(BUCKET) == []
        obs.put(BUCKET, argument, keyword)
        seen.append(obs)
        return keyword

    @mock_obs
    def plainly_decorated():
        return current_mock().buckets()

    assert decorated("key", keyword=b"content") == decorated("key", keyword=b"content") == b"content"
    assert decorated.__doc__ == "Text." and seen[0] is not seen[1]
    assert plainly_decorated() == []
    assert current_mock() is None


def test_a_decorator_that_cannot_work_is_refused():
    with pytest.raises(TypeError, match="with statement"):
        @mock_obs
        class Tests:
            pass
    with pytest.raises(TypeError, match="keyword arguments"):
        mock_obs("directory")


def test_a_mock_that_runs_is_not_started_again(mock):
    with pytest.raises(RuntimeError, match="running already"):
        mock.start()


def test_a_port_that_is_taken_is_an_error(mock):
    with pytest.raises(OSError):
        mock_obs(port=mock.port).start()
    assert current_mock() is mock


def test_what_is_asked_without_a_request_fails_as_obs_would(mock):
    with pytest.raises(ObsError, match="NoSuchKey"):
        mock.get(BUCKET, "absent")
    with pytest.raises(ObsError, match="NoSuchBucket"):
        mock.keys("absent")
