"""From the order of axes and of channels in a file to ours.

Ours, which is TensorFlow's: convolutions are height × width × inputs × outputs (HWIO), dense layers inputs × outputs,
and a dense layer behind a convolution takes its inputs in the order height, width, channel. Images are blue, green, red
from 0 to 255, with a mean colour subtracted.
"""
from __future__ import annotations

from typing import NamedTuple, Tuple

import numpy as np


class Normalisation(NamedTuple):
    """How a network's images were prepared: red, green, blue from 0 to 1, minus ``mean``, divided by ``deviation``."""

    mean: Tuple[float, float, float]
    deviation: Tuple[float, float, float]


TORCHVISION = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def channels_last(array: np.ndarray, positions: int = 1) -> np.ndarray:
    """A view of ``array`` (OIHW, or outputs × inputs) with our order of axes. Groups of a convolution stay groups.

    Args:
        positions: of the map before a dense layer that comes behind a flatten, a square: 36 for 6 × 6. The inputs are
            then C·H·W in the file and H·W·C in what is returned.
    """
    if array.ndim == 4:
        return array.transpose(2, 3, 1, 0)
    if array.ndim != 2:
        return array
    outputs, inputs = array.shape
    if positions == 1 or inputs % positions:
        return array.T
    side = int(round(positions ** 0.5))
    return array.reshape(outputs, -1, side, side).transpose(2, 3, 1, 0).reshape(inputs, outputs)


def folded(weights: np.ndarray, biases: np.ndarray, made_for: Normalisation,
           mean_bgr: Tuple[float, float, float]) -> Tuple[np.ndarray, np.ndarray]:
    """conv1 for our images that does what the file's conv1 does for images prepared as ``made_for`` says.

    With x in our order, y = x − mean_bgr, m and s of ``made_for`` in our order:
    (x/255 − m)/s = y/(255·s) + (mean_bgr/255 − m)/s. The factor goes into the weights, the constant into the biases.

    This is exact if conv1 has no padding, or if mean_bgr = 255·m. Otherwise the constant would also be added where the
    filter lies on padding, which stands for 0 after the preparation.

    Args:
        weights: [height, width, 3, outputs], channels red, green, blue. biases: [outputs].
        mean_bgr: what our network subtracts.

    Returns:
        float32 (weights, biases), channels blue, green, red.
    """
    deviation = np.array(made_for.deviation[::-1])[:, np.newaxis]
    mean = np.array(made_for.mean[::-1])[:, np.newaxis]
    swapped = weights[:, :, ::-1, :].astype(np.float64)
    constant = (np.array(mean_bgr)[:, np.newaxis] / 255.0 - mean) / deviation
    shift = np.einsum("hwco,cx->o", swapped, constant)
    return (swapped / (255.0 * deviation)).astype(np.float32), (biases + shift).astype(np.float32)
