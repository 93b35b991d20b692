"""A mocked OBS that the command line finds in the environment."""

from __future__ import annotations

import os
import sys

import pytest

from obs_sync import open_store
from obs_sync.mock import mock_obs
from tests.job.sync.bucket import TREE, URL, Sync
from tests.obs_sync.trees import write_tree

FAKES = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "fakes")


@pytest.fixture
def sync(capsys):
    return Sync(capsys)


@pytest.fixture
def obs():
    with mock_obs(buckets=["bucket"]) as server:
        yield server


@pytest.fixture
def store(obs):
    with open_store(URL, os.environ) as opened:
        yield opened


@pytest.fixture
def source(tmp_path):
    return write_tree(tmp_path / "source", TREE)


@pytest.fixture
def filled(store):
    """The bucket holds TREE."""
    for key, data in TREE.items():
        store.write(key, data)
    return store


@pytest.fixture
def moxing(tmp_path, monkeypatch):
    """The stand-in of moxing, with the same bucket, for --storage moxing."""
    monkeypatch.syspath_prepend(FAKES)
    monkeypatch.setenv("FAKE_MOXING_ROOT", str(tmp_path / "moxing"))
    os.makedirs(str(tmp_path / "moxing" / "bucket"))
    yield
    for name in ("moxing", "moxing.file"):
        sys.modules.pop(name, None)
