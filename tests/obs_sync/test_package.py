"""The names of the package, which are imported when they are asked for."""
from __future__ import annotations

import subprocess
import sys

import pytest

import obs_sync


def test_every_name_that_is_published_is_there():
    for name in obs_sync.__all__:
        assert getattr(obs_sync, name).__name__ == name
    assert set(obs_sync.__all__) <= set(dir(obs_sync))


def test_another_name_is_the_usual_error():
    with pytest.raises(AttributeError, match="module 'obs_sync' has no attribute 'pul'"):
        getattr(obs_sync, "pul")  # noqa: B009
    with pytest.raises(ImportError, match="cannot import name 'pul'"):
        from obs_sync import pul  # noqa: F401


def test_to_open_a_store_nothing_of_leases_checkpoints_and_packing_is_imported():
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from obs_sync import open_store; print(*sorted(sys.modules))"],
        stdout=subprocess.PIPE, universal_newlines=True, check=True)
    modules = done.stdout.split()
    assert "obs_sync.opening" in modules
    assert not {"obs", "obs_sync.lease.lease", "obs_sync.checkpoints.publish", "obs_sync.packs.publish"} & set(modules)
