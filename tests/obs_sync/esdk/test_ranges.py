"""Large objects in pieces: every byte once, of one version, and gone on with after a kill."""
from __future__ import annotations

import functools
import hashlib
import json
import os
import subprocess
import sys
import threading

import pytest

from obs_sync import AccessDenied, ObjectChanged, ObjectInfo, StoreUnavailable, pull
from obs_sync.errors import WrongDigest
from obs_sync.esdk.ranges import download_ranges
from obs_sync.records import line_of
from tests.obs_sync.scripted_server import error, md5, reply, scripted_server, store_at
from tests.obs_sync.trees import read_tree

PIECE = 100000
DATA = os.urandom(10 * PIECE + 17)
ETAG = md5(DATA)
INFO = ObjectInfo("a", len(DATA), ETAG)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr("obs_sync.esdk.store.LARGE", 5 * PIECE)
    monkeypatch.setattr("obs_sync.transfer.workspace.LARGE", 5 * PIECE)
    monkeypatch.setattr("obs_sync.esdk.store.download_ranges", functools.partial(download_ranges, length=PIECE))


@pytest.fixture
def server():
    with scripted_server() as (script, url):
        script.url = url
        script.objects["a"] = DATA
        script.twist = ranged(script)
        yield script


@pytest.fixture
def store(server):
    with store_at(server.url) as store:
        yield store


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "out")


def span_of(request):
    """(first byte, byte after the last) of a request's Range, or None."""
    text = request.headers.get("Range")
    if text is None:
        return None
    first, _, last = text[len("bytes="):].partition("-")
    return int(first), int(last) + 1


def ranged(server, twist=lambda request, span: None, etag=None):
    """Answers ranges; `twist(request, (first, end))` may answer instead."""
    def answer(request):
        span = span_of(request)
        if request.method != "GET" or not request.key or span is None:
            return None
        twisted = twist(request, span)
        data = server.objects[request.key]
        if request.headers.get("If-Match") != (etag or md5(data)):
            return error(412, "PreconditionFailed")
        return twisted or part(data, span, etag)

    return answer


def part(data, span, etag=None, **options):
    headers = {"ETag": '"%s"' % (etag or md5(data)),
               "Content-Range": "bytes %d-%d/%d" % (span[0], span[1] - 1, len(data))}
    return reply(206, data[span[0]:span[1]], headers, **options)


def spans(server):
    return sorted(span_of(request) for request in server.requests if "Range" in request.headers)


def content(path):
    with open(path, "rb") as stream:
        return stream.read()


def once(answer):
    """A twist that answers the first request for which it has an answer."""
    lock, done = threading.Lock(), []

    def twist(request, span):
        with lock:
            found = None if done else answer(request, span)
            if found is not None:
                done.append(span)
        return found

    return twist


def test_the_pieces_make_the_whole_and_are_all_pinned(server, store, path):
    counted = []
    store.download(INFO, path, counted.append)
    assert content(path) == DATA and sum(counted) == len(DATA)
    assert spans(server) == [(start, min(start + PIECE, len(DATA))) for start in range(0, len(DATA), PIECE)]
    assert {request.headers["If-Match"] for request in server.requests} == {ETAG}
    assert os.listdir(os.path.dirname(path)) == ["out"]


def test_a_range_that_is_cut_short_goes_on_where_it_ended(server, store, path, monkeypatch):
    monkeypatch.setattr("obs_sync.http.reply._BUFFER", 10000)
    server.twist = ranged(server, once(
        lambda request, span: part(DATA, span)._replace(body=DATA[span[0]:span[0] + 40000], close=True)
        if span[0] == 3 * PIECE else None))
    counted = []
    store.download(INFO, path, counted.append)
    assert content(path) == DATA and sum(counted) == len(DATA) and min(counted) > 0
    (first, _), (second, end) = [span for span in spans(server) if 3 * PIECE <= span[0] < 4 * PIECE]
    assert first + 20000 <= second <= first + 40000 and end == 4 * PIECE


@pytest.mark.parametrize("answer", [
    lambda span: reply(200, DATA, {"ETag": ETAG}),
    lambda span: part(DATA, (span[0], span[1] - 1)),
    lambda span: part(DATA, span)._replace(body=DATA[span[0]:span[1] + 5], announced=span[1] - span[0] + 5)],
    ids=["the whole", "another range", "more than the range"])
def test_an_answer_to_another_question_is_not_taken(server, store, path, answer):
    server.twist = ranged(server, once(lambda request, span: answer(span)))
    store.download(INFO, path)
    assert content(path) == DATA
    assert len(spans(server)) == 12  # one of eleven twice


def test_a_server_that_cannot_do_ranges_is_read_in_one(server, store, path):
    server.twist = lambda request: None
    counted = []
    store.download(INFO, path, counted.append)
    assert content(path) == DATA and sum(counted) == len(DATA)
    assert "Range" not in server.requests[-1].headers


def test_an_object_that_is_overwritten_meanwhile_is_changed_and_not_mixed(server, store, path):
    def overwrite(request, span):
        if span[0] == 5 * PIECE:
            server.objects["a"] = DATA[::-1]
        return None

    server.twist = ranged(server, overwrite)
    counted = []
    with pytest.raises(ObjectChanged):
        store.download(INFO, path, counted.append)
    assert os.listdir(os.path.dirname(path)) == [] and sum(counted) == 0


def test_a_flipped_bit_is_noticed_and_all_is_fetched_again(server, store, path):
    flipped = DATA[:7 * PIECE] + bytes([DATA[7 * PIECE] ^ 1]) + DATA[7 * PIECE + 1:]
    server.twist = ranged(server, once(
        lambda request, span: part(flipped, span, ETAG) if span[0] == 7 * PIECE else None))
    store.download(INFO, path)
    assert content(path) == DATA


def test_the_callers_sha256_is_checked_on_the_way(server, store, path):
    etag = "0" * 32 + "-3"  # no MD5
    server.twist = ranged(server, etag=etag)
    right = ObjectInfo("a", len(DATA), etag, sha256=hashlib.sha256(DATA).hexdigest())
    store.download(right, path)
    assert content(path) == DATA
    with pytest.raises(WrongDigest, match="SHA-256"):
        store.download(ObjectInfo("a", len(DATA), etag, sha256="0" * 64), path)
    assert os.listdir(os.path.dirname(path)) == []


class Killed(Exception):
    pass


def kill_after(store, path, amount):
    """A download that ends at about `amount` bytes, as if by a signal; returns which pieces its map has."""
    lock, moved = threading.Lock(), [0]

    def count(size):
        with lock:
            moved[0] += size
            if moved[0] > amount:
                raise Killed()

    with pytest.raises(Killed):
        store.download(INFO, path, count)
    return sorted(pieces_recorded(path))


def pieces_recorded(path):
    """The numbers of the pieces in the map, in the order in which they arrived."""
    with open(path + ".pieces") as stream:
        return [json.loads(line[9:])[0] for line in stream.read().splitlines()[1:]]


def test_a_killed_download_goes_on_with_what_is_missing(server, store, path):
    present = kill_after(store, path, 6 * PIECE)
    assert 1 <= len(present) <= 7
    del server.requests[:]
    counted = []
    store.download(INFO, path, counted.append)
    assert content(path) == DATA and sum(counted) == len(DATA)
    asked = [span[0] // PIECE for span in spans(server)]
    assert asked == [number for number in range(11) if number not in present or number == 10]
    assert os.listdir(os.path.dirname(path)) == ["out"]


def test_pieces_that_a_crash_has_torn_are_fetched_again(server, store, path):
    kill_after(store, path, 6 * PIECE)
    recorded = pieces_recorded(path)
    with open(path, "r+b") as stream:
        stream.seek(recorded[0] * PIECE + 5)
        stream.write(b"torn!")
    with open(path + ".pieces", "r+b") as stream:
        stream.truncate(os.path.getsize(path + ".pieces") - 3)  # the last line, too
    del server.requests[:]
    store.download(INFO, path)
    assert content(path) == DATA
    intact = set(recorded[1:-1]) - {10}
    assert [span[0] // PIECE for span in spans(server)] == [number for number in range(11) if number not in intact]


@pytest.mark.parametrize("text", ["nonsense", "[1, 2, 3]", "[[1], 2]", "[1, null]", '"ab"', "{}", 100000 * "["],
                         ids=lambda text: text[:9])
def test_a_line_that_does_not_tell_of_a_piece_is_skipped(server, store, path, text):
    present = kill_after(store, path, 6 * PIECE)
    with open(path + ".pieces", "ab") as stream:
        stream.write(line_of(text))
    del server.requests[:]
    store.download(INFO, path)
    assert content(path) == DATA and len(spans(server)) == 11 - len(set(present) - {10})


def test_what_came_of_another_version_is_not_gone_on_with(server, store, path):
    kill_after(store, path, 6 * PIECE)
    other = server.objects["a"] = os.urandom(len(DATA))
    del server.requests[:]
    store.download(ObjectInfo("a", len(DATA), md5(other)), path)
    assert content(path) == other and len(spans(server)) == 11


def test_a_server_that_goes_down_leaves_what_came_and_counts_nothing(server, store, path):
    server.twist = ranged(server, lambda request, span: error(503, "SlowDown") if span[0] == 9 * PIECE else None)
    counted = []
    with pytest.raises(StoreUnavailable):
        store.download(INFO, path, counted.append)
    assert sum(counted) == 0 and os.path.exists(path + ".pieces")


def test_a_pull_goes_on_with_the_large_file_of_one_that_was_stopped(server, store, tmp_path):
    out = str(tmp_path / "tree")
    server.twist = ranged(server, lambda request, span: error(403, "AccessDenied") if span[0] == 9 * PIECE else None)
    with pytest.raises(AccessDenied):
        pull(store, out, workers=1)
    resumed = os.path.join(out, ".obs_sync", "resume")
    assert len(os.listdir(resumed)) == 2
    for of_another_version in ("0" * 64, "0" * 64 + ".pieces"):
        open(os.path.join(resumed, of_another_version), "w").close()
    server.twist = ranged(server)
    del server.requests[:]
    report = pull(store, out)
    assert report.files == 1 and content(os.path.join(out, "a")) == DATA
    assert 1 <= len(spans(server)) < 11
    assert sorted(os.listdir(os.path.join(out, ".obs_sync"))) == ["index.jsonl", "lock"]


def test_where_ranges_are_answered_short_the_object_is_fetched_in_one(server, store, path):
    server.twist = ranged(server, lambda request, span: part(DATA, span)._replace(
        body=DATA[span[0]:span[1] - 1], announced=span[1] - span[0] - 1))
    store.download(INFO, path)
    assert open(path, "rb").read() == DATA
    assert [request.method for request in server.requests if "Range" not in request.headers] == ["GET"]


CHILD = """
import functools, os, signal, sys
import obs_sync.esdk.store, obs_sync.transfer.workspace
from obs_sync import pull
from obs_sync.esdk.ranges import download_ranges
from tests.obs_sync.scripted_server import store_at
from tests.obs_sync.wrapped_store import WrappedStore

url, out, piece = sys.argv[1], sys.argv[2], int(sys.argv[3])
obs_sync.esdk.store.LARGE = obs_sync.transfer.workspace.LARGE = 5 * piece
obs_sync.esdk.store.download_ranges = functools.partial(download_ranges, length=piece)

class Suicidal(WrappedStore):
    moved = 0

    def download(self, info, path, on_bytes=None):
        def count(amount):
            self.moved += amount
            if self.moved > 7 * piece:
                os.kill(os.getpid(), signal.SIGKILL)
        return self.inner.download(info, path, count)

pull(Suicidal(store_at(url)), out)
"""


def test_after_sigkill_the_next_pull_asks_for_the_rest_only(server, store, tmp_path):
    out = str(tmp_path / "tree")
    child = subprocess.run([sys.executable, "-c", CHILD, server.url, out, str(PIECE)],
                           cwd=os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))))
    assert child.returncode == -9 and read_tree(out) == {}
    del server.requests[:]
    pull(store, out)
    assert read_tree(out) == {"a": DATA} and 1 <= len(spans(server)) < 11
