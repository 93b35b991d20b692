"""An overloaded server, one that asks to wait, and connections that are kept: what is sent, when and over what."""

from __future__ import annotations

import os
import threading
import time

import pytest

from obs_sync import StoreError, StoreUnavailable, open_store
from obs_sync.esdk.reply import retry_after
from obs_sync.mock import Faults, Rule, Status
from obs_sync.retry import Retry
from tests.obs_sync.scripted_server import reply, scripted_server, store_at


@pytest.fixture
def server():
    with scripted_server() as (script, url):
        script.url = url
        yield script


def told_to_wait(seconds, status=503, **headers):
    return reply(status, b"<Error><Code>SlowDown</Code></Error>", {"Retry-After": seconds, **headers})


def first(count, answer):
    left, lock = [count], threading.Lock()

    def twist(request):
        with lock:
            left[0] -= 1
            return answer if left[0] >= 0 else None

    return twist


OPERATIONS = {
    "write": lambda store, path: store.write("a", b"content"),
    "upload": lambda store, path: store.upload(path, "a"),
    "read": lambda store, path: store.read("there"),
    "head": lambda store, path: store.head("there"),
    "list": lambda store, path: list(store.list()),
    "delete": lambda store, path: store.delete(["there"]),
}


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("operation", list(OPERATIONS.values()), ids=list(OPERATIONS))
def test_the_server_says_how_long_to_wait(server, tmp_path, operation, status):
    slept = []
    (tmp_path / "file").write_bytes(b"content")
    server.objects["there"] = b"content"
    server.twist = first(2, told_to_wait("7", status))
    with store_at(server.url, slept) as store:
        operation(store, str(tmp_path / "file"))
    assert len(slept) == 2 and all(7 < seconds < 9 for seconds in slept)


def test_a_wait_beyond_the_deadline_is_not_started(server):
    slept = []
    server.objects["a"] = b"content"
    server.twist = lambda request: told_to_wait("900")
    with store_at(server.url, slept, deadline=300.0) as store:
        for operation in (lambda: store.head("a"), lambda: store.read("a")):
            with pytest.raises(StoreUnavailable, match="tried once .*deadline is 300 s.*asks us to wait 900 s"):
                operation()
    assert slept == [] and len(server.requests) == 2


@pytest.mark.parametrize("headers, seconds", [
    ([("retry-after", "3")], 3.0), ([("Retry-After", " 0 ")], 0.0), ([], None), (None, None),
    ([("retry-after", "soon")], None), ([("retry-after", "-3")], None), ([("retry-after", "nan")], None),
    ([("retry-after", "Wed, 25 Nov 2026 10:00:20 GMT"), ("date", "Wed, 25 Nov 2026 10:00:00 GMT")], 20.0),
    ([("retry-after", "Wed, 25 Nov 2020 10:00:20 GMT")], 0.0)])
def test_a_wait_is_a_number_or_a_date_by_the_servers_clock(headers, seconds):
    assert retry_after(headers) == seconds


@pytest.mark.parametrize("status", [500, 502, 503, 504, 507, 520, 429])
def test_a_file_is_sent_again_after_any_of_these(obs, tmp_path, status):
    """The SDK tries no body from a file again, and nothing after 429."""
    (tmp_path / "file").write_bytes(b"content")
    obs.faults = Faults([Rule(Status(status), operation="PutObject", first=2)])
    with open_store("obs://bucket/", obs.environment(), retry=Retry(3, sleep=lambda seconds: None)) as store:
        store.upload(str(tmp_path / "file"), "a")
    assert obs.get("bucket", "a") == b"content" and obs.counts["PutObject"] == 3


@pytest.mark.parametrize("operation", ["list", "read", "delete"])
def test_a_server_that_sends_a_byte_now_and_then_is_abandoned(server, monkeypatch, operation):
    monkeypatch.setattr("obs_sync.http.pace.WINDOW", 0.3)
    monkeypatch.setattr("obs_sync.esdk.connect._TIMEOUT", 0.5)  # which no pause is as long as
    server.objects["there"] = b"x" * 300
    server.twist = lambda request: server.ordinary(request)._replace(body=b"x" * 300, announced=300, pause=0.02)
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match=r"no more than \d+ bytes in \d s\) \(tried once"):
        OPERATIONS[operation](store_at(server.url, attempts=1), None)
    assert time.monotonic() - began < 4.0  # all of it takes 6 s


def test_a_reader_that_is_slow_itself_does_not_blame_the_server(server, tmp_path, monkeypatch):
    monkeypatch.setattr("obs_sync.http.pace.WINDOW", 0.3)
    server.objects["there"] = b"x" * 40000
    with store_at(server.url, attempts=1) as store:
        store.download(store.head("there"), str(tmp_path / "out"), lambda amount: time.sleep(0.4))
    assert (tmp_path / "out").read_bytes() == server.objects["there"]


def test_many_requests_use_one_connection_for_each_way(server):
    with store_at(server.url) as store:
        for number in range(20):
            store.write("a%d" % number, b"content")
            assert store.read("a%d" % number) == b"content"
        list(store.list())
    assert len(server.requests) == 61 and server.connections == 2  # the SDK's and the reader's


@pytest.mark.parametrize("size", [7, 3 << 20])
def test_a_file_outlives_an_idle_connection_that_the_server_has_closed(server, tmp_path, size):
    data = os.urandom(size)
    (tmp_path / "file").write_bytes(data)
    with store_at(server.url, attempts=2) as store:
        server.twist = lambda request: reply(200, b"x", {"ETag": "0"}, close=True)
        store.head("a")
        server.twist = lambda request: None
        time.sleep(0.05)
        store.upload(str(tmp_path / "file"), "b")
    assert server.objects["b"] == data


def test_no_redirection_is_followed_with_our_signature(server, tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    with scripted_server() as (elsewhere, url):
        server.twist = lambda request: reply(307, headers={"Location": url + "/bucket/a"})
        with store_at(server.url) as store:
            for operation in (lambda: store.upload(str(tmp_path / "file"), "a"), lambda: store.head("a"),
                              lambda: store.read("a"), lambda: list(store.list())):
                with pytest.raises(StoreError, match="307.*region"):
                    operation()
        assert elsewhere.requests == []


def test_a_put_whose_reply_is_always_lost_is_looked_at(server):
    def lose(request):
        if request.method != "PUT":
            return None
        server.ordinary(request)
        return reply(0, close=True)

    server.twist = lose
    with store_at(server.url) as store:
        assert store.write("a", b"content").size == 7
        server.twist = lambda request: reply(0, close=True) if request.method == "PUT" else None
        with pytest.raises(StoreUnavailable):
            store.write("a", b"another")
    assert server.objects["a"] == b"content"
