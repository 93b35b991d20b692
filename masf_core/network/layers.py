"""The layers of the backbones: pure functions of tensors.

Dimensions: N images, H, W height and width, C channels. Images are NHWC, filters HWIO, all float32.
"""
from __future__ import annotations

from typing import Dict, List, Tuple

from masf_core.network.kernels import Kernels
from masf_core.tf1 import tf

PLAIN = Kernels()


def convolution(x: tf.Tensor, weights: tf.Tensor, biases: tf.Tensor, stride: int = 1, padding: str = "SAME",
                kernels: Kernels = PLAIN) -> tf.Tensor:
    """Convolution, bias and ReLU.

    Args:
        x: float32 [N, H, W, C]. weights: float32 [h, w, C, out]. biases: float32 [out]. padding: ``SAME`` or ``VALID``.

    Returns:
        float32 [N, H', W', out].
    """
    return tf.nn.relu(biased_convolution(x, weights, biases, stride, padding, kernels))


def biased_convolution(x: tf.Tensor, weights: tf.Tensor, biases: tf.Tensor, stride: int = 1, padding: str = "SAME",
                       kernels: Kernels = PLAIN) -> tf.Tensor:
    """``convolution`` without the ReLU."""
    return tf.nn.bias_add(kernels.convolution(x, weights, stride, padding), biases)


def normalised(weights: tf.Tensor, normalisation: Dict[str, tf.Tensor], epsilon: float,
               kernels: Kernels = PLAIN) -> Tuple[tf.Tensor, tf.Tensor]:
    """Filters and biases of a convolution that does its batch normalisation too, with fixed statistics.

    y = scale · (x ∗ weights − mean) / √(variance + ε) + shift  =  x ∗ (s · weights) + (shift − s · mean)

    Args:
        weights: float32 [h, w, C, out]. normalisation: ``scale``, ``shift``, ``mean``, ``variance``, float32 [out].

    Returns:
        float32 [h, w, C, out], float32 [out].
    """
    with kernels.keeping_float32():
        s = normalisation["scale"] * tf.math.rsqrt(normalisation["variance"] + epsilon)
        return kernels.fence(s * weights), kernels.fence(normalisation["shift"] - s * normalisation["mean"])


def pad(x: tf.Tensor, margin: int) -> tf.Tensor:
    """Zeros around each map of float32 [N, H, W, C], ``margin`` on every side."""
    return tf.pad(x, [[0, 0], [margin] * 2, [margin] * 2, [0, 0]]) if margin else x


def grouped_convolution(parts: List[tf.Tensor], weights: tf.Tensor, biases: tf.Tensor,
                        kernels: Kernels = PLAIN) -> List[tf.Tensor]:
    """``convolution`` in groups: each group computes its slice of the outputs from its slice of the inputs alone.

    Inputs and outputs are lists of slices. A following layer that also works group by group (another such layer, a
    pool) then needs neither a concatenation nor a split, and TensorFlow can fuse each convolution with its bias and
    ReLU into one kernel.

    Args:
        parts: list of float32 [N, H, W, C / groups], one for each group. weights: float32 [h, w, C / groups, out].
        biases: float32 [out].

    Returns:
        list of float32 [N, H, W, out / groups].
    """
    groups = len(parts)
    return [convolution(part, filters, bias, kernels=kernels) for part, filters, bias in zip(
        parts, tf.split(weights, groups, axis=3), tf.split(biases, groups))]


def max_pool(x: tf.Tensor, padding: str = "VALID") -> tf.Tensor:
    """3×3 maximum with stride 2, of float32 [N, H, W, C]."""
    return tf.nn.max_pool2d(x, ksize=[1, 3, 3, 1], strides=[1, 2, 2, 1], padding=padding)


def dense(x: tf.Tensor, weights: tf.Tensor, biases: tf.Tensor, kernels: Kernels = PLAIN) -> tf.Tensor:
    """``x @ weights + biases`` for x float32 [N, in], weights [in, out]."""
    return tf.nn.bias_add(kernels.product(x, weights), biases)
