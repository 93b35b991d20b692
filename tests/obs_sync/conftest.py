"""Stores to test against: the same bodies run over every one of them."""

from __future__ import annotations

import os
import sys
from urllib.parse import quote

import pytest

from obs_sync import LocalStore, Store, open_store
from obs_sync.moxing_store import MoxingStore

FAKES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fakes")


@pytest.fixture
def moxing_file(tmp_path, monkeypatch):
    """The stand-in of moxing.file, with an empty bucket named `bucket`."""
    monkeypatch.syspath_prepend(FAKES)
    monkeypatch.setenv("FAKE_MOXING_ROOT", str(tmp_path / "moxing"))
    os.makedirs(str(tmp_path / "moxing" / "bucket"))
    import moxing
    yield moxing.file
    for name in ("moxing", "moxing.file"):
        sys.modules.pop(name, None)


@pytest.fixture
def obs():
    """The mocked OBS, with an empty bucket named `bucket`, spoken to in the production dialect."""
    from obs_sync.mock import mock_obs
    with mock_obs() as server:
        server.create_bucket("bucket")
        yield server


@pytest.fixture
def local_store(tmp_path) -> Store:
    return LocalStore(str(tmp_path / "store"))


@pytest.fixture
def esdk_store(obs):
    with open_store("obs://bucket/base/", obs.environment()) as store:
        yield store


@pytest.fixture
def moxing_store(moxing_file) -> Store:
    return MoxingStore(moxing_file, "obs://bucket/base/")


@pytest.fixture(params=["local", "esdk", "moxing"])
def store(request) -> Store:
    return request.getfixturevalue(f"{request.param}_store")


@pytest.fixture
def put(request, store):
    """Puts an object below the store as somebody else would, with any key; what is behind the store must take it."""
    if type(store).__name__ == "EsdkStore":
        def put_through_sdk(key, data):
            calls = store._calls
            assert calls.client.sdk.putContent(calls.bucket, "base/" + key, content=data).status < 300
        return put_through_sdk
    if type(store).__name__ == "MoxingStore":
        bucket = str(request.getfixturevalue("tmp_path") / "moxing" / "bucket")

        def put_in_bucket(key, data):
            with open(os.path.join(bucket, quote("base/" + key, safe="")), "wb") as stream:
                stream.write(data)
        return put_in_bucket

    def put_in_folder(key, data):
        path = os.path.join(store.url, key)
        if key.endswith("/") or not key:
            os.makedirs(path, exist_ok=True)
        elif not os.path.isdir(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as stream:
                stream.write(data)
    return put_in_folder
