"""Uploads in parts against the mocked OBS: gone on with after a crash, and never in the place of something newer."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
import types
from unittest import mock

import pytest

from obs_sync import AccessDenied, IntegrityError, StoreUnavailable, open_store
from obs_sync.esdk import multipart, upload as esdk_upload
from obs_sync.esdk.reply import PartedMd5, parted_of
from obs_sync.mock import Call, ETag, Faults, Flip, Latency, Rule, Status
from obs_sync.parallel import Progress, run_aside, run_parallel
from obs_sync.retry import Retry

PART = 200000
SIZE = 5 * PART + 1
DATA = os.urandom(SIZE)
LAST_CHANGE = multipart.last_change
SMALL_PARTS = dict(part_size=PART, largest_put=PART)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    original = esdk_upload.put_file
    monkeypatch.setattr("obs_sync.esdk.store.put_file",
                        lambda *arguments, **options: original(*arguments, **options, **SMALL_PARTS))
    monkeypatch.setattr(multipart, "last_change", lambda status: status.st_mtime)  # which can be set


@pytest.fixture
def store(obs):
    with open_store("obs://bucket/", obs.environment(), retry=Retry(2, sleep=lambda seconds: None)) as store:
        yield store


@pytest.fixture
def path(tmp_path):
    (tmp_path / "big").write_bytes(DATA)
    os.utime(str(tmp_path / "big"), (time.time() - 60,) * 2)
    return str(tmp_path / "big")


def broken_off(obs, store, path, key="big", after=3, with_md5=True):
    """Upload the first parts one by one, then the network fails for good; returns the upload's id."""
    obs.faults = Faults([Rule(Status(503), operation="UploadPart", since=after + 1),
                         Rule(Status(503), operation="AbortMultipartUpload")])
    with mock.patch.object(multipart, "_WORKERS", 1), pytest.raises(StoreUnavailable):
        store.upload(path, key, with_md5=with_md5)
    obs.faults = Faults()
    return [upload_id for found, upload_id in obs.uploads("bucket") if found == key][-1]


def since(obs, before, operation):
    return obs.counts[operation] - before.get(operation, 0)


CHILD = """
import sys
from obs_sync import open_store
from obs_sync.esdk import store, upload
original = upload.put_file
store.put_file = lambda *arguments: original(*arguments, part_size={part}, largest_put={part})
open_store("obs://bucket/").upload(sys.argv[1], "big")
"""


def test_an_upload_whose_process_was_killed_goes_on_where_it_was(obs, store, path):
    children = []
    obs.faults = Faults([Rule(Call(lambda request: children[0].send_signal(signal.SIGKILL)), operation="UploadPart",
                              nth=6)])  # four are under way at once: two are there
    children.append(subprocess.Popen([sys.executable, "-c", CHILD.format(part=PART), path], env=obs.environment()))
    assert children[0].wait(60) == -signal.SIGKILL
    obs.faults = Faults()
    (_, upload_id), = obs.uploads("bucket")
    before, counted = dict(obs.counts), []
    assert store.upload(path, "big", counted.append).md5 == hashlib.md5(DATA).hexdigest()
    assert obs.get("bucket", "big") == DATA and obs.uploads("bucket") == []
    assert since(obs, before, "InitiateMultipartUpload") == 0
    assert since(obs, before, "UploadPart") < 6 and sum(counted) == SIZE


@pytest.mark.parametrize("with_md5", [True, False])
def test_only_what_is_missing_is_sent(obs, store, path, with_md5):
    broken_off(obs, store, path, with_md5=with_md5)
    before, counted = dict(obs.counts), []
    stored = store.upload(path, "big", counted.append, with_md5)
    assert obs.get("bucket", "big") == DATA and sum(counted) == SIZE and stored.etag == store.head("big").etag
    assert since(obs, before, "UploadPart") == 3


@pytest.mark.parametrize("changed", [0, SIZE - 1], ids=["in a part that is there", "in a part that was not sent"])
@pytest.mark.parametrize("with_md5", [True, False])
def test_a_file_that_has_changed_since_is_stored_as_it_is_now(obs, store, path, changed, with_md5):
    begun = broken_off(obs, store, path, with_md5=with_md5)
    other = bytearray(DATA)
    other[changed] ^= 1
    with open(path, "wb") as stream:
        stream.write(other)
    stored = store.upload(path, "big", with_md5=with_md5)
    assert obs.get("bucket", "big") == other
    assert store.head("big").md5 in (None, hashlib.md5(other).hexdigest())
    assert store.read("big") == other and (stored.md5 is None) == (not with_md5)
    assert changed or obs.uploads("bucket") == [("big", begun)]  # it may be somebody else's


@pytest.mark.parametrize("before", [True, False], ids=["MD5 told", "no MD5 told"])
@pytest.mark.parametrize("now", [True, False], ids=["MD5 wanted", "no MD5 wanted"])
def test_no_upload_is_completed_that_was_begun_before_the_file_changed(obs, store, path, before, now):
    """Not even for a moment: a process may die before it sees whose MD5 the object carries."""
    broken_off(obs, store, path, with_md5=before)
    other = DATA[:-1] + bytes([DATA[-1] ^ 1])
    with open(path, "wb") as stream:
        stream.write(other)
    obs.faults = Faults([Rule(Status(503), operation="InitiateMultipartUpload")])
    with pytest.raises(StoreUnavailable):
        store.upload(path, "big", with_md5=now)
    assert obs.keys("bucket") == []
    obs.faults = Faults()
    store.upload(path, "big", with_md5=now)
    assert store.read("big") == other


@pytest.mark.parametrize("ahead", [-600, 0, 600])
@pytest.mark.parametrize("resumed", [True, False])
def test_the_servers_clock_may_differ_from_ours(obs, store, path, monkeypatch, ahead, resumed):
    broken_off(obs, store, path)
    uploads, clock = multipart.list_uploads, multipart.clock_of
    monkeypatch.setattr(multipart, "list_uploads", lambda *arguments: [
        upload._replace(initiated=upload.initiated + ahead) for upload in uploads(*arguments)])
    monkeypatch.setattr(multipart, "clock_of", lambda *arguments: clock(*arguments) + ahead)
    if not resumed:
        os.utime(path)
    before = dict(obs.counts)
    store.upload(path, "big")
    assert obs.get("bucket", "big") == DATA and since(obs, before, "InitiateMultipartUpload") == (not resumed)


def test_a_file_that_is_put_in_place_with_an_old_time_counts_as_changed(path):
    assert LAST_CHANGE(os.stat(path)) > time.time() - 30 > os.stat(path).st_mtime


def test_a_file_that_changes_before_its_upload_is_begun_is_not_begun_with_the_wrong_md5(obs, store, path):
    def rewrite(request):
        with open(path, "r+b") as stream:
            stream.write(b"other")

    obs.faults = Faults([Rule(Call(rewrite), operation="ListMultipartUploads")])
    with pytest.raises(IntegrityError, match="changed while it was being stored"):
        store.upload(path, "big")
    assert obs.counts["InitiateMultipartUpload"] == 0


def test_a_file_of_another_length_is_begun_anew(obs, store, path):
    broken_off(obs, store, path, after=6 - 1)
    with open(path, "wb") as stream:
        stream.write(DATA[:3 * PART])
    store.upload(path, "big")
    assert obs.get("bucket", "big") == DATA[:3 * PART]


def test_an_upload_that_began_before_the_object_was_written_is_not_resumed(obs, store, path):
    """It would be completed, and the object would stay what it is: the upload that was begun later counts."""
    upload_id = broken_off(obs, store, path)
    store.write("big", b"newer")
    store.upload(path, "big")
    assert obs.get("bucket", "big") == DATA
    assert obs.uploads("bucket") == [("big", upload_id)]


def test_uploads_without_parts_and_of_other_keys_are_left_alone(obs, store, path):
    from obs import ObsClient
    client = ObsClient(**obs.client_arguments())
    begun = client.initiateMultipartUpload("bucket", "big").body.uploadId
    client.close()
    other = broken_off(obs, store, path, key="bigger")
    store.upload(path, "big")
    assert obs.get("bucket", "big") == DATA
    assert obs.uploads("bucket") == [("big", begun), ("bigger", other)]


@pytest.mark.parametrize("code", ["NoSuchUpload", "InvalidPart"])
def test_an_upload_that_somebody_else_ended_is_begun_anew(obs, store, path, code):
    broken_off(obs, store, path)
    status = 404 if code == "NoSuchUpload" else 400
    obs.faults = Faults([Rule(Status(status, code), operation="CompleteMultipartUpload", first=1)])
    store.upload(path, "big")
    assert obs.get("bucket", "big") == DATA


def test_an_upload_that_somebody_ends_every_time_is_worth_another_attempt_later(obs, store, path):
    obs.faults = Faults([Rule(Status(404, "NoSuchUpload"), operation="UploadPart")])
    with pytest.raises(StoreUnavailable, match="another process ended the upload"):
        store.upload(path, "big")
    assert obs.keys("bucket") == [] and obs.uploads("bucket") == []


@pytest.mark.parametrize("operation", ["ListMultipartUploads", "ListParts"])
@pytest.mark.parametrize("status", [403, 501, 503])
def test_whoever_may_not_list_uploads_can_upload_all_the_same(obs, store, path, operation, status):
    broken_off(obs, store, path)
    obs.faults = Faults([Rule(Status(status), operation=operation)])
    store.upload(path, "big")
    assert obs.get("bucket", "big") == DATA


def test_an_upload_that_will_not_mend_is_aborted(obs, store, path):
    obs.faults = Faults([Rule(Status(403, "AccessDenied"), operation="UploadPart", since=3)])
    with pytest.raises(AccessDenied):
        store.upload(path, "big")
    assert obs.uploads("bucket") == []


def test_a_file_that_is_rewritten_between_its_parts_is_not_stored(obs, store, path):
    def rewrite(request):
        with open(path, "r+b") as stream:
            stream.write(b"other")

    obs.faults = Faults([Rule(Call(rewrite), operation="UploadPart", nth=2)])
    with pytest.raises(IntegrityError, match="changed while it was being stored"):
        store.upload(path, "big", with_md5=False)
    assert obs.keys("bucket") == [] and obs.uploads("bucket") == []


def test_a_file_that_is_added_to_is_stored_up_to_the_length_that_it_had(obs, store, path):
    def add(request):
        with open(path, "ab") as stream:
            stream.write(b"more")

    obs.faults = Faults([Rule(Call(add), operation="UploadPart", nth=1)])
    store.upload(path, "big")
    assert obs.get("bucket", "big") == DATA


def test_an_object_that_was_overwritten_right_after_is_noticed_even_without_an_md5(obs, store, path):
    obs.faults = Faults([Rule(Call(lambda request: obs.put("bucket", "big", bytes(SIZE)), "after"),
                              operation="CompleteMultipartUpload")])
    with pytest.raises(IntegrityError, match="nother program"):
        store.upload(path, "big", with_md5=False)


def test_the_md5_of_the_whole_goes_with_the_object_if_it_is_wanted(obs, store, path):
    store.upload(path, "with")
    store.upload(path, "without", with_md5=False)
    assert obs.info("bucket", "with").properties.metadata == {
        "md5chksum": base64.b64encode(hashlib.md5(DATA).digest()).decode(), "part-size": str(PART)}
    assert obs.info("bucket", "without").properties.metadata == {"part-size": str(PART)}


@pytest.mark.parametrize("in_ranges", [False, True])
def test_without_it_the_parts_md5s_are_compared_on_the_way_down(obs, store, path, tmp_path, monkeypatch, in_ranges):
    if in_ranges:
        monkeypatch.setattr("obs_sync.esdk.store.LARGE", 1)
    store.upload(path, "big", with_md5=False)
    info = store.head("big")
    for at in (0, PART - 1, PART, SIZE - 1):
        obs.faults = Faults([Rule(Flip(at), operation="GetObject", first=1)])
        store.download(info, str(tmp_path / "out"))
        assert (tmp_path / "out").read_bytes() == DATA and obs.injected["flip=reply"]
        obs.faults = Faults([Rule(Flip(at), operation="GetObject")])
        with pytest.raises(IntegrityError, match="MD5"):
            store.download(info, str(tmp_path / "out"))
    obs.faults = Faults()
    assert store.read("big") == DATA


@pytest.mark.parametrize("size", [0, 1, 99, 100, 101, 200, 250])
@pytest.mark.parametrize("step", [1, 7, 100, 1000])
def test_the_md5_of_parts_does_not_hang_on_how_they_arrive(size, step):
    data = os.urandom(size)
    parts = [hashlib.md5(data[start:start + 100]).digest() for start in range(0, size, 100)]
    digest = PartedMd5(100)
    for start in range(0, size, step):
        digest.update(data[start:start + step])
    assert digest.hexdigest() == "{}-{}".format(hashlib.md5(b"".join(parts)).hexdigest(), len(parts))


@pytest.mark.parametrize("headers", [
    {"etag": '"{}-2"'.format("0" * 32)}, {"part-size": "100"}, {"etag": '"{}"'.format("0" * 32), "part-size": "100"},
    {"etag": '"{}-2"'.format("0" * 32), "part-size": "200"}, {"etag": '"{}-2"'.format("0" * 32), "part-size": "0"},
    {"etag": '"{}-2"'.format("0" * 32), "part-size": "-100"},
    {"etag": '"{}-2"'.format("0" * 32), "part-size": "100", "server-side-encryption": "kms"}])
def test_an_etag_that_need_not_be_of_such_parts_is_no_digest(headers):
    assert parted_of(types.SimpleNamespace(header=list(headers.items())), 150) is None


def test_an_etag_of_parts_of_a_known_size_is_a_digest():
    header = [("etag", '"{}-2"'.format("0" * 32)), ("part-size", "100")]
    assert parted_of(types.SimpleNamespace(header=header), 150) == ("0" * 32 + "-2", 100)


def test_a_file_is_read_once_unless_the_md5_of_the_whole_is_wanted(obs, store, path, monkeypatch):
    read, original = [], esdk_upload.Multipart._read
    monkeypatch.setattr(esdk_upload, "_md5_of_start", lambda *arguments: pytest.fail("it is read a second time"))
    monkeypatch.setattr(esdk_upload.Multipart, "_read",
                        lambda self, part, inner: read.append(part.number) or original(self, part, inner))
    store.upload(path, "big", with_md5=False)
    assert sorted(read) == [1, 2, 3, 4, 5, 6]


def test_many_uploads_at_once_hold_no_more_than_one_in_memory(obs, store, path, monkeypatch):
    original, lock, held, most = esdk_upload.Multipart._read, threading.Lock(), [0], [0]

    @contextlib.contextmanager
    def read(self, part, inner):
        with original(self, part, inner) as data:
            with lock:
                held[0] += 1
                most[0] = max(most[0], held[0])
            try:
                yield data
            finally:
                with lock:
                    held[0] -= 1

    monkeypatch.setattr(esdk_upload.Multipart, "_read", read)
    obs.faults = Faults([Rule(Latency(0.02), "UploadPart")])
    run_parallel(lambda number: store.upload(path, "big%d" % number), range(5), 5, Progress(0, None))
    assert all(obs.get("bucket", "big%d" % number) == DATA for number in range(5))
    assert 1 < most[0] <= 4


def test_a_read_that_brings_no_etag_is_compared_with_the_parts_md5s_all_the_same(obs, store, path):
    store.upload(path, "big", with_md5=False)
    obs.faults = Faults([Rule(ETag("missing"), operation="GetObject"), Rule(Flip(5), operation="GetObject", first=2)])
    assert store.read("big") == DATA
    obs.faults = Faults([Rule(ETag("missing"), operation="GetObject"), Rule(Flip(5), operation="GetObject")])
    with pytest.raises(IntegrityError, match="MD5"):
        store.read("big")


@pytest.mark.parametrize("kind", [KeyboardInterrupt, RuntimeError])
def test_an_upload_that_is_stopped_keeps_its_parts_and_is_gone_on_with(obs, store, path, kind):
    def stop(done, total):
        if done > 3 * PART:
            raise kind

    progress = Progress(SIZE, stop)
    obs.faults = Faults([Rule(Latency(0.3), operation="UploadPart", since=4)])
    with mock.patch.object(multipart, "_WORKERS", 1), pytest.raises(kind):
        run_aside(lambda: store.upload(path, "big", progress.add), progress)
    obs.faults = Faults()
    assert [key for key, _ in obs.uploads("bucket")] == ["big"]
    before = dict(obs.counts)
    store.upload(path, "big")
    assert obs.get("bucket", "big") == DATA and obs.uploads("bucket") == []
    assert since(obs, before, "InitiateMultipartUpload") == 0 and since(obs, before, "UploadPart") <= 3
