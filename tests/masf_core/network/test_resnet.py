"""ResNet-18 and ResNet-50 against torchvision and against NumPy, and what they take from a weights file."""
from __future__ import annotations

import numpy as np
import pytest

from masf_core.errors import WeightsError
from masf_core.network.architecture import NORMALISATION, make_architecture
from masf_core.network.backbone import make_backbone
from masf_core.network.dropout import no_dropout
from masf_core.network.kernels import processor_kernels
from masf_core.network.resnet import ResNet18, ResNet50
from masf_core.tf1 import tf
from tests.masf_core.network import numpy_resnet, torch_resnet

NETWORKS = ("resnet18", "resnet50")
NARROW = 0.04


def run(network, values, images):
    """(features, logits) of uint8 images."""
    with tf.Graph().as_default(), tf.Session() as session:
        weights = {name: tf.placeholder(tf.float32, value.shape) for name, value in values.items()}
        fetches = network.forward(network.preprocess(tf.constant(images)), weights, no_dropout)
        return session.run(fetches, {weights[name]: value for name, value in values.items()})


def layers_of(values):
    """{layer: arrays} of variables, as a reader of weights files returns them."""
    layers = {}
    for name, value in values.items():
        layers.setdefault(name.rsplit("/", 1)[0], []).append(value)
    return layers


@pytest.mark.parametrize("name", NETWORKS)
def test_the_published_network_computes_what_torchvision_computes(name):
    network = make_backbone(name, torch_resnet.CLASSES, kernels=processor_kernels())
    features, logits = run(network, torch_resnet.values(network.shapes()), torch_resnet.images())
    expected = torch_resnet.recorded(name)
    np.testing.assert_allclose(features[:, :32], expected["features"], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(logits, expected["logits"], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
def test_torchvision_still_computes_what_was_recorded(name):
    pytest.importorskip("torchvision", reason="torchvision is not installed; its numbers were recorded once")
    variables = torch_resnet.values(make_architecture(name, torch_resnet.CLASSES).shapes())
    features, logits = torch_resnet.of_torchvision(name, variables)
    expected = torch_resnet.recorded(name)
    np.testing.assert_allclose(features[:, :32], expected["features"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(logits, expected["logits"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("side", [40, 37])  # even and odd maps
@pytest.mark.parametrize("network_class", [ResNet18, ResNet50])
def test_a_narrow_network_computes_what_numpy_computes(network_class, side):
    network = network_class(5, width=NARROW)
    values = torch_resnet.values(network.shapes())
    images = np.random.RandomState(1).randint(0, 256, (3, side, side, 3)).astype(np.uint8)
    features, logits = run(network, values, images)
    _, expected_features, expected_logits, _ = numpy_resnet.run(
        {name: value.astype(np.float64) for name, value in values.items()}, images)
    assert np.abs(expected_logits).max() > 1e-2
    np.testing.assert_allclose(features, expected_features, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(logits, expected_logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name, variables, parameters", [("resnet18", 102, 11689512), ("resnet50", 267, 25557032)])
def test_full_width_has_the_published_number_of_parameters(name, variables, parameters):
    network = make_architecture(name, 1000)
    shapes = network.shapes()
    assert len(shapes) == variables
    assert sum(int(np.prod(shapes[each])) for each in network.trained()) == parameters
    assert shapes["fc/weights"] == (network.feature_width, 1000)


def test_the_statistics_are_never_trained_and_a_setting_trains_neither_scale_nor_shift():
    network = ResNet18(7, width=NARROW)
    parts = {name.rsplit("/", 1)[1] for name in network.trained()}
    assert parts == {"weights", "scale", "shift", "biases"}
    assert {name.rsplit("/", 1)[1] for name in network.trained(batch_norm=False)} == {"weights", "biases"}


def test_a_frozen_convolution_takes_its_normalisation_along():
    network = ResNet18(7, width=NARROW)
    frozen = network.frozen_layers(["conv1", "layer?.0.downsample*"])
    assert frozen == ["conv1", "bn1"] + [
        f"layer{stage}.0.downsample.{part}" for stage in (2, 3, 4) for part in (0, 1)]
    trained = network.trained(["conv1", "layer1.*"])
    assert trained[0] == "layer2.0.conv1/weights" and "bn1/scale" not in trained
    assert network.trained() != network.trained(["bn1"]) and "conv1/weights" in network.trained(["bn1"])


def test_a_pattern_that_matches_no_layer_or_the_classifier_is_refused():
    told = r"'layer5.\*' matches no layer of ResNet-18 .* Layers: conv1, bn1, layer1.\*, .*, layer4.\*$"
    with pytest.raises(ValueError, match=told):
        ResNet18(7, width=NARROW).trained(["conv1", "layer5.*"])
    for name, classifier in (("resnet50", "fc"), ("alexnet", "fc8"), ("squeezenet", "conv_final")):
        with pytest.raises(ValueError, match=f"'\\*' matches {classifier}, the classifier"):
            make_architecture(name, 7).trained(["*"])


def test_another_classifier_and_layout_of_the_bottleneck_follow_the_width():
    shapes = ResNet50(7, width=0.5).shapes()
    assert shapes["layer2.0.conv2/weights"] == (3, 3, 64, 64)
    assert shapes["layer2.0.downsample.0/weights"] == (1, 1, 128, 256)
    assert shapes["fc/weights"] == (1024, 7)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_file_of_this_network_fills_everything_but_the_classifier(name):
    network = make_architecture(name, 7, width=NARROW)
    stored = torch_resnet.values(make_architecture(name, 1000, width=NARROW).shapes())
    values = network.from_pretrained(layers_of(stored), "a.pth")
    assert set(network.shapes()) - set(values) == {"fc/weights", "fc/biases"}
    for each, value in values.items():
        np.testing.assert_array_equal(value, stored[each])


@pytest.mark.parametrize("name, other", [NETWORKS, NETWORKS[::-1]])
def test_a_file_of_the_other_resnet_is_told_by_its_name(name, other):
    stored = torch_resnet.values(make_architecture(other, 7, width=0.25).shapes())
    with pytest.raises(WeightsError, match=f"--backbone={other} --width=0.25"):
        make_architecture(name, 7).from_pretrained(layers_of(stored), "a.pth")


def test_a_normalisation_that_lacks_an_array_or_has_a_negative_variance_is_refused():
    network = ResNet18(7, width=NARROW)
    layers = layers_of(torch_resnet.values(network.shapes()))
    assert len(layers["bn1"]) == len(NORMALISATION)
    with pytest.raises(WeightsError, match=r"bn1/mean: expected shape \(3,\), found nothing"):
        network.from_pretrained(dict(layers, bn1=layers["bn1"][:2]), "a.pth")
    with pytest.raises(WeightsError, match="bn1/variance: expected no values below 0, found -0.5"):
        network.from_pretrained(dict(layers, bn1=layers["bn1"][:3] + [np.full(3, -0.5, np.float32)]), "a.pth")


@pytest.mark.parametrize("network_class", [ResNet18, ResNet50])
def test_fresh_values_keep_the_signal_through_all_blocks(network_class):
    network = network_class(7, width=0.125)
    images = np.random.RandomState(1).randint(0, 256, (2, 64, 64, 3)).astype(np.uint8)
    features, logits = run(network, network.initial_values(3), images)
    assert 0.02 < features.mean() < 5.0
    assert np.abs(logits).max() < 3.0


def test_the_map_is_padded_alike_on_all_sides_and_no_shape_is_open():
    network = ResNet18(7, width=NARROW)
    with tf.Graph().as_default() as graph:
        weights = {name: tf.placeholder(tf.float32, shape) for name, shape in network.shapes().items()}
        network.forward(network.preprocess(tf.placeholder(tf.uint8, (2, 224, 224, 3))), weights, no_dropout)
        pads = [tf.get_static_value(op.inputs[1]).tolist() for op in graph.get_operations() if op.type == "Pad"]
        strided = [op for op in graph.get_operations() if op.type == "Conv2D" and op.get_attr("strides")[1] == 2]
        assert all(tensor.shape.is_fully_defined() for op in graph.get_operations() for tensor in op.outputs)
    assert pads == [[[0, 0], [m, m], [m, m], [0, 0]] for m in (3, 1, 1, 1, 1)]
    assert {op.get_attr("padding") for op in strided} == {b"VALID"}
    assert [op.outputs[0].shape.as_list()[1] for op in strided] == [112, 28, 28, 14, 14, 7, 7]
