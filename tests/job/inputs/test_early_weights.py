"""Weights are compared with the network before TensorFlow is loaded and before the data are pulled."""
from __future__ import annotations

import os
import shutil
import subprocess
import sys
from urllib.parse import quote

import numpy as np
import pytest

from job.config.settings import config_of
from job.console import Console
from job.errors import NoSuchWeights
from job.inputs import early_weights
from job.inputs.early_weights import read_early
from job.inputs.fetch import fetch_inputs
from job.preparation import InitialWeights
from job.publication.retention import BEST
from job.workspace import prepare_workspace
from masf_core.data import miniature
from masf_core.errors import WeightsError
from masf_core.network.architecture import make_architecture
from masf_core.records.npz import write_npz
from obs_sync import open_store, pack, publish_checkpoint, push, write_pointer
from obs_sync.mock import mock_obs
from tests.masf_core.data.datasets import write_folders
from tests.masf_core.network.formats import writers

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
WIDTH, ANOTHER = 0.02, 0.04
DATA = "obs://bucket/pacs/"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Weights of AlexNet as a file, beside a run whose best checkpoint has them, and images."""
    folder = tmp_path_factory.mktemp("pacs")
    write_folders(folder)
    (folder / "weights").mkdir()
    miniature.write_alexnet_weights(str(folder / "weights" / "net.npy"), width=WIDTH)
    network = folder / "ckpt-000010-a"
    network.mkdir()
    shapes = make_architecture("alexnet", 4, WIDTH).shapes()
    with open(str(network / "network.npz"), "wb") as stream:
        write_npz(stream, {name: np.zeros(shape, np.float32) for name, shape in shapes.items()})
    with open_store(str(folder / "out" / "run") + "/") as store:
        publish_checkpoint(store, str(network), network.name, {})
        write_pointer(store, BEST, network.name)
        store.write("run.json", b'{"run_name": "run"}')
    return folder


@pytest.fixture(scope="module")
def obs(folder):
    with mock_obs(buckets=["bucket"]) as mock:
        with open_store(DATA, mock.environment()) as store:
            push(store, str(folder))
        yield mock


@pytest.fixture
def look(obs, tmp_path):
    """Runs ``read_early``; ``config`` and ``workspace`` are those of the latest call."""
    def look(weights_path, data_url=DATA, width=WIDTH, **values):
        look.config = config_of(dict(values, data_url=data_url, weights_path=weights_path, width=width))
        look.workspace = prepare_workspace(str(tmp_path / "work"), "new")
        return read_early(look.config, look.workspace, Console(), obs.environment())

    look.environ = obs.environment()
    return look


PLACES = ["weights/net.npy", DATA + "weights/net.npy", "out/run", DATA + "out/run/",
          "out/run/checkpoints/ckpt-000010-a/", DATA + "out/run/checkpoints/ckpt-000010-a/network.npz"]


@pytest.mark.parametrize("path", PLACES)
def test_remote_weights_are_compared_before_any_image_is_pulled(obs, look, path):
    assert look(path) is not None
    read = obs.counts["GetObject"]
    with pytest.raises(WeightsError, match="conv1/weights: expected shape .*--backbone=alexnet --width=0.02"):
        look(path, width=ANOTHER)
    assert obs.counts["GetObject"] - read < 8
    assert not [name for _, _, names in os.walk(look.workspace.root) for name in names if name.endswith(".png")]


@pytest.mark.parametrize("place", ["below the data", "absolute", "from here"])
def test_local_weights_are_compared(folder, look, monkeypatch, place):
    monkeypatch.chdir(str(folder / "weights"))
    path = {"below the data": "weights/net.npy", "absolute": str(folder / "weights" / "net.npy"),
            "from here": "net.npy"}[place]
    for url in (DATA, str(folder)):
        assert look(path, url) is not None
        with pytest.raises(WeightsError, match="expected shape"):
            look(path, url, width=ANOTHER)


@pytest.fixture(scope="module")
def checkpoint(folder, obs):
    """A TensorFlow checkpoint of the same network below the data, and in the store."""
    (folder / "tf").mkdir()
    values = make_architecture("alexnet", 4, WIDTH).initial_values(0)
    path = writers.checkpoint(str(folder / "tf" / "model.ckpt-300"), {"model/" + name: value
                                                                       for name, value in values.items()})
    with open_store(DATA, obs.environment()) as store:
        push(store, str(folder))
    yield path
    shutil.rmtree(str(folder / "tf"))


@pytest.mark.parametrize("path", ["tf/model.ckpt-300.index", "tf/model.ckpt-300",
                                  DATA + "tf/model.ckpt-300.index", DATA + "tf/model.ckpt-300"])
def test_the_data_files_of_a_tensorflow_checkpoint_come_with_its_index(checkpoint, look, folder, path):
    assert "conv1" in look(path).take_layers(local_of(look, path))
    with pytest.raises(WeightsError, match="conv1/weights: expected shape .*--backbone=alexnet --width=0.02"):
        look(path, width=ANOTHER)
    local = str(folder / "tf" / "model.ckpt-300")
    assert look(local).located[0] == local + ".index"


def local_of(look, path):
    if path.startswith(DATA):
        return look.workspace.weights(DATA + "tf/model.ckpt-300.index")
    return os.path.join(look.workspace.inputs(DATA), "tf", "model.ckpt-300.index")


def test_the_file_is_read_once_and_pulled_once(obs, look, monkeypatch):
    early = look("weights/net.npy")
    read = obs.counts["GetObject"]
    inputs = fetch_inputs(look.config, look.workspace, Console(), look.environ, located=early.located)
    images = len([key for key in obs.keys("bucket", "pacs/") if key.endswith(".png")])
    named = len([key for key in obs.keys("bucket", "pacs/out/") if "run.json" in key or "checkpoints" in key])
    assert obs.counts["GetObject"] - read <= images + named + 1
    monkeypatch.setattr("job.preparation.read_pretrained", None)
    index = type("Index", (), {"classes": ("ant", "bee")})
    assert "conv1/weights" in InitialWeights(look.config, inputs.weights, early=early).read(index)


def test_weights_with_a_place_of_their_own_are_not_looked_for_twice(obs, look):
    early = look(DATA + "out/run/")
    asked = sum(obs.counts.values())
    inputs = fetch_inputs(config_of({"dataroot": str(look.workspace.root), "filelist_root": "none",
                                     "weights_path": DATA + "out/run/"}),
                          look.workspace, Console(), look.environ, located=early.located)
    assert sum(obs.counts.values()) == asked
    assert inputs.origin["checkpoint"] == "ckpt-000010-a" and inputs.weights.endswith("network.npz")


def test_a_file_that_was_written_since_is_read_again(look, tmp_path):
    path = str(tmp_path / "net.npy")
    miniature.write_alexnet_weights(path, width=WIDTH)
    early = look(path)
    os.utime(path, (1, 1))
    assert early.take_layers(path) is None
    assert look(path).take_layers("/another") is None
    early = look(path)
    assert "conv1" in early.take_layers(path) and early.take_layers(path) is None


def test_what_lies_in_a_pack_is_left_to_the_pull(obs, look, folder):
    with open_store("obs://bucket/packed/", look.environ) as store:
        pack(store, str(folder))
    assert look("weights/net.npy", "obs://bucket/packed/") is None
    assert look("none") is None


def test_weights_that_are_nowhere_are_told_before_the_data_are_pulled(look):
    with pytest.raises(NoSuchWeights, match="there is no obs://bucket/pacs/weights/typo.npy and no /.*typo.npy"):
        look("weights/typo.npy")
    with pytest.raises(NoSuchWeights, match="there is no obs://bucket/pacs/weights/net.npy and no "):
        look("weights/net.npy", exclude=("*.npy",))


def test_other_classes_are_no_reason_to_refuse(look):
    assert look("weights/net.npy", num_classes=9) is not None
    assert early_weights.SOME_CLASSES != 4


def ends_before_tensorflow(environ, tmp_path, path):
    """Whether a run with weights of another network ends with code 3 and TensorFlow has not been imported."""
    program = ("import sys\nfrom job import cli\ncode = cli.main(sys.argv[1:])\n"
               "print([code, 'tensorflow' in sys.modules])\n")
    done = subprocess.run(
        [sys.executable, "-c", program, "run", "--data_url=" + DATA, "--weights_path=" + path,
         f"--width={ANOTHER}", "--train_url=" + str(tmp_path / "out"), "--work_dir=" + str(tmp_path / "work")],
        cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    told = done.stderr.decode()
    assert "conv1/weights: expected shape" in told and "Traceback" not in told, told
    return done.stdout.decode().splitlines()[-1:] == ["[3, False]"]


@pytest.mark.parametrize("path", ["weights/net.npy", DATA + "out/run/", "local"])
def test_a_run_with_weights_of_another_network_ends_before_tensorflow_is_loaded(obs, folder, tmp_path, path):
    path = str(folder / "weights" / "net.npy") if path == "local" else path
    assert ends_before_tensorflow(dict(os.environ, **obs.environment()), tmp_path, path)


@pytest.mark.parametrize("path", ["weights/net.npy", DATA + "weights/net.npy"])
def test_through_moxing_as_well(folder, tmp_path, path):
    bucket = tmp_path / "moxing" / "bucket"
    bucket.mkdir(parents=True)
    for parent, _, names in os.walk(str(folder)):
        for name in names:  # the stand-in has a file for each key
            file = os.path.join(parent, name)
            key = "pacs/" + os.path.relpath(file, str(folder))
            shutil.copy(file, str(bucket / quote(key, safe="")))
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("OBS_", "AWS_"))}
    environ.update(FAKE_MOXING_ROOT=str(tmp_path / "moxing"), PYTHONPATH=os.path.join(ROOT, "tests", "fakes"))
    assert ends_before_tensorflow(environ, tmp_path, path)
