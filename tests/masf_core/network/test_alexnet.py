"""The network's layout, and what it takes from a weights file."""
from __future__ import annotations

import numpy as np
import pytest

from masf_core.errors import WeightsError
from masf_core.network import metric_net
from masf_core.network.alexnet import AlexNet
from masf_core.network.backbone import make_backbone
from masf_core.network.dropout import no_dropout
from masf_core.tf1 import tf


def test_full_width_is_alexnet():
    shapes = AlexNet(7).shapes()
    assert shapes["conv2/weights"] == (5, 5, 48, 256)
    assert shapes["fc6/weights"] == (9216, 4096)
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == 56896903
    assert sum(int(np.prod(shape)) for shape in metric_net.shapes(4096).values()) == 4457728


def layers_for(network, classes=1000):
    layers = {}
    for name, shape in network.shapes().items():
        layer, part = name.split("/")
        if layer == "fc8":
            shape = shape[:-1] + (classes,)
        layers.setdefault(layer, []).append(np.full(shape, len(name), np.float64))
    return layers


def test_pretrained_weights_fill_everything_but_the_classifier():
    network = AlexNet(7, width=0.03)
    values = network.from_pretrained(layers_for(network), "some.npy")
    assert set(network.shapes()) - set(values) == {"fc8/weights", "fc8/biases"}
    assert all(array.dtype == np.float32 for array in values.values())


def test_weights_of_another_width_are_refused_with_shapes():
    with pytest.raises(WeightsError, match=r"some.npy.*conv1/weights: expected shape \(11, 11, 3, 10\)"):
        AlexNet(7, width=0.1).from_pretrained(layers_for(AlexNet(7, width=0.05)), "some.npy")
    with pytest.raises(WeightsError, match="missing layers 'conv1', 'conv2', 'conv3', 'conv4', and 3 more"):
        AlexNet(7, width=0.1).from_pretrained({}, "some.npy")


def test_the_classifier_of_our_own_training_is_taken_where_the_classes_are_as_many(caplog):
    network = AlexNet(7, width=0.03)
    with caplog.at_level("INFO", logger="masf_core"):
        values = network.from_pretrained(layers_for(network, classes=7), "mine.npz", with_classifier=True)
    assert set(values) == set(network.shapes())
    assert "classifier fc8: taken from mine.npz" in caplog.text
    values = network.from_pretrained(layers_for(network, classes=5), "mine.npz", with_classifier=True)
    assert set(network.shapes()) - set(values) == {"fc8/weights", "fc8/biases"}
    assert "classifier fc8 starts from random values: mine.npz has 5 classes, the data have 7" in caplog.text


def test_channels_reach_the_first_filters_in_their_order_with_the_mean_of_each_subtracted():
    network = AlexNet(3, width=0.02)
    values = network.initial_values(0)
    # A filter that looks at its first (blue) input channel only.
    values["conv1/weights"][...] = 0.0
    values["conv1/weights"][5, 5, 0, 0] = 1.0
    with tf.Graph().as_default(), tf.Session() as session:
        images = np.zeros((1, 227, 227, 3), np.uint8)
        images[..., 0] = 200  # blue, in BGR
        inputs = network.preprocess(tf.constant(images))
        first = tf.nn.conv2d(inputs, tf.constant(values["conv1/weights"]), [1, 4, 4, 1], "SAME")
        value = session.run(first)[0, 10, 10, 0]
    assert value == pytest.approx(200 - 103.939, rel=1e-5) and network.mean_bgr == (103.939, 116.779, 123.68)


def test_features_are_taken_before_the_dropout():
    network = AlexNet(3, width=0.02)
    with tf.Graph().as_default(), tf.Session() as session:
        weights = {name: tf.constant(value + 0.01) for name, value in network.initial_values(0).items()}
        inputs = network.preprocess(tf.constant(np.full((2, 227, 227, 3), 90, np.uint8)))
        kept = network.forward(inputs, weights, no_dropout)
        dropped = network.forward(inputs, weights, lambda x, index: x if index == 0 else x * 0.0)
        (features, logits), (same_features, other_logits) = session.run([kept, dropped])
    np.testing.assert_array_equal(features, same_features)
    assert np.any(features > 0) and np.any(logits != other_logits)


def test_what_the_caller_has_is_not_drawn():
    network = AlexNet(7, width=0.05)
    values = network.initial_values(3, but=("fc6/weights", "fc6/biases"))
    assert set(values) == set(network.shapes()) - {"fc6/weights", "fc6/biases"}
    assert np.array_equal(values["fc7/weights"], network.initial_values(3)["fc7/weights"])


def test_initial_values_do_not_depend_on_the_other_layers():
    a, b = AlexNet(7, width=0.05).initial_values(3), AlexNet(5, width=0.05).initial_values(3)
    np.testing.assert_array_equal(a["fc6/weights"], b["fc6/weights"])
    assert a["fc8/weights"].shape != b["fc8/weights"].shape


def test_unknown_backbone_names_those_there_are():
    with pytest.raises(ValueError, match="alexnet"):
        make_backbone("vgg", 7)
