"""Stores to test against: the same bodies run over every one of them."""

from __future__ import annotations

import os
import sys

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
