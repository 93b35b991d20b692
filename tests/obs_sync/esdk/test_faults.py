"""The SDK adapter against a server that misbehaves: what the SDK lets pass must not pass here."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
import time

import pytest

from obs_sync import (
    AccessDenied, BucketNotFound, IntegrityError, LocalStorageError, ObjectChanged, ObjectInfo, ObjectNotFound,
    StoreError, StoreUnavailable,
)
from obs_sync.esdk import upload
from tests.obs_sync.scripted_server import error, md5, reply, scripted_server, store_at

DATA = bytes(range(256)) * 5000  # 1.28 MB: more than one chunk


@pytest.fixture
def server():
    with scripted_server() as (script, url):
        script.url = url
        yield script


@pytest.fixture
def store(server):
    with store_at(server.url) as store:
        yield store


def first(count, answer, method=None):
    """A twist that gives `answer` to the first `count` requests (of a method), from any thread."""
    left, lock = [count], threading.Lock()

    def twist(request):
        with lock:
            mine = left[0] > 0 and method in (None, request.method)
            left[0] -= mine
        return (answer(request) if callable(answer) else answer) if mine else None

    return twist


def requests_of(server, method):
    return [request for request in server.requests if request.method == method]


@pytest.mark.parametrize("status, code", [(503, "SlowDown"), (500, "InternalError"), (429, "TooManyRequests"),
                                          (502, "BadGateway"), (400, "RequestTimeout"), (400, "IncompleteBody")])
def test_an_overloaded_server_is_tried_again(server, status, code):
    slept = []
    with store_at(server.url, slept) as store:
        server.twist = first(2, error(status, code))
        store.write("a", b"content")
        server.twist = first(2, error(status, code))
        assert store.read("a") == b"content"
        server.twist = first(2, error(status, code))
        assert [info.key for info in store.list()] == ["a"]
    assert len(slept) == 6


def test_a_server_that_stays_down_is_given_up_and_named(server, store):
    server.twist = lambda request: error(503, "SlowDown")
    with pytest.raises(StoreUnavailable) as caught:
        store.read("a")
    assert "503 SlowDown" in str(caught.value) and "tried 4 times" in str(caught.value)
    assert "obs://bucket/a" in str(caught.value)
    assert len(server.requests) == 4


def test_a_port_where_nobody_listens_is_unavailable():
    with store_at("http://127.0.0.1:1") as store:
        with pytest.raises(StoreUnavailable, match="OBS_SERVER"):
            list(store.list())


def test_a_connection_reset_before_and_after_the_request_was_heard(server, store):
    server.twist = first(1, reply(0, close=True))
    store.write("a", b"content")
    assert server.objects == {"a": b"content"}

    def applied_but_not_answered(request):
        server.ordinary(request)
        return reply(0, close=True)

    server.twist = first(1, applied_but_not_answered)
    store.write("b", b"content")
    assert server.objects["b"] == b"content"


def test_a_server_that_forgot_all_idle_connections_costs_one_more_attempt(server):
    slept = []
    with store_at(server.url, slept, attempts=2) as store:
        server.objects["a"] = b"content"
        barrier = threading.Barrier(6)

        def hang_up(request):
            barrier.wait(10)
            return reply(200, b"content", {"ETag": md5(b"content")}, close=True)

        server.twist = first(6, hang_up)
        threads = [threading.Thread(target=store.read, args=("a",)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        time.sleep(0.05)
        assert store.read("a") == b"content"
        assert len(slept) <= 1


def test_a_body_cut_short_is_fetched_again(server, store, tmp_path):
    server.objects["a"] = DATA
    cut = reply(200, DATA[:700000], {"ETag": md5(DATA)}, announced=len(DATA), close=True)
    server.twist = first(2, cut, "GET")
    counted = []
    store.download(ObjectInfo("a", len(DATA), md5(DATA)), str(tmp_path / "out"), counted.append)
    assert (tmp_path / "out").read_bytes() == DATA
    assert sum(counted) == len(DATA) and min(counted) < 0
    server.twist = first(1, cut, "GET")
    assert store.read("a") == DATA


def test_a_body_that_is_always_cut_short_is_an_error(server, store, tmp_path):
    server.twist = lambda request: reply(200, b"abc", {"ETag": md5(b"abcdef")}, announced=6, close=True)
    with pytest.raises(StoreUnavailable):
        store.download(ObjectInfo("a", 6, md5(b"abcdef")), str(tmp_path / "out"))


def test_a_flipped_bit_is_noticed_and_fetched_again(server, store, tmp_path):
    server.objects["a"] = DATA
    flipped = bytes([DATA[0] ^ 1]) + DATA[1:]
    server.twist = first(1, reply(200, flipped, {"ETag": md5(DATA)}))
    store.download(ObjectInfo("a", len(DATA), md5(DATA)), str(tmp_path / "out"))
    assert (tmp_path / "out").read_bytes() == DATA
    server.twist = lambda request: reply(200, flipped, {"ETag": md5(DATA)})
    with pytest.raises(IntegrityError, match="MD5"):
        store.download(ObjectInfo("a", len(DATA), md5(DATA)), str(tmp_path / "out"))
    with pytest.raises(IntegrityError, match="MD5"):
        store.read("a")


def test_a_body_of_another_length_than_listed_is_noticed(server, store, tmp_path):
    server.twist = lambda request: reply(200, b"longer", {"ETag": "unrelated"})
    with pytest.raises(IntegrityError, match="6 bytes of 5"):
        store.download(ObjectInfo("a", 5, "unrelated"), str(tmp_path / "out"))


def test_a_reply_without_etag_is_checked_against_the_listing(server, store, tmp_path):
    server.twist = lambda request: reply(200, b"wrong")
    with pytest.raises(IntegrityError):
        store.download(ObjectInfo("a", 5, md5(b"right"), md5(b"right")), str(tmp_path / "out"))


def test_a_reply_without_etag_to_a_read_is_checked_against_what_is_there(server, store):
    store.write("a", DATA)
    wrong = reply(200, b"X" + DATA[1:])
    server.twist = first(1, wrong, "GET")
    assert store.read("a") == DATA
    server.twist = first(99, wrong, "GET")
    with pytest.raises(IntegrityError, match="MD5"):
        store.read("a")


def test_the_etag_of_an_encrypted_object_is_no_digest(server, store, tmp_path):
    headers = {"ETag": "0" * 32, "x-amz-server-side-encryption": "aws:kms"}
    server.twist = lambda request: reply(200, b"right", headers)
    store.download(ObjectInfo("a", 5, "0" * 32, "0" * 32), str(tmp_path / "out"))
    assert (tmp_path / "out").read_bytes() == b"right"


def test_the_digest_of_the_whole_comes_with_objects_in_parts(server, store, tmp_path):
    import base64
    checksum = base64.b64encode(hashlib.md5(b"right").digest()).decode()
    server.twist = lambda request: reply(200, b"wrong", {"ETag": "%s-3" % ("0" * 32), "x-amz-meta-md5chksum": checksum})
    with pytest.raises(IntegrityError):
        store.download(ObjectInfo("a", 5, "%s-3" % ("0" * 32)), str(tmp_path / "out"))


def test_an_overwritten_object_is_changed_and_not_mixed(server, store, tmp_path):
    server.objects["a"] = b"other"
    with pytest.raises(ObjectChanged):
        store.download(ObjectInfo("a", 5, md5(b"first")), str(tmp_path / "out"))
    assert server.requests[-1].headers["If-Match"] == md5(b"first")


def test_a_full_disk_is_a_local_error_and_is_not_tried_again(server, store):
    server.objects["a"] = DATA
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    with pytest.raises(LocalStorageError) as caught:
        store.download(ObjectInfo("a", len(DATA), md5(DATA)), "/dev/full")
    assert caught.value.__cause__.errno == errno.ENOSPC
    assert len(server.requests) == 1
    assert store.read("a") == DATA  # the connection with the unread body was given up


@pytest.mark.parametrize("body", [b"", b"not xml", b"<R><IsTruncated>false"])
def test_a_listing_that_cannot_be_read_is_no_empty_listing(server, store, body):
    server.twist = lambda request: reply(200, body)
    with pytest.raises(StoreUnavailable, match="cannot be read"):
        list(store.list())


def test_a_listing_goes_on_without_a_next_marker(server, store):
    server.objects = {"%04d" % number: b"" for number in range(25)}
    server.twist = lambda request: server.listing(request.query, page=10)
    assert [info.key for info in store.list()] == sorted(server.objects)


@pytest.mark.parametrize("next_marker", [None, "0001"])
def test_a_listing_that_does_not_advance_is_an_error(server, store, next_marker):
    server.objects = {"0000": b"", "0001": b""}
    server.twist = lambda request: server.page(["0000", "0001"], True, next_marker)
    with pytest.raises(StoreError, match="names no next page"):
        list(store.list())
    assert len(server.requests) == 2


def test_a_later_page_that_is_refused_is_an_error(server, store):
    server.objects = {"%04d" % number: b"" for number in range(25)}
    server.twist = lambda request: (error(403, "AccessDenied") if "marker" in request.query
                                    else server.listing(request.query, page=10))
    with pytest.raises(AccessDenied):
        list(store.list())


def test_a_listing_of_something_else_is_an_error(server, store):
    server.objects = {"other/a": b""}
    server.twist = lambda request: server.page(["other/a"], False)
    with pytest.raises(StoreError, match="not asked for"):
        list(store.list("mine/"))


@pytest.mark.parametrize("entry", ["<Key>a</Key>", "<Size>1</Size>"])
def test_a_listing_entry_without_key_or_size_is_an_error(server, store, entry):
    listing = f"<R><Name>bucket</Name><IsTruncated>false</IsTruncated><Contents>{entry}</Contents></R>"
    server.twist = lambda request: reply(200, listing.encode())
    with pytest.raises(StoreError, match="the listing holds '.*' with a size of '.*'"):
        list(store.list())


def test_a_file_that_disappears_before_it_is_sent_is_a_local_error(server, store, tmp_path):
    (tmp_path / "file").write_bytes(b"content")

    def remove(request):
        if os.path.exists(str(tmp_path / "file")):
            os.remove(str(tmp_path / "file"))
        return error(503, "SlowDown")

    server.twist = first(1, remove, "PUT")
    with pytest.raises(LocalStorageError, match="file"):
        store.upload(str(tmp_path / "file"), "a")


def test_a_batch_that_is_deleted_in_part_names_what_remains(server, store):
    refused = (b"<R><Deleted><Key>a</Key></Deleted><Error><Key>b</Key><Code>%s</Code></Error></R>")
    server.twist = lambda request: reply(200, refused % b"InternalError")
    with pytest.raises(StoreUnavailable, match="1 of 2 .*InternalError.*'b'"):
        store.delete(["a", "b"])
    server.twist = lambda request: reply(200, refused % b"AccessDenied")
    with pytest.raises(AccessDenied, match="'b'"):
        store.delete(["a", "b"])
    server.twist = lambda request: reply(200, b"<R><Deleted><Key>a</Key></Deleted></R>")
    with pytest.raises(StoreUnavailable, match="'b'"):
        store.delete(["a", "b"])


def test_bytes_that_were_damaged_on_the_way_up_are_sent_again(server, store):
    server.twist = first(1, error(400, "BadDigest"), "PUT")
    store.write("a", b"content")
    server.twist = first(1, reply(200, headers={"ETag": md5(b"damaged")}), "PUT")
    store.write("b", b"content")
    assert server.objects == {"a": b"content", "b": b"content"}
    server.twist = first(99, error(400, "BadDigest"), "PUT")
    with pytest.raises(IntegrityError, match="damaged on the way"):
        store.write("c", b"content")


def test_a_write_that_did_not_stay_is_noticed(server, store):
    server.twist = first(1, reply(200, headers={"ETag": md5(b"content")}), "PUT")
    with pytest.raises(ObjectNotFound):
        store.write("a", b"content")
    server.twist = first(1, reply(200, b"other!!", {"ETag": md5(b"other!!")}), "HEAD")
    with pytest.raises(IntegrityError, match="nother program"):
        store.write("a", b"content")


def test_every_upload_carries_its_md5(server, store):
    store.write("a", b"content")
    assert requests_of(server, "PUT")[0].headers["Content-MD5"] == "mgNkuembtIDdJeHwKEyFVQ=="


@pytest.fixture
def parts(monkeypatch, tmp_path):
    """Uploads in parts of 500 kB, of a file of 1.28 MB."""
    def put_file(*arguments, **options):
        return original(*arguments, **options, part_size=500000, largest_put=600000)

    original = upload.put_file
    monkeypatch.setattr("obs_sync.esdk.store.put_file", put_file)
    (tmp_path / "big").write_bytes(DATA)
    return str(tmp_path / "big")


def test_a_big_file_goes_in_parts_with_their_md5(server, store, parts):
    counted = []
    assert store.upload(parts, "big", counted.append).size == len(DATA)
    assert server.objects["big"] == DATA and sum(counted) == len(DATA)
    puts = requests_of(server, "PUT")
    assert len(puts) == 3 and all("Content-MD5" in request.headers for request in puts)
    start = requests_of(server, "POST")[0]
    assert start.headers["x-amz-meta-md5chksum"]


def test_a_caller_with_a_digest_of_its_own_spares_the_md5_of_the_whole_but_not_of_the_parts(server, store, parts):
    assert store.upload(parts, "big", with_md5=False).md5 is None
    assert server.objects["big"] == DATA
    assert all("Content-MD5" in request.headers for request in requests_of(server, "PUT"))
    assert "x-amz-meta-md5chksum" not in requests_of(server, "POST")[0].headers


def test_a_part_that_fails_is_sent_again_and_counted_once(server, store, parts):
    server.twist = first(2, error(503, "SlowDown"), "PUT")
    counted = []
    store.upload(parts, "big", counted.append)
    assert server.objects["big"] == DATA and sum(counted) == len(DATA)


def test_an_upload_that_will_not_mend_is_aborted_and_one_that_may_is_kept(server, store, parts):
    server.twist = lambda request: error(403, "AccessDenied") if request.query.get("partNumber") == "2" else None
    with pytest.raises(AccessDenied):
        store.upload(parts, "big")
    assert [request.query for request in requests_of(server, "DELETE")] == [{"uploadId": "1"}]
    server.twist = lambda request: error(503, "SlowDown") if request.query.get("partNumber") == "2" else None
    with pytest.raises(StoreUnavailable):
        store.upload(parts, "big")
    assert len(requests_of(server, "DELETE")) == 1
    assert "big" not in server.objects


def test_an_upload_that_is_answered_200_with_an_error_has_failed(server, store, parts):
    def refuse(request):
        if request.method == "POST" and "uploadId" in request.query:
            return reply(200, b"<Error><Code>InternalError</Code></Error>")
        return None

    server.twist = refuse
    with pytest.raises(StoreUnavailable, match="not completed"):
        store.upload(parts, "big")


def test_after_a_completion_without_a_reply_the_object_is_checked(server, store, parts):
    state = {}

    def lose(request):
        if request.method == "POST" and "uploads" in request.query:
            state["md5"] = request.headers["x-amz-meta-md5chksum"]
        if request.method == "POST" and "uploadId" in request.query:
            if "lost" in state:
                return error(404, "NoSuchUpload")
            state["lost"] = True
            server.ordinary(request)
            return reply(0, close=True)
        if request.method == "HEAD" and "lost" in state:
            return reply(200, DATA, {"ETag": '"%s-3"' % ("0" * 32), "x-amz-meta-md5chksum": state["md5"]})
        return None

    server.twist = lose
    assert store.upload(parts, "big").size == len(DATA)
    assert server.objects["big"] == DATA


@pytest.mark.parametrize("etag, error_class", [
    (hashlib.md5(b"".join(hashlib.md5(DATA[start:start + 500000]).digest()
                          for start in range(0, len(DATA), 500000))).hexdigest() + "-3", None),
    ("0" * 32 + "-3", StoreUnavailable)], ids=["ours", "another"])
def test_a_lost_completion_without_an_md5_is_known_by_the_parts(server, store, parts, etag, error_class):
    def lose(request):
        if request.method == "POST" and "uploadId" in request.query:
            return error(503, "SlowDown")
        if request.method == "HEAD":
            return reply(200, DATA, {"ETag": f'"{etag}"'})
        return None

    server.twist = lose
    if error_class is None:
        assert store.upload(parts, "big", with_md5=False).size == len(DATA)
    else:
        with pytest.raises(error_class):
            store.upload(parts, "big", with_md5=False)


def test_a_file_that_changes_while_it_is_stored_is_named(server, store, tmp_path):
    path = str(tmp_path / "rewritten")
    with open(path, "wb") as stream:
        stream.write(b"first")

    def rewrite(request):
        with open(path, "wb") as stream:
            stream.write(b"other")
        return error(400, "BadDigest")

    server.twist = first(99, rewrite, "PUT")
    with pytest.raises(IntegrityError, match="rewritten") as caught:
        store.upload(path, "a")
    assert "changed while" in str(caught.value)


@pytest.mark.parametrize("status, code, error_class, told", [
    (404, "NoSuchBucket", BucketNotFound, "OBS_SERVER"),
    (404, "NoSuchKey", ObjectNotFound, "case-sensitive"),
    (403, "AccessDenied", AccessDenied, "Grant"),
    (403, "InvalidAccessKeyId", AccessDenied, "OBS_ACCESS_KEY_ID"),
    (403, "SignatureDoesNotMatch", AccessDenied, "OBS_SECRET_ACCESS_KEY"),
    (403, "ExpiredToken", AccessDenied, "expired"),
    (412, "PreconditionFailed", ObjectChanged, "was overwritten"),
    (409, "OperationAborted", StoreError, "OperationAborted"),
    (405, "MethodNotAllowed", StoreError, "MethodNotAllowed"),
    (301, "PermanentRedirect", StoreError, "region"),
])
def test_refusals_are_told_apart_and_are_not_tried_again(server, store, status, code, error_class, told):
    server.twist = lambda request: error(status, code)
    with pytest.raises(error_class) as caught:
        store.read("a")
    assert type(caught.value) is error_class and told in str(caught.value) and "obs://bucket/a" in str(caught.value)
    assert len(server.requests) == 1
    assert "hush" not in str(caught.value)


def test_a_head_without_reason_asks_for_it(server, store):
    server.twist = lambda request: reply(403) if request.method == "HEAD" else error(403, "SignatureDoesNotMatch")
    with pytest.raises(AccessDenied, match="SignatureDoesNotMatch"):
        store.head("a")
    server.twist = lambda request: reply(404) if request.method == "HEAD" else error(404, "NoSuchBucket")
    with pytest.raises(BucketNotFound):
        store.head("a")
    server.twist = lambda request: reply(404) if request.method == "HEAD" else error(403, "AccessDenied")
    with pytest.raises(ObjectNotFound):
        store.head("a")


def test_a_group_is_asked_for_at_once_and_each_failure_is_tried_again_by_itself(server, store, tmp_path):
    server.objects = {"%02d" % number: b"content of %d" % number for number in range(12)}
    infos = [ObjectInfo(key, len(data), md5(data), md5(data)) for key, data in sorted(server.objects.items())]
    large = [ObjectInfo("large", 1 << 30)]
    assert store.together(large + infos) == [large, infos] and store.together([]) == []
    assert [len(group) for group in store.together(infos[:1] * 150)] == [64, 64, 22]
    assert [len(group) for group in store.together([ObjectInfo("a", 1 << 18)] * 20)] == [16, 4]
    refused = {"00": error(503, "SlowDown"), "03": reply(0, close=True), "05": reply(200, b"content of X", close=True)}
    server.twist = lambda request: refused.pop(request.key, None)
    paths = [str(tmp_path / info.key) for info in infos[:8]]
    counted = []
    store.download_all(infos[:8], paths, counted.append)
    assert [open(path, "rb").read() for path in paths] == [server.objects[info.key] for info in infos[:8]]
    assert sum(counted) == sum(info.size for info in infos[:8]) and refused == {}
    assert len(server.requests) == 8 + 3


def test_what_has_to_be_asked_for_again_is_fetched_when_the_rest_of_its_group_has_come(server, store, tmp_path):
    server.objects = {key: key.encode() * 5 for key in "abcd"}
    infos = [ObjectInfo(key, 5, md5(data)) for key, data in sorted(server.objects.items())]
    refused, there = {"b": error(503, "SlowDown")}, []

    def twist(request):
        if request.key == "b" and not refused:
            there.extend(sorted(os.listdir(str(tmp_path))))
        return refused.pop(request.key, None)

    server.twist = twist
    store.download_all(infos, [str(tmp_path / info.key) for info in infos])
    assert there == ["a", "b", "c", "d"] and (tmp_path / "b").read_bytes() == b"bbbbb"


def test_a_group_with_an_object_that_has_changed_counts_nothing_and_leaves_no_answer_behind(server, store, tmp_path):
    server.objects = {key: key.encode() * 5 for key in "abcde"}
    infos = [ObjectInfo(key, 5, md5(data)) for key, data in sorted(server.objects.items())]
    server.objects["c"] = b"other"
    counted = []
    with pytest.raises(ObjectChanged):
        store.download_all(infos, [str(tmp_path / info.key) for info in infos], counted.append)
    assert sum(counted) == 0
    assert [store.read(key) for key in "edcba"] == [server.objects[key] for key in "edcba"]
