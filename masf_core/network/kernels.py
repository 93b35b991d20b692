"""How the arithmetic of a layer is asked of TensorFlow: the same functions, in other words where those are faster.

``Kernels`` are TensorFlow's own operations, for accelerators. On a processor some of them are several times slower than
the matrix products they consist of; ``CpuKernels`` and ``EigenKernels`` say the same with operations that are not.
Results agree to rounding. `benchmarks/kernels.py` measures what each is worth.

Dimensions: N images, H, W height and width, C channels, k filter side, s stride. Images are NHWC, filters HWIO; all is
float32.
"""
from __future__ import annotations

import contextlib

import numpy as np

from masf_core.network.dropout import stateless_dropout
from masf_core.tf1 import IS_INTELS_115, IS_TF2, tf

# The reference's normalisation: radius 2, α 1e-5, β 0.75, bias 1.
LRN_RADIUS, LRN_ALPHA, LRN_BETA = 2, 1e-5, 0.75

# From how many channels on the product with a band matrix is the faster way; narrow products are slow.
BAND_CHANNELS = 48

# From how many elements on XLA compiles (a quarter of a second each time): 64 MB, far beyond the caches near a core.
XLA_ELEMENTS = 16 * 1000 * 1000


class Kernels:
    """TensorFlow's own operations.

    Args:
        narrow: products, and what lies between two of them, are going to be computed in 16 bits.
    """

    def __init__(self, narrow=False):
        self.narrow = narrow

    def fence(self, x):
        """x, float32: what is computed from it stays float32 up to the next product, and so do the gradients."""
        return _fenced(x) if self.narrow else x

    def keeping_float32(self):
        """A context manager: the operations made in it stay float32."""
        return contextlib.nullcontext()

    def exact_product(self, a, b, transpose_a=False, transpose_b=False):
        """``tf.matmul`` in float32, and so its gradients; for small matrices, where it takes M · K · N of memory."""
        if not self.narrow:
            return tf.matmul(a, b, transpose_a, transpose_b)
        a, b = tf.transpose(a) if transpose_a else a, tf.transpose(b) if transpose_b else b
        return tf.reduce_sum(a[:, :, tf.newaxis] * b[tf.newaxis, :, :], axis=1)

    def convolution(self, x, filters, stride, padding):
        """float32 [N, H, W, C] and [k, k, C, out] → [N, H', W', out]. padding: ``SAME`` or ``VALID``."""
        return tf.nn.conv2d(x, filters, strides=[1, stride, stride, 1], padding=padding)

    def product(self, x, weights):
        """float32 [N, in] · [in, out]."""
        return tf.matmul(x, weights)

    def local_response_normalisation(self, x):
        """AlexNet's normalisation over channels: y_c = x_c / n_c^β with n_c = 1 + α Σ_{|j−c| ≤ 2} x_j²."""
        return tf.nn.local_response_normalization(
            x, depth_radius=LRN_RADIUS, alpha=LRN_ALPHA, beta=LRN_BETA, bias=1.0)

    def dropout(self, keep_probability, seed, stream):
        """The ``Dropout`` of one forward pass; arguments as of ``stateless_dropout``."""
        return stateless_dropout(keep_probability, seed, stream)


class CpuKernels(Kernels):
    """TensorFlow 2.x on a processor: oneDNN, whose convolutions are as fast as its matrix products."""

    def local_response_normalisation(self, x):
        """The sum over neighbouring channels as a product with a band matrix, the power by square roots.

        TensorFlow's own goes through the channels one by one and takes logarithms: 2.6 times as long with its gradient

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
    """TensorFlow 1.15 on a processor: Eigen, whose forward convolutions and plain products alone are fast.

    So both gradients of a convolution are computed as forward convolutions, and the gradient of a product without
    handing a transposed weight matrix to it.
    """

    def local_response_normalisation(self, x):
        """As ``CpuKernels``; what is elementwise between the products is fused by XLA where that is worth compiling.

        Eigen makes a pass over memory of each of 12 operations, XLA three: half the time. (In TensorFlow 2.x XLA's
        passes are slower than oneDNN's many.) The power is computed anew in the gradient, which costs less than a pass.
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

    def convolution(self, x, filters, stride, padding):
        side = filters.shape.as_list()[0]
        # A plain product TensorFlow knows; even filters cannot be turned round in place. With a stride, of conv1 alone,
        # the gradient as a convolution has few outputs of long sums, and takes three times as long.
        if stride > 1 or side == 1 or (padding == "SAME" and side % 2 == 0):
            return super().convolution(x, filters, stride, padding)
        with tf.get_default_graph().gradient_override_map({"Conv2D": "GradientsByConvolution"}):
            return super().convolution(x, filters, stride, padding)

    def product(self, x, weights):
        with tf.get_default_graph().gradient_override_map({"MatMul": "GradientsByPlainProducts"}):
            return super().product(x, weights)


def processor_kernels(narrow=False):
    """The ``Kernels`` that are fastest on a processor. narrow: as of ``Kernels``."""
    # Intel's 1.15 keeps tensors in a layout of oneDNN's from one operation to the next, its normalisation included.
    if IS_INTELS_115:
        return Kernels(narrow)
    return (CpuKernels if IS_TF2 else EigenKernels)(narrow)


@tf.custom_gradient
def _fenced(x):
    """x, without a copy, by an operation that grappler's auto_mixed_precision has on none of its lists.

    It narrows whatever it knows between two products: a weight's small step, say, from a gradient to a forward pass.
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
    """Gradients of x · W. That of x is taken as (W · ∂yᵀ)ᵀ: only the small factors are transposed."""
    x, weights = op.inputs
    return tf.transpose(tf.matmul(weights, dy, transpose_b=True)), tf.matmul(x, dy, transpose_a=True)


tf.RegisterGradient("GradientsByConvolution")(_gradients_by_convolution)
tf.RegisterGradient("GradientsByPlainProducts")(_gradients_by_plain_products)
