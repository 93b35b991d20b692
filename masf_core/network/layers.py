"""The handful of layers that the backbones are made of: pure functions of tensors.

Dimensions: N images, H, W height and width, C channels. Images are NHWC, filters HWIO, all float32.
"""
from __future__ import annotations

from masf_core.network.kernels import Kernels
from masf_core.tf1 import tf

PLAIN = Kernels()


def convolution(x, weights, biases, stride=1, padding="SAME", kernels=PLAIN):
    """Convolution, bias and ReLU.

    Args:
        x: float32 [N, H, W, C]. weights: float32 [h, w, C, out]. biases: float32 [out]. kernels: ``Kernels``.

    Returns:
        float32 [N, H', W', out].
    """
    return tf.nn.relu(tf.nn.bias_add(kernels.convolution(x, weights, stride, padding), biases))


def grouped_convolution(parts, weights, biases, kernels=PLAIN):
    """``convolution`` in groups: each makes its slice of the outputs from its slice of the inputs alone.

    Inputs and outputs stay in parts, so that what follows group by group (the next such layer, a pool) needs neither
    a concatenation nor a split; and a convolution with its own bias and ReLU is one kernel where TensorFlow fuses.

    Args:
        parts: list of float32 [N, H, W, C / groups], one a group. weights: float32 [h, w, C / groups, out].
        biases: float32 [out].

    Returns:
        list of float32 [N, H, W, out / groups].
    """
    groups = len(parts)
    return [convolution(part, filters, bias, kernels=kernels) for part, filters, bias in zip(
        parts, tf.split(weights, groups, axis=3), tf.split(biases, groups))]


def max_pool(x, padding="VALID"):
    """3×3 maximum with stride 2."""
    return tf.nn.max_pool2d(x, ksize=[1, 3, 3, 1], strides=[1, 2, 2, 1], padding=padding)


def dense(x, weights, biases, kernels=PLAIN):
    """``x @ weights + biases`` for x float32 [N, in], weights [in, out]."""
    return tf.nn.bias_add(kernels.product(x, weights), biases)
