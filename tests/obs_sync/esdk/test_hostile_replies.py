"""Replies that a broken proxy, cache or server sends: pages in any encoding, other versions, numbers and bodies without
end. The status decides what becomes of them, and nothing is read past the length that was listed.
"""
from __future__ import annotations

import itertools
import os

import pytest

from obs_sync import (
    AccessDenied, BucketNotFound, IntegrityError, ObjectChanged, ObjectInfo, StoreError, StoreUnavailable, pull,
)
from obs_sync.esdk.client import Damaged
from tests.obs_sync.raw_server import raw_server
from tests.obs_sync.scripted_server import md5, reply, scripted_server, store_at

PAGES = {
    "gbk": "<html><body>502 网关错误</body></html>".encode("gbk"), "binary": bytes(range(256)), "empty": b"",
    "huge": b"<html>" + b"\xff" * 10000000, "deep": b"<a>" * 20000,
}
OPERATIONS = {
    "read": lambda store: store.read("a"), "list": lambda store: list(store.list()),
    "head": lambda store: store.head("a"), "write": lambda store: store.write("a", b"x"),
    "delete": lambda store: store.delete(["a", "b"]), "unfinished": lambda store: store.unfinished_uploads(),
}
DATA = os.urandom(1000)


@pytest.fixture
def server():
    with scripted_server() as (script, url):
        script.url = url
        yield script


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
@pytest.mark.parametrize("page", sorted(PAGES))
def test_a_page_in_place_of_an_error_leaves_its_status_to_decide(server, page, operation):
    with store_at(server.url, attempts=2) as store:
        for status, expected in ((502, StoreUnavailable), (408, StoreUnavailable), (403, AccessDenied),
                                 (404, BucketNotFound), (400, StoreError)):  # 404: to a listing as well
            server.twist = lambda request, status=status: reply(status, PAGES[page], {"Content-Type": "text/html"})
            with pytest.raises(expected) as caught:
                OPERATIONS[operation](store)
            assert type(caught.value).__mro__.index(expected) <= 1  # 1: KeyRefused
            assert status == 404 or f"answered {status}" in str(caught.value)
            assert len(str(caught.value)) < 1000
        server.twist = lambda request: None
        store.write("a", b"after it")
        assert store.read("a") == b"after it"


@pytest.mark.parametrize("operation", ["write", "delete", "unfinished"])
def test_one_page_that_is_not_utf_8_costs_one_more_attempt(server, operation):
    pages = [reply(502, PAGES["gbk"])]
    server.twist = lambda request: pages.pop() if pages else (
        reply(200, b"<R><Bucket>bucket</Bucket></R>") if request.method == "GET" else None)
    slept = []
    with store_at(server.url, slept) as store:
        OPERATIONS[operation](store)
    assert len(slept) == 1


def test_what_a_server_says_is_shown_in_one_short_line(server):
    text = b"a\x1b[2J\nb" + b"c" * 5000
    server.twist = lambda request: reply(400, b"<Error><Code>C</Code><Message>" + text + b"</Message></Error>")
    with store_at(server.url) as store:
        with pytest.raises(StoreError) as caught:
            store.read("a")
    assert "a [2J b" in str(caught.value) and str(caught.value).isprintable() and len(str(caught.value)) < 600


def test_the_rest_of_a_long_page_is_not_taken_for_the_next_reply():
    page = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 10000000\r\n\r\n" + b"x" * ((1 << 16) + 1)
    emptied = b"<R><Deleted><Key>a</Key></Deleted></R>"
    slept = []
    with raw_server([page, None], [b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(emptied), emptied)]) as \
            (script, port), store_at(f"http://127.0.0.1:{port}", slept) as store:
        with pytest.raises(StoreError, match="answered 400"):
            store.delete(["a"])
        store.delete(["a"])
    assert slept == [] and len(script.heads) == 2


@pytest.mark.parametrize("status, expected", [(412, ObjectChanged), (400, StoreError), (403, AccessDenied)])
def test_a_page_that_is_cut_short_leaves_its_status_to_decide(info, tmp_path, status, expected):
    cut = b"HTTP/1.1 %d Told\r\nContent-Length: 100\r\n\r\n<Err" % status
    slept = []
    with raw_server(*[[cut]] * 4) as (_, port), store_at(f"http://127.0.0.1:{port}", slept) as store:
        with pytest.raises(expected):
            store.download(info, str(tmp_path / "out"))
    assert slept == []


# --- versions

@pytest.fixture
def info(server):
    server.objects["a"] = DATA
    return ObjectInfo("a", 1000, md5(DATA), md5(DATA), modified=1767225600.0)


def partial(body, headers, first, total=1000):
    return reply(206, body, {"Content-Range": f"bytes {first}-{first + len(body) - 1}/{total}", **headers})


def test_a_pin_does_not_rest_on_the_server_to_keep_it(server, info, tmp_path):
    other = os.urandom(1000)
    server.twist = lambda request: (
        partial(other[:10], {"ETag": md5(other)}, 0) if "Range" in request.headers else
        reply(200, other, {"ETag": md5(other)}) if request.method == "GET" and request.key else None)
    with store_at(server.url) as store:
        with pytest.raises(ObjectChanged, match="asked for the version "):
            store.download(info, str(tmp_path / "out"))
        with pytest.raises(ObjectChanged):
            store.read_range(info, 0, 10)
    assert not (tmp_path / "out").exists() or (tmp_path / "out").read_bytes() == b""


def test_a_cache_that_answers_once_with_another_version_costs_one_more_attempt(server, info, tmp_path):
    other = [reply(200, b"x" * 1000, {"ETag": md5(b"x" * 1000)})]
    server.twist = lambda request: other.pop() if other else None
    slept = []
    with store_at(server.url, slept) as store:
        store.download(info, str(tmp_path / "out"))
    assert (tmp_path / "out").read_bytes() == DATA and slept == []


@pytest.mark.parametrize("modified, same", [
    ("Thu, 01 Jan 2026 00:00:00 GMT", True), ("Thu, 01 Jan 2026 00:00:01 GMT", True),  # a listing may round
    ("Thu, 01 Jan 2026 00:00:02 GMT", False), ("Wed, 31 Dec 2025 00:00:00 GMT", False), ("no date", True)])
def test_where_there_is_no_etag_the_date_decides(server, info, modified, same):
    server.twist = lambda request: partial(DATA[:10], {"Last-Modified": modified}, 0)
    with store_at(server.url) as store:
        if same:
            assert store.read_range(info, 0, 10) == DATA[:10]
        else:
            with pytest.raises(ObjectChanged, match="another time"):
                store.read_range(info, 0, 10)


def test_a_pull_takes_the_new_version_from_a_server_that_ignores_if_match(server, tmp_path):
    server.objects["a"] = b"older"
    listing = server.listing({})
    server.objects["a"] = b"newer"
    server.twist = lambda request: (
        listing if not request.key else
        reply(200, b"newer", {"ETag": md5(b"newer")}) if request.method == "GET" else None)
    with store_at(server.url, attempts=1) as store:
        pull(store, str(tmp_path / "here"))
    assert (tmp_path / "here" / "a").read_bytes() == b"newer"


# --- lengths

@pytest.mark.parametrize("size", [999, 1001, 50000000])
def test_another_length_than_was_listed_is_refused_before_anything_is_read(server, info, tmp_path, size):
    counted = []
    server.twist = lambda request: reply(200, DATA, {"ETag": md5(DATA)}, announced=size, close=True)
    with store_at(server.url) as store:
        with pytest.raises(Damaged, match=f"announces {size} bytes of 1000"):
            store.download(info, str(tmp_path / "out"), counted.append)
        with pytest.raises(IntegrityError):
            store.read_range(info, 0, 10, counted.append)
    assert counted == []


def test_a_status_that_is_not_the_one_for_the_whole_is_no_object(server, info, tmp_path):
    for status in (201, 203, 204, 206):
        server.twist = lambda request, status=status: reply(status, b"" if status == 204 else DATA, {"ETag": md5(DATA)})
        with store_at(server.url) as store:
            with pytest.raises(IntegrityError, match=str(status)):
                store.download(info, str(tmp_path / "out"))


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nETag: \"%s\"\r\n\r\n" % md5(DATA).encode()


def test_chunks_past_the_listed_length_are_not_written(info, tmp_path):
    endless = CHUNKED + b"3e8\r\n" + DATA + b"\r\n" + (b"10000\r\n" + b"x" * 65536 + b"\r\n") * 50
    with raw_server([endless]) as (_, port), store_at(f"http://127.0.0.1:{port}", attempts=1) as store:
        with pytest.raises(Damaged, match="or more of 1000"):
            store.download(info, str(tmp_path / "out"))
    assert not (tmp_path / "out").exists() or (tmp_path / "out").stat().st_size <= 1000


def test_an_object_that_comes_without_its_length_is_read_up_to_the_length_that_a_head_tells():
    whole = CHUNKED + b"3e8\r\n" + DATA + b"\r\n0\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nETag: \"%s\"\r\n\r\n" % md5(DATA).encode()
    with raw_server([whole], [head, whole]) as (_, port), store_at(f"http://127.0.0.1:{port}") as store:
        assert store.read("a") == DATA
    endless = CHUNKED + (b"10000\r\n" + b"x" * 65536 + b"\r\n") * 50
    with raw_server([endless], [head, endless]) as (_, port), \
            store_at(f"http://127.0.0.1:{port}", attempts=1) as store:
        with pytest.raises(Damaged, match="or more of 1000"):
            store.read("a")


def test_an_object_that_memory_need_not_hold_is_not_read_into_it(server, info, monkeypatch):
    monkeypatch.setattr("obs_sync.esdk.store._MOST_READ", 999)
    with store_at(server.url) as store:
        with pytest.raises(StoreError, match="1,000 bytes; at most 999.*Download it"):
            store.read("a")


def test_a_reply_to_the_sdk_has_an_end(server, monkeypatch):
    monkeypatch.setattr("obs_sync.esdk.sdk_response._MOST_BYTES", 100000)
    server.twist = lambda request: reply(200, b"<R>" + b"x" * 300000)
    with store_at(server.url, attempts=1) as store:
        for operation in ("delete", "unfinished"):
            with pytest.raises(StoreUnavailable, match="did not end"):
                OPERATIONS[operation](store)


@pytest.mark.parametrize("lines", [
    b"Content-Length: 5\r\nContent-Length: 7", b"Content-Length: 7\r\nx-obs-content-length: 5",
    b"Content-Length: %s" % (b"9" * 5000), b"Transfer-Encoding: gzip, chunked",
    b"Content-Length: 7\r\nTransfer-Encoding: chunked"], ids=["5 and 7", "vendor", "digits", "gzip", "both"])
@pytest.mark.parametrize("operation", ["read", "list", "head", "delete", "unfinished"])
def test_a_length_that_is_ambiguous_is_refused_for_all_calls(operation, lines):
    with raw_server([b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n\r\ncontent"]) as (_, port):
        with store_at(f"http://127.0.0.1:{port}", attempts=1) as store:
            with pytest.raises(StoreUnavailable, match="not valid HTTP"):
                OPERATIONS[operation](store)


def test_the_sdk_does_not_take_what_a_server_sent_unasked_for_its_reply(tmp_path):
    emptied = b"<R><Deleted><Key>a</Key></Deleted></R>"
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(emptied), emptied)
    timed_out = b"HTTP/1.1 408 Request Time-out\r\nContent-Length: 0\r\n\r\n"
    slept = []
    with raw_server([[answer, timed_out]], [answer]) as (script, port):
        with store_at(f"http://127.0.0.1:{port}", slept) as store:
            store.delete(["a"])
            assert script.closed.acquire(timeout=5)
            store.delete(["a"])
    assert len(script.heads) == 2 and slept == []


# --- numbers

@pytest.mark.parametrize("headers", [
    {"Retry-After": "9" * 5000}, {"x-amz-meta-part-size": "9" * 5000, "ETag": f"{'0' * 32}-2"},
    {"x-amz-checksum-crc64ecma": "9" * 5000, "ETag": f"{'0' * 32}-2"}, {"Last-Modified": f"Fri, 31 Dec {'9' * 5000}"},
    {"Date": "9" * 5000}], ids=lambda headers: min(headers))
def test_a_number_of_5000_digits_is_no_number(server, headers):
    for status in (200, 503):
        server.twist = lambda request, status=status: reply(status, b"x", {"ETag": md5(b"x"), **headers})
        with store_at(server.url) as store:
            for operation in ("read", "head"):
                if status == 200:
                    OPERATIONS[operation](store)
                else:
                    with pytest.raises(StoreUnavailable, match="tried 4 times"):
                        OPERATIONS[operation](store)


def test_a_listed_size_of_5000_digits_is_an_error(server):
    server.twist = lambda request: reply(200, b"<R><Name>b</Name><IsTruncated>false</IsTruncated><Contents>"
                                         b"<Key>a</Key><Size>%s</Size></Contents></R>" % (b"9" * 5000))
    with store_at(server.url) as store:
        with pytest.raises(StoreError, match="size of '9{40}'"):
            list(store.list())


def test_a_listing_without_end_is_an_error(server, monkeypatch):
    monkeypatch.setattr("obs_sync.esdk.store._MOST_LISTED", 100)
    pages = itertools.count()
    server.twist = lambda request: reply(200, b"<R><Name>b</Name><IsTruncated>true</IsTruncated><Contents><Key>%d</Key>"
                                         b"<Size>1</Size></Contents></R>" % next(pages))
    with store_at(server.url) as store:
        with pytest.raises(StoreError, match="more than 100 objects.*the server's paging is at fault"):
            list(store.list())
    assert next(pages) == 101
