"""python -m job convert-weights: a file of another program becomes a .npz of ours."""
from __future__ import annotations

import errno
import hashlib
import json
import os
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from job import cli
from masf_core.network.converted import RECORD
from masf_core.network.formats.content import CAFFE, KERAS, TORCH
from masf_core.network.pretrained import is_network_file, read_weights
from masf_core.records.npz import write_npz
from tests.masf_core.network.formats import writers

WIDTH = "--width=0.02"
CAFFE_NAMES = "AlexNet with Caffe's names"


@pytest.fixture
def convert(tmp_path, monkeypatch, capsys):
    """Runs the command in an empty folder; returns (exit code, output, errors)."""
    monkeypatch.chdir(tmp_path)

    def convert(*words):
        code = cli.main(["convert-weights"] + list(words))
        told = capsys.readouterr()
        return code, told.out, told.err

    return convert


@pytest.fixture(scope="module")
def values():
    return writers.network_values("alexnet", width=0.02)


def caffemodel(values):
    return writers.caffemodel(writers.named(writers.channels_first(values, {"fc6": 36}), CAFFE_NAMES, CAFFE))


def assert_same(path, values):
    layers = read_weights(path).layers
    for name, value in values.items():
        layer, part = name.rsplit("/", 1)
        np.testing.assert_array_equal(layers[layer][part == "biases"], value)


def test_a_caffe_model_is_converted_and_the_record_tells_where_it_is_from(convert, values):
    content = caffemodel(values)
    with open("net.caffemodel", "wb") as stream:
        stream.write(content)
    code, told, _ = convert("net.caffemodel", "net.npz", WIDTH)
    assert code == 0
    assert "net.caffemodel: a Caffe model, AlexNet with Caffe's names" in told
    assert "network: alexnet, 16 arrays, all shapes fit" in told and "images: BGR" in told
    assert sorted(os.listdir(".")) == ["net.caffemodel", "net.npz"]
    assert_same("net.npz", values)
    assert not is_network_file("net.npz")  # its classifier is not one of our runs
    with zipfile.ZipFile("net.npz") as archive:
        record = json.loads(archive.read(RECORD).decode())
    assert record["sha256"] == {"net.caffemodel": hashlib.sha256(content).hexdigest()}
    assert (record["network"], record["source"], record["width"]) == ("alexnet", "net.caffemodel", 0.02)
    assert "BGR" in record["preprocessing"] and "Caffe" in record["preprocessing_of_source"]
    assert record["not_converted"] == []
    with np.load("net.npz") as arrays:
        np.testing.assert_array_equal(arrays["fc6_W"], values["fc6/weights"])


def test_other_files_are_converted_too_and_again(convert, values):
    writers.keras_file("net.h5", writers.named(values, CAFFE_NAMES, KERAS))
    with open("network.npz", "wb") as stream:
        write_npz(stream, dict(values, **{"metric/weights": np.ones((2, 2), "f4"), "metric/biases": np.ones(2, "f4")}))
    index = writers.checkpoint("model.ckpt-300", values)
    for source, target in (("net.h5", "a.npz"), ("network.npz", "b.npz"), ("model.ckpt-300", "c.npz"),
                           ("a.npz", "d.npz")):
        code, told, errors = convert(source, target, WIDTH, "--network=alexnet")
        assert code == 0, errors
        assert ("not converted: 1 arrays, such as metric" in told) == (source == "network.npz")
        assert_same(target, values)
    with zipfile.ZipFile("c.npz") as archive:
        assert sorted(json.loads(archive.read(RECORD).decode())["sha256"]) == [
            "model.ckpt-300.data-00000-of-00001", os.path.basename(index)]


@pytest.mark.parametrize("words, code, expected", [
    (["absent.pth", "a.npz"], 4, "there is no file absent.pth to convert"),
    (["net.pth", "a.npy"], 2, "a.npy: expected a name that ends in .npz"),
    (["net.pth", "there.npz"], 2, "there.npz exists already"),
    (["net.pth", "a.npz", "--network=resnet"], 2, "--network=resnet: expected one of alexnet"),
    (["net.pth", "a.npz", "--width=0"], 2, "--width=0: expected more than 0"),
    (["obs://bucket/net.pth", "a.npz"], 2, "IN is obs://bucket/net.pth, a URL"),
    (["net.pth", "a.npz"], 3, "conv1/weights: expected shape (11, 11, 3, 96), found (11, 11, 3, 2)"),
    (["net.pth", "a.npz", "--network=squeezenet"], 3, "arrays of other names"),
    (["there.npz", "a.npz"], 3, "its layers are those of none of the networks alexnet, squeezenet"),
    (["old.npy", "a.npz"], 3, "it is a plain pickle, not a file that numpy.save has written; save it again with NumPy"),
    (["net.pth", "nowhere/a.npz", WIDTH], 4, "nowhere/a.npz"),
])
def test_a_mistake_is_one_message_and_leaves_no_file(convert, values, words, code, expected):
    with open("net.pth", "wb") as stream:
        stream.write(writers.torch_archive(
            writers.named(writers.channels_first(values, {"fc6": 36}), CAFFE_NAMES, TORCH)))
    np.savez("there.npz", a_W=np.zeros((1, 1), "f4"), a_b=np.zeros(1, "f4"))
    with open("old.npy", "wb") as stream:
        pickle.dump({"a": 1}, stream)
    found, told, errors = convert(*words)
    assert (found, told) == (code, "")
    assert expected in errors and "Traceback" not in errors and "torch.save" not in errors
    assert sorted(os.listdir(".")) == ["net.pth", "old.npy", "there.npz"]


@pytest.mark.parametrize("network", ["network.npz", "checkpoints/ckpt-000010-a/network.npz", None])
def test_of_a_folder_the_file_to_give_is_named(convert, tmp_path, network):
    folder = tmp_path / "run"
    folder.mkdir()
    if network is not None:
        (folder / network).parent.mkdir(parents=True, exist_ok=True)
        (folder / network).write_bytes(b"")
    code, _, errors = convert("run", "a.npz")
    assert code == 2 and "IN run is a folder; expected a file" in errors
    assert (f"here run/{network}" if network else "and there is none") in errors


def test_a_full_disk_leaves_nothing_behind(convert, values, monkeypatch):
    def fill(stream, arrays):
        stream.write(b"PK")
        raise OSError(errno.ENOSPC, "No space left on device")

    with open("net.caffemodel", "wb") as stream:
        stream.write(caffemodel(values))
    monkeypatch.setattr("masf_core.network.converted.write_npz", fill)
    code, _, errors = convert("net.caffemodel", "net.npz", WIDTH)
    assert code == 4 and "No space left on device" in errors and "Traceback" not in errors
    assert os.listdir(".") == ["net.caffemodel"]


def test_neither_tensorflow_nor_h5py_is_loaded(tmp_path, values):
    writers.keras_file(str(tmp_path / "net.h5"), writers.named(values, CAFFE_NAMES, KERAS))
    writers.checkpoint(str(tmp_path / "model"), values)
    program = ("import sys\nfrom job import cli\n"
               "codes = [cli.main(['convert-weights', name, name + '.npz', '--width=0.02']) for name in sys.argv[1:]]\n"
               "print([codes, sorted({'tensorflow', 'h5py', 'torch', 'google.protobuf'} & set(sys.modules))])")
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "net.h5"), str(tmp_path / "model.index")],
        cwd=os.path.dirname(os.path.dirname(os.path.abspath(cli.__file__))), stdout=subprocess.PIPE, timeout=60)
    assert done.stdout.decode().splitlines()[-1:] == ["[[0, 0], []]"]
