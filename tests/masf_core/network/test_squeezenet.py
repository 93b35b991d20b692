"""SqueezeNet's layout against its Caffe model, what it takes from a weights file, and where its features come from."""
from __future__ import annotations

import numpy as np
import pytest

from masf_core.data.episodes import Episode
from masf_core.devices import choice
from masf_core.errors import WeightsError
from masf_core.method import meta_step
from masf_core.model import Model
from masf_core.network import backbone
from masf_core.network.alexnet import AlexNet
from masf_core.network.architecture import make_architecture
from masf_core.network.dropout import no_dropout
from masf_core.network.pretrained import read_pretrained
from masf_core.network.registry import BACKBONES
from masf_core.network.squeezenet import SqueezeNet
from masf_core.tf1 import tf

NARROW = 0.06


def images(count=2, seed=0):
    return np.random.RandomState(seed).randint(0, 256, (count, 227, 227, 3)).astype(np.uint8)


def run(network, values, batch, dropout=no_dropout):
    """(features, logits) of uint8 images."""
    with tf.Graph().as_default(), tf.Session() as session:
        weights = {name: tf.constant(value) for name, value in values.items()}
        return session.run(network.forward(network.preprocess(tf.constant(batch)), weights, dropout))


def write_file(path, network, classes=1000):
    """A weights file for ``network`` as it is published, `fire2__conv1x1_1_W` and a 1×1 classifier; returns it read."""
    arrays = {}
    for name, value in network.initial_values(3).items():
        layer, part = name.rsplit("/", 1)
        if layer == "conv_final":
            value = np.zeros((1, 1, value.shape[0], classes) if part == "weights" else (classes,), np.float32)
        arrays[layer.replace("/", "__") + ("_W" if part == "weights" else "_b")] = value
    np.savez(str(path), **arrays)
    return read_pretrained(str(path))


def test_full_width_is_squeezenet():
    network = SqueezeNet(1000)
    shapes = network.shapes()
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == 1248424  # of the published Caffe model
    assert len(shapes) == 52
    assert shapes["conv1/weights"] == (7, 7, 3, 96)
    assert shapes["fire3/conv1x1_1/weights"] == (1, 1, 128, 16)
    assert shapes["fire8/conv3x3_2/weights"] == (3, 3, 64, 256)
    assert shapes["conv_final/weights"] == (network.feature_width, 1000) == (512, 1000)


def test_every_pool_divides_evenly_so_that_rounding_up_as_caffe_does_changes_nothing():
    network = SqueezeNet(7, width=NARROW)
    with tf.Graph().as_default() as graph:
        weights = {name: tf.zeros(shape) for name, shape in network.shapes().items()}
        feature_map = network.through(tf.zeros((1, 227, 227, 3)), weights)
        pools = [op for op in graph.get_operations() if op.type == "MaxPool"]
    sizes = [(op.inputs[0].shape.as_list()[1], op.outputs[0].shape.as_list()[1]) for op in pools]
    assert sizes == [(111, 55), (55, 27), (27, 13)]
    assert all(rounded_up == -(-(size - 3) // 2) + 1 for size, rounded_up in sizes)
    assert feature_map.shape.as_list() == [1, 13, 13, network.feature_width]


def test_the_features_of_one_fire_module_after_another_are_those_of_plain_arithmetic():
    """Constant images and 1×1 convolutions alone make every position equal, so a vector follows the whole network."""
    network = SqueezeNet(5, width=NARROW)
    values = network.initial_values(1)
    random = np.random.RandomState(2)
    for name in values:
        if name.endswith("biases"):
            values[name] = random.uniform(0.0, 0.3, values[name].shape).astype(np.float32)
        if "3x3" in name and name.endswith("weights"):
            values[name][[0, 0, 0, 1, 1, 2, 2, 2], [0, 1, 2, 0, 2, 0, 1, 2]] = 0.0  # all but the centre
    colour = np.array([200, 30, 90], np.uint8)  # BGR
    batch = np.broadcast_to(colour, (1, 227, 227, 3)).copy()

    def convolve(x, layer):
        kernel = values[layer + "/weights"].astype(np.float64).sum(axis=(0, 1))
        return np.maximum(0.0, x @ kernel + values[layer + "/biases"])

    x = convolve(colour.astype(np.float64) - (104.0, 117.0, 123.0), "conv1")
    for fire in ("fire2", "fire3", "fire4", "fire5", "fire6", "fire7", "fire8", "fire9"):
        squeezed = convolve(x, fire + "/conv1x1_1")
        x = np.concatenate([convolve(squeezed, fire + "/conv1x1_2"), convolve(squeezed, fire + "/conv3x3_2")])
    features, logits = run(network, values, batch)
    np.testing.assert_allclose(features[0], x, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        logits[0], x @ values["conv_final/weights"] + values["conv_final/biases"], rtol=1e-4, atol=1e-5)


def test_the_expanding_3x3_sees_beyond_its_position():
    network = SqueezeNet(3, width=NARROW)
    values = network.initial_values(0)
    features, _ = run(network, values, images())
    values["fire9/conv3x3_2/weights"][0] += 0.1
    others, _ = run(network, values, images())
    half = network.feature_width // 2
    np.testing.assert_array_equal(features[:, :half], others[:, :half])
    assert np.any(features[:, half:] != others[:, half:])


def test_logits_can_be_negative_and_every_class_has_a_gradient():
    network = SqueezeNet(4, width=NARROW)
    values = network.initial_values(0)
    values["conv_final/biases"][:] = -100.0
    with tf.Graph().as_default(), tf.Session() as session:
        weights = {name: tf.constant(value) for name, value in values.items()}
        _, logits = network.forward(network.preprocess(tf.constant(images())), weights, no_dropout)
        gradient = tf.gradients(tf.reduce_sum(logits), weights["conv_final/biases"])[0]
        logits, gradient = session.run([logits, gradient])
    assert np.all(logits < -50.0)
    np.testing.assert_allclose(gradient, 2.0)  # one from each image


def test_features_are_taken_before_the_dropout():
    network = SqueezeNet(3, width=NARROW)
    values = network.initial_values(0)
    values["conv_final/biases"][:] = (1.0, 2.0, 3.0)
    features, logits = run(network, values, images())
    same_features, biases_alone = run(network, values, images(), lambda x, index: x * 0.0)
    np.testing.assert_array_equal(features, same_features)
    assert np.any(features > 0.0) and np.any(logits != biases_alone)
    np.testing.assert_array_equal(biases_alone, [(1.0, 2.0, 3.0)] * 2)


def test_a_published_file_fills_everything_but_the_classifier(tmp_path):
    network = SqueezeNet(7)
    values = network.from_pretrained(write_file(tmp_path / "a.npz", network), "a.npz")
    assert set(network.shapes()) - set(values) == {"conv_final/weights", "conv_final/biases"}
    expected = network.initial_values(3)
    for name, value in values.items():
        np.testing.assert_array_equal(value, expected[name])


def test_a_file_of_another_network_or_width_is_refused_by_name(tmp_path):
    layers = write_file(tmp_path / "a.npz", SqueezeNet(7, width=NARROW))
    with pytest.raises(WeightsError, match=r"a.npz.*conv1/weights: expected shape \(7, 7, 3, 96\).*SqueezeNet"):
        SqueezeNet(7).from_pretrained(layers, "a.npz")
    with pytest.raises(WeightsError, match="a.npz.*missing layers 'conv2', .*--backbone=squeezenet --width="):
        AlexNet(7, width=NARROW).from_pretrained(layers, "a.npz")


def test_fresh_values_keep_the_signal_and_leave_the_classes_undecided():
    network = SqueezeNet(7, width=0.25)
    values = network.initial_values(0)
    assert np.abs(values["fire4/conv3x3_2/weights"]).max() <= np.sqrt(3.0 / (9 * 8))
    assert values["fire4/conv3x3_2/weights"].std() == pytest.approx(np.sqrt(1.0 / (9 * 8)), rel=0.1)
    assert values["conv_final/weights"].std() == pytest.approx(0.001, rel=0.1)
    features, _ = run(network, values, images())
    assert 1e-3 < features.mean() < 1e3
    directions = np.random.RandomState(0).uniform(size=(50, network.feature_width))
    of_pretrained_length = 400.0 * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    assert np.abs(of_pretrained_length @ values["conv_final/weights"]).max() < 2.0


def test_what_the_caller_has_is_not_drawn():
    network = SqueezeNet(7, width=NARROW)
    known = [name for name in network.shapes() if name.startswith("fire2")]
    assert set(network.initial_values(3, but=known)) == set(network.shapes()) - set(known)


def test_initial_values_do_not_depend_on_the_other_layers():
    a, b = SqueezeNet(7, width=NARROW).initial_values(3), SqueezeNet(5, width=NARROW).initial_values(3)
    np.testing.assert_array_equal(a["fire9/conv3x3_2/weights"], b["fire9/conv3x3_2/weights"])
    assert a["conv_final/weights"].shape != b["conv_final/weights"].shape


@pytest.mark.parametrize("width", [0.0, -1.0, 4.5])
def test_a_width_out_of_range_is_refused(width):
    with pytest.raises(ValueError, match="width"):
        SqueezeNet(7, width=width)


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_every_backbone_of_the_table_can_be_made(name):
    network = backbone.make_backbone(name, 6, width=NARROW)
    assert isinstance(network, backbone.Backbone)
    assert (network.num_classes, network.width) == (6, NARROW)
    assert set(network.new_layers) < {variable.rsplit("/", 1)[0] for variable in network.shapes()}


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_no_network_reverses_anything_because_images_and_filters_have_the_same_order(name):
    network = backbone.make_backbone(name, 6, width=NARROW)
    with tf.Graph().as_default() as graph:
        images = tf.placeholder(tf.uint8, (2, network.image_size, network.image_size, 3))
        weights = {variable: tf.zeros(shape) for variable, shape in network.shapes().items()}
        network.forward(network.preprocess(images), weights, no_dropout)
    assert not [op.name for op in graph.get_operations() if op.type == "ReverseV2"]


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_a_backbone_has_the_variables_that_weights_files_are_compared_with(name):
    network, architecture = backbone.make_backbone(name, 6, width=NARROW), make_architecture(name, 6, width=NARROW)
    assert list(network.shapes().items()) == list(architecture.shapes().items())
    assert isinstance(network, type(architecture)) and not isinstance(architecture, backbone.Backbone)
    assert (network.feature_width, network.new_layers, network.image_size, network.describe()) == (
        architecture.feature_width, architecture.new_layers, architecture.image_size, architecture.describe())


@pytest.mark.slow  # TensorFlow takes its time over a graph of so many layers
def test_an_iteration_of_the_method_changes_every_variable():
    classes, sources, batch = 3, 3, 4
    settings = meta_step.StepSettings(
        meta_batch_size=batch, source_domains=sources, inner_lr=1e-3, outer_lr=1e-3, metric_lr=1e-3)
    session = choice.make_device("cpu", intra_op_threads=1, inter_op_threads=1).session_config()
    random = np.random.RandomState(0)
    episode = Episode(
        images=images(sources * batch).reshape(sources, batch, 227, 227, 3),
        labels=random.randint(0, classes, (sources, batch)).astype(np.int32), order=("a", "b", "c"), step=1)
    with Model(SqueezeNet(classes, width=0.125), settings, 2, session, seed=0) as model:
        model.initialise()
        before = model.snapshot()
        scalars = model.step(episode)
        after = model.snapshot()
    assert scalars["source_loss"] == pytest.approx(np.log(classes), rel=0.05)
    still = [name for name in SqueezeNet(classes, width=0.125).shapes() if np.array_equal(before[name], after[name])]
    assert still == []
    assert all(np.all(np.isfinite(value)) for value in after.values())
