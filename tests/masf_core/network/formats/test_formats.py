"""Files of other programs become the variables of our networks, in our order of axes and of channels."""
from __future__ import annotations

import io
import os
import zipfile

import numpy as np
import pytest

from masf_core.errors import WeightsError
from masf_core.network.formats import layout
from masf_core.network.formats.content import CAFFE, KERAS, SAFETENSORS, TORCH
from masf_core.network.pretrained import is_network_file, read_weights
from tests.masf_core.network.formats import same_network, writers

ALEXNET, SQUEEZENET = "AlexNet with Caffe's names", "SqueezeNet v1.0 with Caffe's names"
TORCHVISION = "torchvision's squeezenet1_0"


@pytest.fixture(scope="module")
def alexnet():
    return writers.network_values("alexnet", width=0.02)


@pytest.fixture(scope="module")
def squeeze():
    return writers.network_values("squeezenet")


def as_1x1(values):
    """The classifier as a 1×1 convolution, as published SqueezeNets have it; channels first."""
    return {name: value[:, :, np.newaxis, np.newaxis] if name == "conv_final/weights" else value
            for name, value in values.items()}


def put(folder, content, name="weights.bin"):
    path = os.path.join(str(folder), name)
    with open(path, "wb") as stream:
        stream.write(content)
    return path


def assert_reads(path, expected, told, network):
    weights = read_weights(path)
    assert (weights.network, weights.rest) == (network, [])
    assert told in weights.told
    found = {f"{layer}/{part}": value for layer, pair in weights.layers.items()
             for part, value in zip(("weights", "biases"), pair)}
    assert sorted(found) == sorted(expected)
    for name, value in expected.items():
        assert found[name].dtype == np.float32 and found[name].flags.c_contiguous
        np.testing.assert_array_equal(found[name], value, err_msg=name)
    assert not is_network_file(path)


# ---- each format has the same network

CHANNELS_FIRST_WRITERS = {
    "caffemodel": (CAFFE, writers.caffemodel),
    "caffemodel of the old generation": (CAFFE, lambda arrays: writers.caffemodel(arrays, legacy=True)),
    "torch archive": (TORCH, writers.torch_archive), "older torch file": (TORCH, writers.torch_sequence),
    "safetensors": (SAFETENSORS, writers.safetensors),
}


@pytest.mark.parametrize("form", sorted(CHANNELS_FIRST_WRITERS))
def test_channels_first_files_become_our_order(tmp_path, alexnet, squeeze, form):
    kind, write = CHANNELS_FIRST_WRITERS[form]
    turned = writers.channels_first(alexnet, positions={"fc6": 36})
    assert turned["fc6/weights"].shape == alexnet["fc6/weights"].shape[::-1]
    assert_reads(put(tmp_path, write(writers.named(turned, ALEXNET, kind))), alexnet, kind, "alexnet")
    turned = as_1x1(writers.channels_first(squeeze))
    assert_reads(put(tmp_path, write(writers.named(turned, SQUEEZENET, kind))), squeeze, kind, "squeezenet")


@pytest.mark.parametrize("whole_model", [False, True])
def test_keras_files_are_read_without_h5py(tmp_path, monkeypatch, alexnet, squeeze, whole_model):
    one, other = str(tmp_path / "a.h5"), str(tmp_path / "b.h5")
    writers.keras_file(one, writers.named(alexnet, ALEXNET, KERAS), whole_model)
    writers.keras_file(other, writers.named(squeeze, SQUEEZENET, KERAS), whole_model)  # layers with slashes
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    assert_reads(one, alexnet, KERAS, "alexnet")
    assert_reads(other, squeeze, KERAS, "squeezenet")


def test_layers_of_keras_3_have_their_names_in_an_attribute(tmp_path, alexnet):
    path = str(tmp_path / "a.weights.h5")
    writers.keras3_file(path, writers.named(alexnet, ALEXNET, KERAS))
    weights = read_weights(path)
    assert weights.rest == ["optimizer/vars/0"]
    for name, value in alexnet.items():
        layer, part = name.split("/")
        np.testing.assert_array_equal(weights.layers[layer][part == "biases"], value)


def test_a_group_of_many_layers_lies_in_a_tree_of_several_nodes(tmp_path):
    """HDF5 puts eight members of a group into a node, and sixteen nodes below another one."""
    path = str(tmp_path / "a.h5")
    values = writers.network_values("alexnet", width=0.02)
    arrays = dict(writers.named(values, ALEXNET, KERAS), **{f"more{number:03}/kernel": np.zeros(1, "f4")
                                                          for number in range(300)})
    writers.keras_file(path, arrays)
    weights = read_weights(path)
    assert len(weights.rest) == 300
    np.testing.assert_array_equal(weights.layers["fc7"][0], values["fc7/weights"])


@pytest.mark.parametrize("scope", ["model/", ""])
def test_checkpoints_of_the_reference_and_the_port_are_read_without_tensorflow_s_help(tmp_path, alexnet, scope):
    """The reference has its network in the scope ``model``, beside Adam's moments and the metric network."""
    others = {"model/metric/w1": np.ones((4, 3), np.float32), "beta1_power": np.float32(0.5),
              "model/Variable": np.int32(7), scope + "conv1/weights/Adam": np.ones((2, 2), np.float32)}
    arrays = dict({scope + name: value for name, value in alexnet.items()}, **others)
    path = writers.checkpoint(str(tmp_path / "model.ckpt-7"), arrays)
    weights = read_weights(path)
    assert (weights.network, weights.told) == ("alexnet", "a TensorFlow checkpoint, AlexNet with the reference's names")
    assert sorted(weights.rest) == sorted(others)
    for name, value in alexnet.items():
        layer, part = name.split("/")
        np.testing.assert_array_equal(weights.layers[layer][part == "biases"], value)


def test_tensors_in_other_precisions_and_with_steps_of_their_own(tmp_path, alexnet):
    turned = writers.named(writers.channels_first(alexnet, {"fc6": 36}), ALEXNET, TORCH)
    expected = read_weights(put(tmp_path, writers.torch_archive(turned))).layers
    changed = dict(turned)
    changed["conv1.weight"] = turned["conv1.weight"].astype("f8")
    changed["conv3.weight"] = np.asfortranarray(turned["conv3.weight"])
    changed["fc7.bias"] = (turned["fc7.bias"].view("u4") >> 16).astype("u2")  # bfloat16
    changed["conv1.num_batches_tracked"] = np.zeros((1,), "i8")
    for write in (writers.torch_archive, writers.torch_sequence):
        found = read_weights(put(tmp_path, write(changed))).layers
        for layer in expected:
            np.testing.assert_array_equal(found[layer][0], expected[layer][0])
        np.testing.assert_allclose(found["fc7"][1], expected["fc7"][1], rtol=2.0 ** -7)


def test_a_state_dict_may_be_wrapped_and_its_names_may_begin_with_module(tmp_path, alexnet):
    turned = writers.named(writers.channels_first(alexnet, {"fc6": 36}), ALEXNET, TORCH)
    turned = {"module." + name: value for name, value in turned.items()}
    program = (b"}(" + writers.text("epoch") + b"K\x05" + writers.text("state_dict") + writers.state_dict(turned)
               + writers.text("optimizer") + b"}(K\x00}K\x01}uu")
    assert_reads(put(tmp_path, writers.torch_archive(turned, program)), alexnet, TORCH, "alexnet")


def test_older_ways_of_making_tensors_are_read(tmp_path, alexnet):
    turned = writers.named(writers.channels_first(alexnet, {"fc6": 36}), ALEXNET, TORCH)
    program = writers.state_dict(turned).replace(b"_rebuild_tensor_v2", b"_rebuild_tensor")
    assert_reads(put(tmp_path, writers.torch_archive(turned, program)), alexnet, TORCH, "alexnet")


# ---- what the changes of order mean

def test_a_dense_layer_behind_a_flatten_gives_the_same_outputs():
    random = np.random.RandomState(0)
    feature_map = random.normal(size=(5, 6, 6))  # channels first
    weights = random.normal(size=(7, 5 * 36))
    ours = layout.channels_last(weights, positions=36)
    np.testing.assert_allclose(feature_map.transpose(1, 2, 0).reshape(-1) @ ours, weights @ feature_map.reshape(-1))


def response(images, weights, biases, step=2):
    """A convolution without padding. images: [S, S, channels], weights HWIO."""
    side = weights.shape[0]
    places = range(0, images.shape[0] - side + 1, step)
    return np.array([[np.einsum("hwc,hwco->o", images[y:y + side, x:x + side], weights) + biases for x in places]
                     for y in places])


def test_torchvision_s_normalisation_is_folded_into_conv1_exactly(tmp_path, squeeze):
    turned = as_1x1(writers.channels_first(squeeze))
    path = put(tmp_path, writers.torch_archive(writers.named(turned, TORCHVISION, TORCH)))
    weights = read_weights(path)
    assert "RGB, 0–1, normalised as torchvision does" in weights.preprocessing
    for layer, pair in weights.layers.items():
        if layer != "conv1":
            np.testing.assert_array_equal(pair[0], squeeze[layer + "/weights"])
            np.testing.assert_array_equal(pair[1], squeeze[layer + "/biases"])
    bgr = np.random.RandomState(1).randint(0, 256, (15, 15, 3)).astype(np.float64)
    mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    theirs = response((bgr[..., ::-1] / 255.0 - mean) / deviation, squeeze["conv1/weights"], squeeze["conv1/biases"])
    ours = response(bgr - (104.0, 117.0, 123.0), *weights.layers["conv1"])
    assert np.abs(ours - theirs).max() < 1e-5 * np.abs(theirs).max()


# ---- what is refused, and how it is told

def refusal(path, network=None):
    with pytest.raises(WeightsError) as caught:
        read_weights(path, network)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_networks_that_are_often_taken_for_ours_are_named(tmp_path, alexnet):
    small = np.zeros((2, 2), np.float32)
    for names, told in (
            (("features.0", "features.3", "features.10", "classifier.1", "classifier.6"),
             "torchvision's AlexNet. It has"),
            (("features.0", "features.6.squeeze"), "torchvision's squeezenet1_1"),
            (("module.features.conv1", "module.classifier.fc6"), "JigenDG")):
        path = put(tmp_path, writers.safetensors({name + ".weight": small for name in names}))
        assert told in refusal(path)
    path, blocks = str(tmp_path / "resnet.h5"), ("res2a_branch1", "res2a_branch2a")
    for layers, told, why in ((blocks, "Caffe's ResNet-50", "It has the stride in the first"),
                              (("conv1_conv", "conv2_block1_1_conv"), "one of Keras's ResNets", "whose blocks differ")):
        writers.keras_file(path, {layer + "/kernel": small for layer in layers})
        assert told in refusal(path) and why in refusal(path)
    blobs = {layer + ".weight": small for layer in blocks}
    assert "Caffe's ResNet-50" in refusal(put(tmp_path, writers.caffemodel(blobs)))
    turned = writers.named(writers.channels_first(alexnet, {"fc6": 36}), ALEXNET, CAFFE)
    assert "weights of CaffeNet" in refusal(put(tmp_path, writers.caffemodel(turned, layers=("pool1", "norm1"))))
    read_weights(put(tmp_path, writers.caffemodel(turned, layers=("norm1", "pool1"))))


def test_missing_arrays_other_names_and_another_network_are_told(tmp_path, alexnet):
    turned = writers.named(writers.channels_first(alexnet, {"fc6": 36}), ALEXNET, CAFFE)
    without = {name: value for name, value in turned.items() if name != "conv3.weight"}
    assert "but has no conv3.weight" in refusal(put(tmp_path, writers.safetensors(without)))
    message = refusal(put(tmp_path, writers.caffemodel({"block1_conv1.weight": np.zeros((1, 1, 1, 1), "f4")})))
    assert "a Caffe model with arrays of other names: block1_conv1.weight. Expected AlexNet with" in message
    message = refusal(put(tmp_path, writers.caffemodel(turned)), "squeezenet")
    assert "arrays of other names: conv1.weight, conv1.bias" in message and "SqueezeNet v1.0" in message


def test_arrays_that_are_no_numbers_are_told_by_name(tmp_path, alexnet):
    turned = writers.named(writers.channels_first(alexnet, {"fc6": 36}), ALEXNET, TORCH)
    turned["conv1.bias"] = turned["conv1.bias"].astype("i8")
    for write in (writers.safetensors, writers.torch_archive):
        assert "conv1.bias has " in refusal(put(tmp_path, write(turned)))
    turned["conv1.bias"] = np.full(2, np.nan, np.float32)
    assert "values that are not finite" in refusal(put(tmp_path, writers.safetensors(turned)))


def test_files_that_cannot_be_read_say_what_to_give_instead(tmp_path, alexnet):
    path = writers.checkpoint(str(tmp_path / "model.ckpt-7"), {"conv1/weights": np.ones(3, np.float32)})
    data = path.replace(".index", ".data-00000-of-00001")
    assert f"give its index, {path}" in refusal(data)
    assert "is empty" in refusal(put(tmp_path, b""))
    assert "not one of PyTorch's" in refusal(put(tmp_path, b"\x80\x04N."))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("model.weights.h5", b"")
    assert "a .keras file; unzip it" in refusal(put(tmp_path, stream.getvalue()))
    path = writers.checkpoint(str(tmp_path / "whole"), alexnet)
    os.remove(path.replace(".index", ".data-00000-of-00001"))
    assert "there is no whole.data-00000-of-00001 beside it" in refusal(path)
    assert "none of the formats" in refusal(put(tmp_path, b"\x00" * 200))


def test_a_network_has_the_same_logits_from_a_file_of_each_format(tmp_path):
    """The arrays are equal, so the logits are; only torchvision's normalisation, folded into conv1, is rounding."""
    found = list(same_network.differences("squeezenet", 0.1, str(tmp_path)))
    assert [each.form for each in found] == list(same_network.CHANNELS_FIRST) + [
        "torchvision's .pth", ".h5", "TensorFlow checkpoint", "convert-weights"]
    for each in found:
        assert each.logits <= (2e-6 * each.largest if "torchvision" in each.form else 0.0), each
