"""weights_path names a file, a checkpoint or a run."""

from __future__ import annotations

import os
import types

import numpy as np
import pytest

from job.config.settings import config_of
from job.console import Console
from job.inputs.fetch import fetch_inputs
from job.inputs.fetch_weights import fetch_weights
from job.publication.retention import BEST
from job.workspace import prepare_workspace
from masf_core.errors import WeightsError
from masf_core.network.pretrained import is_network_file, read_pretrained
from masf_core.records.npz import write_npz
from obs_sync import IntegrityError, open_store, publish_checkpoint, write_pointer
from obs_sync.local.files import digest_of
from obs_sync.mock import mock_obs
from tests.masf_core.data.datasets import write_folders

ARRAYS = {"conv1/weights": np.ones((2, 3), np.float32), "conv1/biases": np.arange(3, dtype=np.float32)}


@pytest.fixture(scope="module")
def environ():
    with mock_obs(buckets=["bucket"]) as mock:
        yield mock.environment()


@pytest.fixture(params=["obs", "local"])
def run(request, tmp_path, environ):
    """URL or folder of a run with two checkpoints, the first of them the best."""
    url = f"obs://bucket/{tmp_path.name}/run" if request.param == "obs" else str(tmp_path / "out" / "run")
    with open_store(url + "/", environ) as store:
        for number, name in enumerate(("ckpt-000010-a", "ckpt-000020-b")):
            folder = tmp_path / name
            folder.mkdir()
            with open(str(folder / "network.npz"), "wb") as stream:
                write_npz(stream, {key: array + number for key, array in ARRAYS.items()})
            publish_checkpoint(store, str(folder), name, {})
        write_pointer(store, BEST, "ckpt-000010-a")
        store.write("run.json", b'{"data": {"classes": ["cat", "dog"]}}')
    return url


@pytest.fixture
def fetch(tmp_path, environ):
    """Bring what weights_path names to the local disk."""
    workspace = prepare_workspace(str(tmp_path / "work"), "new")

    def fetch(path, root=str(tmp_path)):
        config = types.SimpleNamespace(data=types.SimpleNamespace(weights_path=path),
                                       platform=types.SimpleNamespace(storage="auto"))
        return fetch_weights(config, root, workspace, Console(), environ)
    return fetch


def biases(local):
    assert is_network_file(local)
    return list(read_pretrained(local)["conv1"][1])


@pytest.mark.parametrize("below, expected", [
    ("", [0, 1, 2]), ("/", [0, 1, 2]),
    ("/checkpoints/ckpt-000020-b", [1, 2, 3]), ("/checkpoints/ckpt-000020-b/", [1, 2, 3]),
    ("/checkpoints/ckpt-000020-b/network.npz", [1, 2, 3])])
def test_a_run_means_its_best_checkpoint_and_a_checkpoint_itself(run, fetch, below, expected):
    local, origin = fetch(run + below)
    assert biases(local) == expected
    assert origin["sha256"] == digest_of(local, "sha256") and origin["source"].endswith("/network.npz")
    assert origin["checkpoint"].startswith("ckpt-0000") and origin["run"] == run + "/"
    assert origin["classes"] == ["cat", "dog"]


@pytest.mark.parametrize("record", [
    b"{", b"[]", b'{"data": null}', b'{"data": {}}', b'{"data": {"classes": ["cat", 1]}}', 100000 * b"[",
    b'{"data": {"classes": ["' + 200 * b"c" + b'"]}}'], ids=lambda record: record[:12].decode())
def test_a_run_record_that_does_not_name_the_classes_is_no_reason_to_refuse_the_weights(
        run, fetch, environ, monkeypatch, record):
    monkeypatch.setattr("job.inputs.weights.LARGEST", 200)
    with open_store(run + "/", environ) as store:
        store.write("run.json", record)
    local, origin = fetch(run)
    assert biases(local) == [0, 1, 2] and origin["classes"] is None


def test_what_is_not_there_is_told_once_with_what_was_expected(run, fetch):
    with pytest.raises(WeightsError, match="Expected a weights file, the folder of a checkpoint") as raised:
        fetch(run + "/checkpoints/nope")
    assert str(raised.value).count("nope") <= 2
    with pytest.raises(WeightsError, match="below .* neither network.npz nor run.json"):
        fetch(run + "/checkpoints/")


def test_a_run_without_a_best_checkpoint_is_refused(run, fetch, environ):
    with open_store(run + "/", environ) as store:
        store.delete(["checkpoints/best.json"])
    with pytest.raises(WeightsError, match="has no best checkpoint yet"):
        fetch(run)


@pytest.mark.parametrize("below", ["", "/checkpoints/ckpt-000010-a/"])
def test_a_damaged_checkpoint_is_refused_by_its_digest(run, fetch, environ, below):
    with open_store(run + "/", environ) as store:
        store.write("checkpoints/ckpt-000010-a/network.npz", b"PK and then nothing")
    with pytest.raises(IntegrityError, match="not the one in the checkpoint's marker.*another one with --weights_path"):
        fetch(run + below)


def test_a_process_beside_rank_0_asks_for_no_weights(tmp_path, environ):
    write_folders(tmp_path / "data")
    config = config_of({"data_url": str(tmp_path / "data"), "weights_path": "obs://bucket/nothing/"})
    workspace = prepare_workspace(str(tmp_path / "work"), "new")
    inputs = fetch_inputs(config, workspace, Console(), environ, present=True)
    assert (inputs.weights, inputs.origin) == (None, None)


def test_a_path_is_looked_for_below_the_data_first_and_named_once(fetch, tmp_path):
    with pytest.raises(WeightsError) as raised:
        fetch("w.npy", root=os.getcwd())
    assert str(raised.value).count("w.npy") == 1
