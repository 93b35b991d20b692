"""The kernels of a processor compute what TensorFlow's own operations compute, values and gradients."""
from __future__ import annotations

import numpy as np
import pytest

from masf_core.devices.cpu import Cpu
from masf_core.devices.gpu import Gpu
from masf_core.network import kernels
from masf_core.network.kernels import CpuKernels, Kernels, EigenKernels, processor_kernels
from masf_core.tf1 import IS_TF2, tf


@pytest.fixture(autouse=True)
def few_channels(monkeypatch):
    """The band matrix also where there are too few channels for it to be worth while."""
    monkeypatch.setattr(kernels, "BAND_CHANNELS", 1)


def values_and_gradients(function, *arrays):
    """function(*arrays) and the gradients of a weighted sum of it."""
    with tf.Graph().as_default(), tf.Session() as session:
        inputs = [tf.constant(array) for array in arrays]
        result = function(*inputs)
        weights = np.random.RandomState(9).standard_normal(result.shape.as_list()).astype(np.float32)
        return session.run([result] + tf.gradients(result * weights, inputs))


def assert_same(function_of, *arrays):
    plain = values_and_gradients(function_of(Kernels()), *arrays)
    for own in (CpuKernels(), EigenKernels()):
        for expected, found in zip(plain, values_and_gradients(function_of(own), *arrays)):
            np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5 * np.abs(expected).max())


def draw(*shape, scale=1.0):
    return (scale * np.random.RandomState(sum(shape)).standard_normal(shape)).astype(np.float32)


@pytest.mark.parametrize("side, stride, padding, height, width", [
    (3, 1, "SAME", 7, 5), (5, 1, "SAME", 8, 6), (1, 1, "SAME", 4, 5), (2, 1, "SAME", 5, 4), (2, 1, "VALID", 5, 6),
    (3, 1, "VALID", 6, 5), (11, 4, "SAME", 27, 30), (11, 4, "VALID", 27, 30), (7, 2, "VALID", 17, 20),
    (1, 2, "VALID", 9, 8), (1, 2, "SAME", 8, 7), (1, 3, "SAME", 8, 9),
    (3, 2, "SAME", 9, 8), (4, 3, "SAME", 10, 11), (3, 4, "VALID", 11, 12), (3, 3, "SAME", 7, 8),
])
def test_convolutions_agree(side, stride, padding, height, width):
    assert_same(lambda kernels: lambda x, filters: kernels.convolution(x, filters, stride, padding),
                draw(2, height, width, 3), draw(side, side, 3, 4))


@pytest.mark.parametrize("own", [CpuKernels(), EigenKernels()], ids=["oneDNN", "Eigen"])
def test_no_gradient_of_a_1x1_convolution_has_a_stride(own):
    # oneDNN writes outside the gradient of such filters. Whether that crashes depends on what lies there.
    with tf.Graph().as_default() as graph:
        x, filters = tf.zeros([2, 8, 8, 3]), tf.zeros([1, 1, 3, 4])
        tf.gradients(own.convolution(x, filters, 2, "VALID"), [x, filters])
        strides = {tuple(op.get_attr("strides")) for op in graph.get_operations() if op.type.startswith("Conv2D")}
    assert strides == {(1, 1, 1, 1)}


def test_products_agree():
    assert_same(lambda kernels: kernels.product, draw(5, 7), draw(7, 3))


@pytest.mark.parametrize("channels", [1, 2, 4, 9])
def test_normalisations_agree(channels):
    # AlexNet's activations run into the hundreds, where the divisor is far from 1.
    assert_same(lambda kernels: kernels.local_response_normalisation, draw(2, 3, 2, channels, scale=300.0))


def test_normalisations_agree_where_xla_compiles(monkeypatch):
    monkeypatch.setattr(kernels, "XLA_ELEMENTS", 1)
    assert_same(lambda kernels: kernels.local_response_normalisation, draw(2, 3, 2, 9, scale=300.0))


def test_normalisation_by_hand():
    x = np.array([[[[100.0, 0.0, 200.0, 0.0, 0.0, 300.0]]]], np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        found = session.run(CpuKernels().local_response_normalisation(tf.constant(x)))
    # Channel 0 sees channels 0..2: 1 + 1e-5 (100² + 200²) = 1.5; channel 2 sees 0..4: 1.5; channel 5 sees 3..5: 1.9.
    np.testing.assert_allclose(found[0, 0, 0], [100 / 1.5 ** 0.75, 0, 200 / 1.5 ** 0.75, 0, 0, 300 / 1.9 ** 0.75],
                               rtol=1e-6)


def test_second_users_of_an_operation_keep_tensorflows_gradient():
    """The gradients are exchanged for the kernels' own operations alone."""
    with tf.Graph().as_default():
        EigenKernels().product(tf.ones([2, 3]), tf.ones([3, 4]))
        x = tf.ones([2, 3])
        product = tf.matmul(x, tf.ones([3, 4]))
        gradient = tf.gradients(product, x)[0]
        assert gradient.op.type == "MatMul"  # the kernels' own ends in a transposition


def test_a_gpu_gets_tensorflows_own_operations():
    assert type(Gpu().kernels()) is Kernels and type(Cpu().kernels()) is type(processor_kernels())
    assert type(processor_kernels()) is (CpuKernels if IS_TF2 else EigenKernels)
