"""Objects of which OBS knows a CRC-64 and no MD5: those that others stored in parts and asked for it."""
from __future__ import annotations

import os
import sys

import pytest

from obs_sync import IntegrityError, open_store
from obs_sync.esdk.crc64 import new_crc64
from obs_sync.mock import ETag, Faults, Flip, Rule
from obs_sync.retry import Retry

PART = 102400
DATA = os.urandom(3 * PART + 17)


@pytest.fixture
def store(obs, tmp_path):
    from obs import ObsClient
    (tmp_path / "source").write_bytes(DATA)
    client = ObsClient(**obs.client_arguments())
    stored = client.uploadFile("bucket", "a", str(tmp_path / "source"), partSize=PART, isAttachCrc64=True)
    client.close()
    assert stored.status == 200
    with open_store("obs://bucket/", obs.environment(), retry=Retry(2, sleep=lambda seconds: None)) as store:
        yield store


@pytest.fixture(params=[False, True], ids=["in one", "in ranges"])
def in_ranges(request, monkeypatch):
    if request.param:
        monkeypatch.setattr("obs_sync.esdk.store.LARGE", 1)
    return request.param


@pytest.mark.parametrize("at", [0, PART, len(DATA) - 1])
def test_a_flipped_bit_is_noticed_and_fetched_again_or_refused(obs, store, tmp_path, in_ranges, at):
    info = store.head("a")
    assert info.md5 is None
    obs.faults = Faults([Rule(Flip(at), operation="GetObject", first=1)])
    store.download(info, str(tmp_path / "out"))
    assert (tmp_path / "out").read_bytes() == DATA and obs.injected["flip=reply"] == 1
    obs.faults = Faults([Rule(Flip(at), operation="GetObject")])
    with pytest.raises(IntegrityError, match="CRC-64"):
        store.download(info, str(tmp_path / "out"))


def test_what_is_right_comes(obs, store, tmp_path, in_ranges):
    store.download(store.head("a"), str(tmp_path / "out"))
    assert (tmp_path / "out").read_bytes() == DATA == store.read("a")


def test_a_read_is_checked_too(obs, store):
    obs.faults = Faults([Rule(Flip(5), operation="GetObject", first=1)])
    assert store.read("a") == DATA
    obs.faults = Faults([Rule(Flip(5), operation="GetObject")])
    with pytest.raises(IntegrityError, match="CRC-64"):
        store.read("a")


def test_the_crc_of_another_version_is_not_held_against_this_one(obs, store, tmp_path, monkeypatch):
    monkeypatch.setattr("obs_sync.esdk.store.LARGE", 1)
    info = store.head("a")
    obs.faults = Faults([Rule(ETag("wrong"), operation="HeadObject")])
    store.download(info, str(tmp_path / "out"))
    assert (tmp_path / "out").read_bytes() == DATA


def test_without_crcmods_c_code_it_is_not_computed_and_the_object_comes(store, tmp_path, monkeypatch, in_ranges):
    monkeypatch.setitem(sys.modules, "crcmod._crcfunext", None)
    assert new_crc64() is None
    store.download(store.head("a"), str(tmp_path / "out"))
    assert (tmp_path / "out").read_bytes() == DATA


def test_the_check_value_of_the_catalogue():
    digest = new_crc64()
    for piece in (b"1234", memoryview(b"56789")):
        digest.update(piece)
    assert digest.hexdigest() == str(0x995DC9BBDF1939FA)
