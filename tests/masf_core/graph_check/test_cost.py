"""Arithmetic and traffic are those that the shapes imply; the prediction is the roofline of its own definition."""
from __future__ import annotations

import pytest

from masf_core.graph_check import cost as cost
from masf_core.graph_check import limits
from masf_core.method import meta_step
from masf_core.network.alexnet import AlexNet
from masf_core.tf1 import tf


def cost_of(build):
    """group → ``Cost`` of what ``build`` returns."""
    graph = tf.Graph()
    with graph.as_default():
        fetches = build()
    return cost.costs(graph, fetches if isinstance(fetches, list) else [fetches])


def floats(*shape):
    return tf.placeholder(tf.float32, shape)


@pytest.mark.parametrize("build, flops, moved", [
    (lambda: tf.matmul(floats(2, 3), floats(3, 5)), 2 * 2 * 5 * 3, 4 * (6 + 15 + 10)),
    (lambda: tf.matmul(floats(3, 2), floats(3, 5), transpose_a=True), 2 * 2 * 5 * 3, 4 * (6 + 15 + 10)),
    (lambda: tf.matmul(floats(7, 2, 3), floats(7, 3, 5)), 2 * 7 * 2 * 5 * 3, 4 * 7 * (6 + 15 + 10)),
    (lambda: tf.nn.conv2d(floats(2, 6, 6, 3), floats(3, 3, 3, 5), strides=[1, 2, 2, 1], padding="SAME"),
     2 * (2 * 3 * 3 * 5) * (3 * 3 * 3), 4 * (2 * 36 * 3 + 27 * 5 + 2 * 9 * 5)),
])
def test_products_are_counted_exactly(build, flops, moved):
    (found,) = cost_of(build).values()
    assert (found.count, found.flops, found.bytes) == (1, flops, moved)
    assert found.intensity == flops / moved


def test_the_gradients_of_a_convolution_cost_what_it_costs():
    def build():
        x, filters = floats(2, 6, 6, 3), floats(3, 3, 3, 5)
        y = tf.nn.conv2d(x, filters, strides=[1, 1, 1, 1], padding="SAME")
        return [y] + tf.gradients(y, [x, filters], floats(2, 6, 6, 5))

    found = cost_of(build)["convolutions"]
    assert (found.count, found.flops) == (3, 3 * 2 * (2 * 36 * 5) * 27)


def test_an_update_reads_and_writes_its_variables():
    def build():
        variable = tf.Variable(tf.zeros([1000]), use_resource=False)
        return tf.train.AdamOptimizer(0.1).apply_gradients([(floats(1000), variable)])

    found = cost_of(build)["updates"]
    assert found.flops == pytest.approx(12 * 1000)
    assert found.bytes == pytest.approx(7 * 4000, rel=0.01)  # gradient, and three variables twice; some scalars


def test_what_does_not_run_and_what_is_known_before_costs_nothing():
    def build():
        tf.matmul(floats(2, 3), floats(3, 5))
        return tf.identity(tf.reshape(floats(2, 3), [6])) if tf.ones([4]) is not None else None

    assert cost_of(build) == {}


def test_an_iteration_is_the_products_that_are_said_of_it():
    """15 · B · F, less the gradient of the images (5 · B · F of conv1), which nobody takes, plus the metric network."""
    batch, backbone = 6, AlexNet(7)
    group = 3 * (batch // 3)
    graph = tf.Graph()
    with graph.as_default():
        training = meta_step.build(backbone, meta_step.StepSettings(meta_batch_size=batch, source_domains=3))
    found = cost.costs(graph, list(training.scalars.values()) + [training.train])
    products = sum(found[group].flops for group in cost.PRODUCTS)
    forward = 1.49e9
    conv1 = 2 * 57 * 57 * 96 * 11 * 11 * 3
    metric = 3 * 2 * group * (4096 * 1024 + 1024 * 256)
    assert products == pytest.approx(15 * batch * forward - 5 * batch * conv1 + metric, rel=0.002)
    assert products == pytest.approx(15 * batch * forward, rel=0.06)
    assert found["normalisation"].count == 4 + 4 and found["random numbers"].count == 4


def test_a_group_takes_the_longer_of_its_arithmetic_and_its_traffic():
    device = cost.Device(products=100.0, others=10.0, memory=50.0, scalar_moves=4.0, drawn=2.0)
    assert cost.seconds_of("dense", cost.Cost(1, 200, 50), device) == 2.0
    assert cost.seconds_of("dense", cost.Cost(1, 200, 500), device) == 10.0
    assert cost.seconds_of("pools", cost.Cost(1, 200, 50), device) == 20.0
    groups = {"dense": cost.Cost(1, 200, 50), "pools": cost.Cost(1, 10, 50)}
    assert cost.predict(groups, device, images=1) == pytest.approx(3.0 + cost.CALL)
    assert cost.predict(groups, device, images=10 ** 6) == pytest.approx(10 ** 6 * cost.DRAWING)
    assert cost.total(groups) == cost.Cost(2, 210, 100)
    assert cost.seconds_of("moving data", cost.Cost(1, 0, 50, scalar_moves=8), device) == 1.0 + 2.0
    assert cost.seconds_of("random numbers", cost.Cost(1, 0, 50, drawn=8), device) == 1.0 + 4.0


@pytest.mark.parametrize("found, expected", [
    (cost.Cost(1, 20, 50), "arithmetic"), (cost.Cost(1, 10, 500), "memory"), (cost.Cost(1, 10, 50), "memory"),
    (cost.Cost(1, 10, 50, scalar_moves=8), "scalar units"), (cost.Cost(1, 10, 50, drawn=8), "AICPU")])
def test_a_group_is_bound_by_what_takes_the_longest(found, expected):
    device = cost.Device(products=100.0, others=10.0, memory=50.0, scalar_moves=4.0, drawn=2.0)
    assert cost.bound_of("pools", found, device) == expected


@pytest.mark.parametrize("axis, moves", [(3, 2 * 5 * 7 * 3), (-1, 2 * 5 * 7 * 3), ([1, 3], 2 * 5 * 7 * 3), (2, 0)])
def test_a_reverse_of_the_last_axis_moves_every_element_by_itself(axis, moves):
    axes = axis if isinstance(axis, list) else [axis]
    (found,) = cost_of(lambda: tf.reverse(tf.placeholder(tf.uint8, [2, 5, 7, 3]), axes)).values()
    assert (found.scalar_moves, found.bytes) == (moves, 2 * 210 + 4 * len(axes))


def test_reversing_the_published_batch_takes_as_long_as_was_estimated():
    found = cost_of(lambda: tf.reverse(tf.placeholder(tf.uint8, [378, 227, 227, 3]), [3]))["moving data"]
    assert cost.seconds_of("moving data", found, cost.PEAK) == pytest.approx(25e-3, rel=0.01)
    assert cost.seconds_of("moving data", found, cost.GOOD) == pytest.approx(50e-3, rel=0.01)


def adapters_mask():
    with limits.standing_for("DropOutGenMask"):  # whose output has a bit for each element
        return tf.cast(floats(48), tf.uint8)


@pytest.mark.parametrize("build, drawn", [
    (lambda: tf.random.stateless_uniform([7, 11], seed=tf.placeholder(tf.int32, [2])), 77), (adapters_mask, 8 * 48)])
def test_a_dropout_mask_is_drawn_on_aicpu(build, drawn):
    found = cost_of(build)["random numbers"]
    assert (found.count, found.drawn) == (1, drawn)
    assert cost.bound_of("random numbers", found, cost.PEAK) == "AICPU"


def test_a_normalisation_transforms_the_layout_of_an_input_and_of_its_output():
    def build():
        x = floats(2, 5, 7, 3)
        y = tf.nn.local_response_normalization(x)
        return [y] + tf.gradients(y, x, floats(2, 5, 7, 3))

    # y of x, and ∂x of ∂y, x and y; each transform reads and writes a tensor.
    assert cost_of(build)["normalisation"].bytes == 4 * 210 * ((2 + 4) + (4 + 4))


def test_shapes_that_are_not_known_stop_nothing():
    assert cost_of(lambda: tf.square(tf.placeholder(tf.float32, [None, 3])))["elementwise"].flops == 0
