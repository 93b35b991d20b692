from __future__ import annotations

import pytest

from obs_sync import LocalStorageError
from obs_sync.transfer.index import Index
from obs_sync.transfer.plan import Fetched

A, B = Fetched(1, "etag-a", 10), Fetched(2, None, 20)


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "index.jsonl")


def write(path, *records, source="obs://bucket/", boot="boot"):
    index = Index(path, source, boot)
    index.start({})
    for key, fetched in records:
        index.add(key, fetched)
    index.close()


def test_what_was_added_is_known_later(path):
    write(path, ("a", A), ("ümläut\n", B))
    assert Index(path, "obs://bucket/", "boot").load() == {"a": A, "ümläut\n": B}


def test_the_later_record_counts(path):
    write(path, ("a", A), ("a", B))
    assert Index(path, "obs://bucket/", "boot").load() == {"a": B}


def test_records_are_known_even_if_nobody_closed_the_index(path):
    index = Index(path, "obs://bucket/", "boot")
    index.start({"a": A})
    index.add("b", B)
    assert Index(path, "obs://bucket/", "boot").load() == {"a": A, "b": B}


def test_an_index_of_another_source_or_another_boot_is_not_believed(path):
    write(path, ("a", A))
    assert Index(path, "obs://other/", "boot").load() == {}
    assert Index(path, "obs://bucket/", "next boot").load() == {}


def test_without_an_index_nothing_is_known(path):
    assert Index(path, "obs://bucket/", "boot").load() == {}


def test_no_cut_and_no_flipped_bit_makes_a_wrong_record(path):
    write(path, ("a", A), ("b", B))
    with open(path, "rb") as stream:
        whole = stream.read()
    true_records = {"a": A, "b": B}.items()
    for length in range(len(whole)):
        with open(path, "wb") as stream:
            stream.write(whole[:length])
        assert Index(path, "obs://bucket/", "boot").load().items() <= true_records
    for position in range(len(whole)):
        with open(path, "wb") as stream:
            stream.write(whole[:position] + bytes([whole[position] ^ 4]) + whole[position + 1:])
        assert Index(path, "obs://bucket/", "boot").load().items() <= true_records


def test_a_torn_line_costs_only_the_next(path):
    write(path, ("a", A))
    with open(path, "ab") as stream:
        stream.write(b"0123")
    with open(path, "ab") as stream:
        stream.write(b"4567 []\n")
    assert Index(path, "obs://bucket/", "boot").load() == {"a": A}


def test_an_index_that_cannot_be_written_is_a_local_error(tmp_path):
    with pytest.raises(LocalStorageError):
        Index(str(tmp_path / "no" / "index"), "obs://bucket/", "boot").start({})
