"""An export computes what the evaluator computes, in its own loader and in the other lane's TensorFlow."""

from __future__ import annotations

import os
import shutil
import subprocess

import numpy as np
import pytest

from masf_core.devices.ascend.operators import bundled_list
from masf_core.devices.cpu import Cpu
from masf_core.errors import ExportError
from masf_core.export import choices, formats, loading
from masf_core.export.comparison import compare
from masf_core.export.graph import fed
from masf_core.model import EvaluationModel
from masf_core.network import metric_net_shapes
from masf_core.network.backbone import make_backbone
from masf_core.tf1 import IS_TF2, tf
from tests.end_to_end.small_disk import CannotMount, small_disk
from tests.masf_core.network import torch_resnet
from tests.test_architecture import REPOSITORY

IMAGES = 3
WIDTHS = {"alexnet": 0.02, "squeezenet": 0.1, "resnet18": 0.04, "resnet50": 0.04}
MISSING = choices.missing_packages(choices.ONNX)


class Trained:
    """A small network, some images, and the logits that the evaluator computes."""

    def __init__(self, name):
        self.backbone = make_backbone(name, 7, WIDTHS[name])
        random = np.random.RandomState(1)
        self.values = {key: (random.uniform(-1, 1, shape) * (6.0 / np.prod(shape[:-1] or (60,))) ** 0.5).astype(
            np.float32) for key, shape in self.backbone.shapes().items()}
        if name.startswith("resnet"):  # a variance is not below 0
            self.values = torch_resnet.values(self.backbone.shapes())
        self.metric = {key: random.uniform(-1, 1, shape).astype(np.float32) for key, shape in
                       metric_net_shapes.shapes(self.backbone.feature_width, 4, 3).items()}
        side = self.backbone.image_size
        self.images = random.randint(0, 256, (IMAGES, side, side, 3)).astype(np.uint8)
        cpu = Cpu("float32", 1, 1)
        evaluated = make_backbone(name, 7, WIDTHS[name], cpu.kernels())
        with EvaluationModel(evaluated, self.values, IMAGES, cpu.session_config()) as model:
            self.logits = model.logits(self.images)

    def write(self, kind, given, folder):
        folder.mkdir()
        export = formats.Export(self.backbone, self.values, self.metric, given, 300)
        return formats.write(export, kind, str(folder))


@pytest.fixture(scope="module")
def networks():
    return {name: Trained(name) for name in WIDTHS}


@pytest.fixture
def alexnet(networks):
    return networks["alexnet"]


CASES = [("alexnet", kind, given) for kind in choices.FORMATS for given in choices.INPUTS] + [
    ("squeezenet", "pb", "raw"), ("squeezenet", "ckpt", "preprocessed"), ("squeezenet", "onnx", "preprocessed"),
    ("resnet18", "pb", "raw"), ("resnet18", "saved_model", "raw"), ("resnet18", "ckpt", "preprocessed"),
    ("resnet18", "onnx", "preprocessed"), ("resnet50", "pb", "preprocessed")]


@pytest.mark.parametrize("name, kind, given", [pytest.param(*case, marks=pytest.mark.skipif(
    case[1] == choices.ONNX and bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")) for case in CASES])
def test_an_export_has_the_evaluator_s_results(networks, tmp_path, name, kind, given):
    network = networks[name]
    told = network.write(kind, given, tmp_path / "export")
    found = loading.run(kind, str(tmp_path / "export"), fed(network.backbone, network.images, given))
    difference = compare(*found, logits=network.logits)
    assert difference.acceptable and difference.images == difference.same_class == IMAGES
    assert told["images"]["dtype"] == ("uint8" if given == "raw" else "float32")
    assert [told[part]["name"] for part in ("images", "logits", "probabilities")] == ["input", "out", "probabilities"]
    side = network.backbone.image_size
    assert told["images"]["shape"] == [None, side, side, 3] and told["logits"]["shape"] == [None, 7]


@pytest.mark.parametrize("mistake", [
    lambda images: images[..., ::-1], lambda images: images // 2, lambda images: images[:, ::-1],
], ids=["channels", "scale", "rows"])
def test_a_mistake_in_the_preprocessing_is_no_rounding(alexnet, tmp_path, mistake):
    alexnet.write("pb", "raw", tmp_path / "export")
    found = loading.run("pb", str(tmp_path / "export"), fed(alexnet.backbone, mistake(alexnet.images), "raw"))
    assert not compare(*found, logits=alexnet.logits).acceptable


def test_a_checkpoint_has_the_reference_s_names_and_can_be_moved(alexnet, tmp_path):
    told = alexnet.write("ckpt", "raw", tmp_path / "export")
    shutil.move(str(tmp_path / "export"), str(tmp_path / "log"))
    prefix = tf.train.latest_checkpoint(str(tmp_path / "log"))
    assert int(prefix[prefix.index("model") + len("model"):]) == 300  # as the reference resumes
    variables = dict(tf.train.list_variables(prefix))
    layers = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")
    assert set(variables) == {f"model/{layer}/{part}" for layer in layers for part in ("weights", "biases")} | {
        f"model/metric/{part}" for part in ("w1", "b1", "w2", "b2")}
    assert told["variables"] == variables
    reader = tf.train.load_checkpoint(prefix)
    assert np.array_equal(reader.get_tensor("model/fc7/weights"), alexnet.values["fc7/weights"])
    assert np.array_equal(reader.get_tensor("model/metric/w2"), alexnet.metric["metric2/weights"])


@pytest.mark.parametrize("name, more", [
    ("alexnet", {"LRN", "Split", "ConcatV2", "Reshape"}), ("squeezenet", {"ConcatV2", "Mean"}),
    ("resnet18", {"AddV2", "Mean", "Pad"})])
def test_the_graph_for_a_card_has_only_operations_on_the_images_that_it_knows(networks, name, more):
    """Those of the operator list of ascend-toolkit 20.1. The filters are as they are used: halves for groups, with the
    batch normalisation in them; a card's memory is slow. A reverse of the channels would be computed one by one."""
    network = networks[name]
    graph_def, _ = formats.frozen(formats.Export(network.backbone, network.values, {}, "preprocessed"))
    found = {node.op for node in graph_def.node}
    assert found == more | {
        "BiasAdd", "Const", "Conv2D", "Identity", "MatMul", "MaxPool", "Placeholder", "Relu", "Softmax"}
    assert bundled_list().lacking(found) == []
    given = {node.name for node in graph_def.node if node.op != "Const"}
    for node in graph_def.node:
        if node.name in given and node.op != "Placeholder":
            assert {each.split(":")[0] for each in node.input} & given, f"{node.name} computes constants"
    raw, _ = formats.frozen(formats.Export(network.backbone, network.values, {}, "raw"))
    assert {node.op for node in raw.node} <= found | {"Cast", "ConcatV2", "Mul", "Split", "Sub"}


def test_a_disk_that_tensorflow_cannot_write_is_an_error_of_the_disk(alexnet, tmp_path):
    (tmp_path / "file").write_text("")
    export = formats.Export(alexnet.backbone, alexnet.values, {}, "raw")
    for kind in ("pb", "saved_model"):
        with pytest.raises(OSError, match="(?i)not a directory"):
            formats.write(export, kind, str(tmp_path / "file"))


@pytest.mark.parametrize("kind", ["ckpt", "saved_model"])
def test_a_full_disk_is_one_line_without_tensorflow_s_call_stack(alexnet, tmp_path, capfd, kind):
    try:
        with small_disk(str(tmp_path / "disk"), megabytes=1) as disk:
            with open(os.path.join(disk, "ballast"), "wb") as stream:
                stream.write(b"\0" * ((1 << 20) - (1 << 15)))  # 32 KB are left
            with pytest.raises(OSError) as caught:
                alexnet.write(kind, "raw", tmp_path / "disk" / "export")
    except CannotMount as error:
        pytest.skip(f"this user may not mount a small disk: {error}")
    assert str(caught.value) == "No space left on device" and capfd.readouterr().err == ""


def test_weights_that_are_too_large_for_a_graph_are_one_error(alexnet, monkeypatch):
    monkeypatch.setattr(formats, "LARGEST_GRAPH", 1000)
    with pytest.raises(ExportError, match="Export a saved_model or a ckpt"):
        formats.frozen(formats.Export(alexnet.backbone, alexnet.values, {}, "raw"))


def test_the_other_lane_s_programs_load_every_export(alexnet, tmp_path):
    other = "tf1" if IS_TF2 else "tf2"
    python = os.path.join(REPOSITORY, os.environ.get("ENVS") or ".venv", other, "bin", "python")
    if not os.path.exists(python):
        pytest.skip(f"there is no interpreter of the other lane: {python}")
    written = [kind for kind in choices.FORMATS if kind != choices.ONNX or not MISSING]
    kinds = written + (["eager"] if other == "tf2" else [])
    for kind in written:
        alexnet.write(kind, "raw", tmp_path / kind)
    np.save(str(tmp_path / "images.npy"), fed(alexnet.backbone, alexnet.images, "raw"))
    places = [f"{kind}={tmp_path / kind.replace('eager', 'saved_model')}" for kind in kinds]
    done = subprocess.run(
        [python, os.path.join(os.path.dirname(__file__), "judge.py"), str(tmp_path / "images.npy"),
         str(tmp_path / "results.npz"), *places],
        env={key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}, cwd=str(tmp_path),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=200)
    if done.returncode == 3:
        pytest.skip(f"the environment of the other lane is not complete yet: {done.stdout}")
    assert done.returncode == 0, done.stdout
    with np.load(str(tmp_path / "results.npz")) as results:
        for kind in kinds:
            found = compare(results[kind + "-logits"], results[kind + "-probabilities"], alexnet.logits)
            assert found.acceptable and found.same_class == IMAGES, (kind, found)
