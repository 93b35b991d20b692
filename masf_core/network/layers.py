"""The handful of layers that the backbones are made of: pure functions of tensors.

Dimensions: N images, H, W height and width, C channels. Images are NHWC, filters HWIO, all float32.
"""
from __future__ import annotations

from typing import Callable

from masf_core.tf1 import tf

# x of any shape, index of the dropout layer within one forward pass → x with elements dropped and the rest scaled up.
Dropout = Callable[["tf.Tensor", int], "tf.Tensor"]


def convolution(x, weights, biases, stride=1, padding="SAME", groups=1):
    """Convolution, bias and ReLU.

    Args:
        x: float32 [N, H, W, C].
        weights: float32 [h, w, C / groups, out]; group g makes the g-th slice of the outputs from the g-th slice of x.
        biases: float32 [out].

    Returns:
        float32 [N, H', W', out].
    """
    if groups == 1:
        out = tf.nn.conv2d(x, weights, strides=[1, stride, stride, 1], padding=padding)
    else:
        # CPU kernels of neither lane take a grouped filter, so each group is a convolution of its own.
        parts = [
            tf.nn.conv2d(part, filters, strides=[1, stride, stride, 1], padding=padding)
            for part, filters in zip(tf.split(x, groups, axis=3), tf.split(weights, groups, axis=3))
        ]
        out = tf.concat(parts, axis=3)
    return tf.nn.relu(tf.nn.bias_add(out, biases))


def local_response_normalisation(x):
    """AlexNet's normalisation over channels with the reference's constants (radius 2, α 1e-5, β 0.75, bias 1)."""
    return tf.nn.local_response_normalization(x, depth_radius=2, alpha=1e-5, beta=0.75, bias=1.0)


def max_pool(x, padding="VALID"):
    """3×3 maximum with stride 2."""
    return tf.nn.max_pool2d(x, ksize=[1, 3, 3, 1], strides=[1, 2, 2, 1], padding=padding)


def dense(x, weights, biases):
    """``x @ weights + biases`` for x float32 [N, in], weights [in, out]."""
    return tf.nn.bias_add(tf.matmul(x, weights), biases)


def no_dropout(x, _index):
    """The dropout of evaluation and of parity checks: none."""
    return x


def stateless_dropout(keep_probability, seed, stream):
    """Dropout whose masks are a function of (seed, stream, layer) and of nothing else.

    A stateful random op would restart its sequence with every session, and a resumed run would then differ from one
    that was never stopped.

    Args:
        keep_probability: float in (0, 1].
        seed: int32 tensor [2], fed per iteration (see ``episodes``).
        stream: int, distinct for each forward pass of an iteration.

    Returns:
        A ``Dropout``.
    """
    if keep_probability >= 1.0:
        return no_dropout

    def drop(x, index):
        shape = x.shape.as_list()
        uniform = tf.random.stateless_uniform(shape, seed=seed + tf.constant([0, 16 * stream + index], tf.int32))
        keep = tf.cast(uniform < keep_probability, x.dtype)
        return x * keep * (1.0 / keep_probability)

    return drop
