"""Which TensorFlow operations compute a layer. The fastest ones depend on the device.

``Kernels`` uses TensorFlow's own operation for each layer, for accelerators. On a processor some of these operations
are several times slower than the matrix products they consist of; ``CpuKernels`` and ``EigenKernels`` compute the same
functions with faster operations. Results agree to rounding. `benchmarks/kernels.py` measures the gain of each.

Dimensions: N images, H, W height and width, C channels, k filter side, s stride. Images are NHWC, filters HWIO; all is
float32.
"""
from __future__ import annotations

import contextlib
from typing import ContextManager

import numpy as np

from masf_core.network.dropout import Dropout, stateless_dropout
from masf_core.tf1 import IS_INTELS_115, IS_TF2, tf

# The reference's normalisation: radius 2, α 1e-5, β 0.75, bias 1.
LRN_RADIUS, LRN_ALPHA, LRN_BETA = 2, 1e-5, 0.75

# Channels from which on the product with a band matrix is faster; narrow products are slow.
BAND_CHANNELS = 48

# Elements from which on XLA compiles (a quarter of a second each time): 64 MB, far beyond the caches near a core.
XLA_ELEMENTS = 16 * 1000 * 1000


class Kernels:
    """TensorFlow's own operations.

    Args:
        narrow: TensorFlow is going to compute products, and the operations between two products, in 16 bits.
    """

    def __init__(self, narrow: bool = False) -> None:
        self.narrow = narrow

    def fence(self, x: tf.Tensor) -> tf.Tensor:
        """x, float32. Operations between x and the next product stay float32, and so do their gradients."""
        return _fenced(x) if self.narrow else x

    def keeping_float32(self) -> ContextManager[None]:
        """A context in which the operations that are made stay float32."""
        return contextlib.nullcontext()

    def exact_product(self, a: tf.Tensor, b: tf.Tensor, transpose_a: bool = False,
                      transpose_b: bool = False) -> tf.Tensor:
        """``tf.matmul`` of [M, K] and [K, N] in float32, also in its gradients; may hold M · K · N numbers."""
        if not self.narrow:
            return tf.matmul(a, b, transpose_a, transpose_b)
        a, b = tf.transpose(a) if transpose_a else a, tf.transpose(b) if transpose_b else b
        return tf.reduce_sum(a[:, :, tf.newaxis] * b[tf.newaxis, :, :], axis=1)

    def convolution(self, x: tf.Tensor, filters: tf.Tensor, stride: int, padding: str) -> tf.Tensor:
        """float32 [N, H, W, C] and [k, k, C, out] → [N, H', W', out]. padding: ``SAME`` or ``VALID``."""
        return tf.nn.conv2d(x, filters, strides=[1, stride, stride, 1], padding=padding)

    def product(self, x: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """float32 [N, in] · [in, out]."""
        return tf.matmul(x, weights)

    def local_response_normalisation(self, x: tf.Tensor) -> tf.Tensor:
        """AlexNet's normalisation over channels: y_c = x_c / n_c^β with n_c = 1 + α Σ_{|j−c| ≤ 2} x_j²."""
        return tf.nn.local_response_normalization(
            x, depth_radius=LRN_RADIUS, alpha=LRN_ALPHA, beta=LRN_BETA, bias=1.0)

    def dropout(self, keep_probability: float, seed: tf.Tensor, stream: int) -> Dropout:
        """The ``Dropout`` of one forward pass; see ``stateless_dropout`` for the arguments."""
        return stateless_dropout(keep_probability, seed, stream)


class CpuKernels(Kernels):
    """TensorFlow 2.x on a processor: oneDNN, whose convolutions are as fast as its matrix products."""

    def convolution(self, x: tf.Tensor, filters: tf.Tensor, stride: int, padding: str) -> tf.Tensor:
        """See ``Kernels``. A 1×1 convolution with a stride takes the positions that it sees first, and has none then.

        oneDNN of TensorFlow 2.21 writes outside the gradient of such filters if x has 8 channels or fewer, and the
        process crashes.
        """
        if stride > 1 and filters.shape.as_list()[:2] == [1, 1]:
            x, stride = x[:, ::stride, ::stride], 1
        return super().convolution(x, filters, stride, padding)

    def local_response_normalisation(self, x: tf.Tensor) -> tf.Tensor:
        """See ``Kernels``. A product with a band matrix sums neighbouring channels; square roots make the power.

        TensorFlow's own operation loops over the channels and takes logarithms, which lasts 2.6 times as long with its
        gradient

            ∂x = ∂y · n^−β − x · 2αβ Σ_{|j−c| ≤ 2} (∂y · y / n)_j
        """
        shape = x.shape.as_list()
        if shape[-1] < BAND_CHANNELS:
            return super().local_response_normalisation(x)
        window = _band(shape[-1])

        @tf.custom_gradient
        def normalise(x):
            rows = tf.reshape(x, [-1, shape[-1]])
            n = tf.nn.bias_add(tf.matmul(tf.square(rows), LRN_ALPHA * window), tf.ones([shape[-1]]))
            power = _power(n)
            y = rows * power

            def gradient(dy):
                dy = tf.reshape(dy, [-1, shape[-1]])
                shared = tf.matmul(dy * y / n, 2.0 * LRN_ALPHA * LRN_BETA * window)
                return tf.reshape(dy * power - rows * shared, shape)

            return tf.reshape(y, shape), gradient

        return normalise(x)


class EigenKernels(CpuKernels):
    """TensorFlow 1.15 on a processor: Eigen, in which only forward convolutions and plain products are fast.

    Forward convolutions therefore compute both gradients of a convolution, and the gradient of a product avoids
    transposing the weight matrix.
    """

    def local_response_normalisation(self, x: tf.Tensor) -> tf.Tensor:
        """As ``CpuKernels``; XLA fuses the elementwise operations between the products of large tensors.

        Eigen reads all memory for each of 12 operations, XLA three times in all, which takes half the time. (In
        TensorFlow 2.x the passes of XLA together are slower than those of oneDNN.) The gradient computes the power
        again, which costs less than reading it.
        """
        shape = x.shape.as_list()
        if np.prod(shape) < XLA_ELEMENTS:
            return super().local_response_normalisation(x)
        window = _band(shape[-1])
        fused = tf.xla.experimental.jit_scope

        @tf.custom_gradient
        def normalise(x):
            rows = tf.reshape(x, [-1, shape[-1]])
            n = tf.nn.bias_add(tf.matmul(tf.square(rows), LRN_ALPHA * window), tf.ones([shape[-1]]))
            with fused():
                y = rows * _power(n)

            def gradient(dy):
                dy = tf.reshape(dy, [-1, shape[-1]])
                with fused():
                    weighted = dy * rows * _power(n) / n
                shared = tf.matmul(weighted, 2.0 * LRN_ALPHA * LRN_BETA * window)
                with fused():
                    dx = dy * _power(n) - rows * shared
                return tf.reshape(dx, shape)

            return tf.reshape(y, shape), gradient

        return normalise(x)

    def convolution(self, x: tf.Tensor, filters: tf.Tensor, stride: int, padding: str) -> tf.Tensor:
        """See ``Kernels``."""
        side = filters.shape.as_list()[0]
        # TensorFlow computes a 1×1 convolution as a plain product. Even filters have no centre to be turned about. With
        # a stride, as in conv1, the gradient as a convolution has few outputs of long sums, and takes three times as
        # long.
        if stride > 1 or side == 1 or (padding == "SAME" and side % 2 == 0):
            return super().convolution(x, filters, stride, padding)
        with tf.get_default_graph().gradient_override_map({"Conv2D": "GradientsByConvolution"}):
            return super().convolution(x, filters, stride, padding)

    def product(self, x: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """See ``Kernels``."""
        with tf.get_default_graph().gradient_override_map({"MatMul": "GradientsByPlainProducts"}):
            return super().product(x, weights)


def processor_kernels(narrow: bool = False) -> Kernels:
    """The ``Kernels`` that are fastest on a processor. narrow: see ``Kernels``."""
    # Intel's 1.15 keeps tensors in oneDNN's layout from one operation to the next, also through its normalisation.
    if IS_INTELS_115:
        return Kernels(narrow)
    return (CpuKernels if IS_TF2 else EigenKernels)(narrow)


@tf.custom_gradient
def _fenced(x):
    """x, without a copy, through an operation that is on none of the lists of grappler's auto_mixed_precision.

    Grappler computes the operations that it knows between two products in 16 bits: for example the small step of a
    weight between a gradient and the next forward pass.
    """
    return tf.bitcast(x, tf.float32), lambda dy: tf.bitcast(dy, tf.float32)


def _power(n):
    """n^−β with β = 3/4."""
    root = tf.math.rsqrt(n)
    return root * tf.sqrt(root)


def _band(channels):
    """float32 [C, C], 1 where two channels are at most ``LRN_RADIUS`` apart."""
    apart = np.abs(np.arange(channels)[:, np.newaxis] - np.arange(channels))
    return (apart <= LRN_RADIUS).astype(np.float32)


def _gradients_by_convolution(op, dy):
    """Gradients of a Conv2D of stride 1, both as forward convolutions.

        ∂x = ∂y ∗ filters, turned by 180° and with inputs and outputs exchanged
        ∂f = x ∗ ∂y, with channels as images and images as channels
    """
    x, filters = op.inputs
    side = filters.shape.as_list()[0]
    margin = (side - 1) // 2 if op.get_attr("padding") == b"SAME" else 0

    def convolved(images, filters, margin):
        return tf.nn.conv2d(images, filters, strides=[1, 1, 1, 1], padding=[[0, 0], [margin] * 2, [margin] * 2, [0, 0]])

    turned = tf.transpose(tf.reverse(filters, axis=[0, 1]), [0, 1, 3, 2])
    dx = convolved(dy, turned, side - 1 - margin)
    dfilters = convolved(tf.transpose(x, [3, 1, 2, 0]), tf.transpose(dy, [1, 2, 0, 3]), margin)
    return dx, tf.transpose(dfilters, [1, 2, 0, 3])


def _gradients_by_plain_products(op, dy):
    """Gradients of x · W. The gradient of x is computed as (W · ∂yᵀ)ᵀ, which transposes the small factors only."""
    x, weights = op.inputs
    return tf.transpose(tf.matmul(weights, dy, transpose_b=True)), tf.matmul(x, dy, transpose_a=True)


tf.RegisterGradient("GradientsByConvolution")(_gradients_by_convolution)
tf.RegisterGradient("GradientsByPlainProducts")(_gradients_by_plain_products)
