"""The index of a pack comes from outside: whatever is wrong with it is one clear error, before anything is written."""

from __future__ import annotations

import hashlib
import json
import os

import pytest

from obs_sync import IntegrityError, LocalStore, pack, pull
from obs_sync.packs.index import INDEX_NAME, parse_index, shard_name
from tests.obs_sync.trees import read_tree, write_tree
from tests.obs_sync.wrapped_store import WrappedStore

SHA = "0" * 64


def index_of(rows, size=10000, **others):
    """An index of one shard that fits its name."""
    members = [row for row in rows if isinstance(row, list) and len(row) == 4 and isinstance(row[2], int)]
    content = {"format": "masf-pack/1", "files": len(rows), "bytes": sum(row[2] for row in members),
               "shards": [{"name": shard_name(size, rows), "size": size, "members": rows}]}
    return json.dumps({**content, **others}).encode("ascii")


def test_what_is_right_is_read():
    index = parse_index(index_of([["a/b", 512, 9488, SHA], ["c", 0, 0, SHA]]), "obs://b/masf-pack.json")
    assert [member.key for member in index.members] == ["a/b", "c"] and index.bytes == 9488


ROWS = {
    "leaves its directory": ["../evil", 0, 1, SHA],
    "leaves it from within": ["a/../../evil", 0, 1, SHA],
    "is absolute": ["/etc/evil", 0, 1, SHA],
    "has a backslash": ["a\\b", 0, 1, SHA],
    "is in our own folder": [".obs_sync/lock", 0, 1, SHA],
    "is empty": ["", 0, 1, SHA],
    "is half a character": ["\ud800", 0, 1, SHA],
    "is no text": [5, 0, 1, SHA],
    "ends behind the shard": ["a", 9999, 2, SHA],
    "begins before it": ["a", -1, 2, SHA],
    "has less than nothing": ["a", 5, -1, SHA],
    "has a fraction of a byte": ["a", 5, 1.5, SHA],
    "has a truth for a size": ["a", 5, True, SHA],
    "has a size in words": ["a", 5, "1", SHA],
    "has no digest": ["a", 5, 1, None],
    "has a short digest": ["a", 5, 1, "0" * 63],
    "has a digest in capitals": ["a", 5, 1, "A" * 64],
    "has a digest with a line break": ["a", 5, 1, SHA + "\n"],
    "has too few fields": ["a", 5, 1],
    "is no list": {"key": "a"},
    "lies on the bytes of another": ["a", 0, 2, SHA],
    "has a folder in a folder for ever": ["d/" * 1500 + "f", 5, 1, SHA],
}


@pytest.mark.parametrize("wrong", sorted(ROWS))
def test_a_member_that_is_wrong_stops_everything(wrong, tmp_path):
    store = LocalStore(write_tree(tmp_path / "packed", {INDEX_NAME: index_of([["good", 0, 1, SHA], ROWS[wrong]])}))
    with pytest.raises(IntegrityError, match="index of the pack is damaged") as caught:
        pull(store, str(tmp_path / "out"))
    assert INDEX_NAME in str(caught.value) and "Pack the source again" in str(caught.value)
    assert read_tree(tmp_path / "out") == {} and sorted(os.listdir(str(tmp_path))) == ["out", "packed"]


GOOD = [["a", 0, 1, SHA]]
WHOLES = {
    "empty": b"",
    "no JSON": b"\xff\xfe",
    "bottomless": b"[" * 100000,
    "no object": b"[]",
    "no pack": b"{}",
    "another document": index_of(GOOD, format="masf-checkpoint/1"),
    "no shards": index_of(GOOD, shards=None),
    "shards of nothing": index_of(GOOD, shards=[None]),
    "a shard that is none": index_of(GOOD, shards=[{"name": "../" + shard_name(9, GOOD), "size": 9, "members": GOOD}]),
    "a shard of another table": index_of(GOOD, shards=[{"name": shard_name(9, []), "size": 9, "members": GOOD}]),
    "a shard of another size": index_of(GOOD, shards=[{"name": shard_name(9, GOOD), "size": 8, "members": GOOD}]),
    "a shard without members": index_of(GOOD, shards=[{"name": shard_name(9, []), "size": 9, "members": None}]),
    "a member twice": index_of([["a", 0, 1, SHA], ["a", 1, 1, SHA]]),
    "a shard left out": index_of(GOOD, files=2),
    "bytes left out": index_of(GOOD, bytes=2),
    "nothing at all": index_of([], shards=[]),
}


@pytest.mark.parametrize("wrong", sorted(WHOLES))
def test_an_index_that_is_damaged_is_one_clear_error(wrong):
    with pytest.raises(IntegrityError, match="index of the pack is damaged.*obs://b/masf-pack.json"):
        parse_index(WHOLES[wrong], "obs://b/masf-pack.json")


def test_an_index_of_another_version_is_told():
    with pytest.raises(IntegrityError, match="'masf-pack/2'; this version reads only 'masf-pack/1'"):
        parse_index(index_of(GOOD, format="masf-pack/2"), "obs://b/masf-pack.json")


def test_an_index_of_any_size_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("obs_sync.packs.contents.LARGEST_INDEX", 10)
    store = LocalStore(write_tree(tmp_path / "packed", {INDEX_NAME: index_of(GOOD)}))
    with pytest.raises(IntegrityError, match="at most 10 are read"):
        pull(store, str(tmp_path / "out"))


def test_any_flipped_bit_of_an_index_is_noticed(tmp_path):
    source = write_tree(tmp_path / "source", {"a/Höhe.jpg": b"1" * 100, "b": b"2"})
    pack(LocalStore(str(tmp_path / "packed")), source)
    data = (tmp_path / "packed" / INDEX_NAME).read_bytes()
    right = parse_index(data, "x")
    for position in range(len(data)):
        for bit in range(8):
            flipped = data[:position] + bytes([data[position] ^ 1 << bit]) + data[position + 1:]
            try:
                assert parse_index(flipped, "x") == right  # a space for a tab, or a letter of \u00f6
            except IntegrityError:
                pass


@pytest.mark.parametrize("rows", [
    [["large", 0, 6 << 20, SHA], ["small", 512, 10, SHA]], [["small", 512, 10, SHA], ["large", 0, 6 << 20, SHA]],
    [["a", 10, 5, SHA], ["b", 10, 5, SHA]], [["a", 0, 6, SHA], ["b", 3, 0, SHA], ["c", 5, 1, SHA]]])
def test_members_that_share_bytes_are_refused(rows):
    with pytest.raises(IntegrityError, match="'.*' and '.*' overlap in the shard"):
        parse_index(index_of(rows, size=6 << 20), "x")


@pytest.mark.parametrize("size, requests", [(5 << 20, 5), (1 << 20, 1)])
def test_a_member_without_bytes_may_lie_anywhere(size, requests, tmp_path):
    data = os.urandom(size)
    digests = hashlib.sha256(data).hexdigest(), hashlib.sha256(b"").hexdigest()
    rows = [["a", 0, 0, digests[1]], ["b", 0, size, digests[0]], ["c", 0, 0, digests[1]], ["d", 700, 0, digests[1]],
            ["e", size, 0, digests[1]]]
    store = WrappedStore(LocalStore(write_tree(tmp_path / "packed", {
        INDEX_NAME: index_of(rows, size), shard_name(size, rows): data})))
    pull(store, str(tmp_path / "out"), workers=1)
    assert read_tree(tmp_path / "out") == {"a": b"", "b": data, "c": b"", "d": b"", "e": b""}
    assert len(store.calls_of("read_range")) == requests  # and nothing is read a second time


def test_members_that_cannot_be_files_together_stop_everything(tmp_path):
    rows = [["photo", 0, 1, SHA], ["photo/dog.jpg", 1, 1, SHA]]
    store = LocalStore(write_tree(tmp_path / "packed", {INDEX_NAME: index_of(rows),
                                                        shard_name(10000, rows): bytes(10000)}))
    with pytest.raises(ValueError, match="'photo' cannot be both a file"):
        pull(store, str(tmp_path / "out"))
    assert read_tree(tmp_path / "out") == {}
