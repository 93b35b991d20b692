"""Documents that somebody else has written to the store, each kind with a thousand changes: nothing but the documented
errors comes out, and what is skipped is told."""
from __future__ import annotations

import json
import random
import time

import pytest

from obs_sync import IntegrityError, list_markers, read_pointer
from obs_sync.checkpoints.markers import Marker, MarkerFile, NotAMarker, parse_marker
from obs_sync.checkpoints.verify import verify_checkpoints
from obs_sync.lease.claims import Claims, claim_content, read_claim
from obs_sync.lease.lease import Lease
from obs_sync.lease.owner import Owner, this_process
from obs_sync.packs.index import FORMAT, PackIndex, PackMember, Shard, parse_index, shard_name
from obs_sync.records import line_of
from obs_sync.transfer.index import Index
from obs_sync.transfer.plan import Fetched
from tests.mutations import changed_bytes

SHA = 64 * "0"
MARKER = json.loads(Marker("one", "2026-01-31T12:00:00Z", (MarkerFile("a", 1, SHA), MarkerFile("b/c", 2, SHA)),
                           {"iteration": 7, "lineage": "l", "scores": {"photo": [1.5]}}).to_json().decode("ascii"))
POINTER = {"format": "masf-pointer/1", "name": "one", "metadata": {"iteration": 7}}
OWNER = Owner("host", 7, "machine", "1", "job")
CLAIM = json.loads(claim_content(OWNER, True, "2026-01-31T12:00:00Z", writes=3).decode("ascii"))
ROWS = [["a", 512, 10, SHA], ["b/c", 1536, 20, SHA]]
INDEX = json.loads(PackIndex((Shard(shard_name(4096, ROWS), 4096, tuple(PackMember(*row) for row in ROWS)),))
                   .to_json().decode("ascii"))


def changes(content, count=1000):
    chosen = random.Random(count)
    return [changed_bytes(content, chosen) for _ in range(count)]


def refused(read, documents, errors):
    """How many are refused with one of ``errors``; any other exception ends the test."""
    found = 0
    for data in documents:
        try:
            read(data)
        except errors as error:
            assert len(str(error)) < 12000 and "\n" not in str(error)
            found += 1
    return found


def test_the_documents_themselves_are_good():
    assert parse_marker(json.dumps(MARKER).encode(), "one").size == 3
    assert parse_index(json.dumps(INDEX).encode(), "there").bytes == 30 and INDEX["format"] == FORMAT


def test_a_marker_is_whole_or_no_marker():
    assert refused(lambda data: parse_marker(data, "one"), changes(MARKER), NotAMarker) > 500


def test_an_index_of_a_pack_is_whole_or_refused():
    assert refused(lambda data: parse_index(data, "there"), changes(INDEX), IntegrityError) > 700


def test_a_pointer_names_a_checkpoint_or_is_refused(local_store):
    def read(data):
        local_store.write("checkpoints/best.json", data)
        assert read_pointer(local_store, "best") != ""

    assert refused(read, changes(POINTER, 400), IntegrityError) > 150


def test_a_listing_of_checkpoints_skips_what_is_damaged_and_says_so(local_store):
    for number, data in enumerate(changes(MARKER, 300)):
        local_store.write(f"checkpoints/{number}.json", data.replace(b'"one"', b'"%d"' % number))
    told = {}
    found = list_markers(local_store, on_corrupt=told.__setitem__)
    assert len(found) > 20 and len(told) > 100 and all(reason and "\n" not in reason for reason in told.values())
    (folder,) = verify_checkpoints(local_store)
    assert len(folder.verdicts) == len(found) + len(told) and all(verdict.faults for verdict in folder.verdicts)


def test_a_claim_that_cannot_be_read_is_held_by_somebody(local_store):
    unreadable = 0
    for data in changes(CLAIM, 400):
        local_store.write("lease/a.json", data)
        claim = read_claim(local_store, local_store.head("lease/a.json"))
        assert isinstance(claim.held, bool)
        unreadable += claim.owner is None
        assert claim.held or claim.owner is not None
        (other,) = Claims(local_store, this_process("j"), 60.0, time.monotonic, None).others(None, 0.0)
        assert other.content == claim
    assert unreadable > 150


def test_a_claim_that_cannot_be_read_is_waited_for(local_store):
    local_store.write("lease/a.json", b"[" * 100000)
    with pytest.raises(RuntimeError, match="waited"):
        Lease(local_store, this_process("j"), sleep=_no_waiting).acquire()
    assert [info.key for info in local_store.list("lease/")] == ["lease/a.json"]


def _no_waiting(seconds):
    raise RuntimeError("waited")


def test_a_line_of_a_transfer_index_is_a_record_or_is_skipped(tmp_path):
    good = ["a/b", 10, "etag", 5]
    for data in changes(good):
        index = Index(str(tmp_path / "index.jsonl"), "obs://b/", "boot")
        index.start({"kept": Fetched(1, None, 2)})
        index.close()
        with open(str(tmp_path / "index.jsonl"), "ab") as stream:
            text = data.decode("ascii", "replace").replace("\n", " ").encode("ascii", "replace").decode("ascii")
            stream.write(line_of(text))
        found = index.load()
        assert found.pop("kept") == Fetched(1, None, 2)
        for key, fetched in found.items():
            assert isinstance(key, str) and type(fetched.size) is int and type(fetched.mtime_ns) is int


def test_what_is_too_large_is_not_read(local_store, monkeypatch):
    monkeypatch.setattr("obs_sync.checkpoints.publish.LARGEST", 100)
    monkeypatch.setattr("obs_sync.checkpoints.pointers.LARGEST", 50)
    monkeypatch.setattr("obs_sync.lease.claims._LARGEST", 50)
    read = []
    inner = local_store.read
    monkeypatch.setattr(local_store, "read", lambda key: read.append(key) or inner(key), raising=False)
    for key, content in (("checkpoints/one.json", MARKER), ("lease/a.json", CLAIM), ("other/best.json", POINTER)):
        local_store.write(key, json.dumps(content).encode())
    told = {}
    assert list_markers(local_store, on_corrupt=told.__setitem__) == []
    assert told == {"checkpoints/one.json": f"it has {len(json.dumps(MARKER))} bytes; at most 100 are read"}
    with pytest.raises(IntegrityError, match="at most 50 are read"):
        read_pointer(local_store, "best", prefix="other/")
    assert read_claim(local_store, local_store.head("lease/a.json")).owner is None
    assert read == []
