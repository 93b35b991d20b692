"""Made-up AlexNet weights, in the layout of `bvlc_alexnet.npy`."""

from __future__ import annotations

import os
from typing import Dict, List

import numpy as np

from masf_core.randomness import generator

# conv1's outputs are as large as pixels, and each layer above halves the scale, down to features of about 1. If conv1
# did all of the reduction, its weights would be smaller than a usual learning rate, and so than Adam's first steps.
_EDGE_RESPONSE = 400.0  # output of a filter for the black-and-white edge (255 levels) that fits it best
_GAIN = 0.5


def write_alexnet_weights(path: str, width: float = 1.0, seed: int = 0) -> None:
    """Write a pickled dict {layer: [weights, biases]} of float32 arrays to `path`, whole or not at all.

    conv1 gets oriented edge filters at several scales, like those of a trained network (channels in BGR order).
    The other layers are random, with half of He's standard deviation √(2 / inputs). Biases are 0, and fc8 has 1000
    outputs.

    width: factor of every hidden channel count, as the setting `width` of the network.
    """
    layers: Dict[str, List[np.ndarray]] = {}
    for name, shape in alexnet_shapes(width).items():
        rng = generator(seed, "alexnet", name)
        weights = edge_filters(shape, rng) if name == "conv1" else _scaled_normal(shape, rng)
        layers[name] = [weights, np.zeros(shape[-1], np.float32)]
    temporary = path + ".part"
    try:
        with open(temporary, "wb") as stream:
            np.save(stream, layers, allow_pickle=True)
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def alexnet_shapes(width: float) -> Dict[str, tuple]:
    """{layer: shape of its weights}, height × width × inputs × outputs; conv2, conv4 and conv5 have two groups."""
    def channels(count: int) -> int:
        return max(2, int(round(count * width / 2)) * 2)

    c1, c2, c3, c4, c5, hidden = (channels(count) for count in (96, 256, 384, 384, 256, 4096))
    return {
        "conv1": (11, 11, 3, c1), "conv2": (5, 5, c1 // 2, c2), "conv3": (3, 3, c2, c3), "conv4": (3, 3, c3 // 2, c4),
        "conv5": (3, 3, c4 // 2, c5), "fc6": (6 * 6 * c5, hidden), "fc7": (hidden, hidden), "fc8": (hidden, 1000)}


def edge_filters(shape: tuple, rng: np.random.RandomState) -> np.ndarray:
    """Gabor filters, float32 [side, side, 3, count]: a wave multiplied by a bell, in evenly spread directions.

    w(u, v) ∝ exp(−(u² + v²)/2σ²) · cos(2πu/λ + φ), with u along the direction and a sum of zero. Three of four filters
    are grey; the others weigh the three colours by a random vector.
    """
    side, _, colours, count = shape
    v, u = np.mgrid[:side, :side] - (side - 1) / 2.0
    filters = np.empty(shape, np.float32)
    for i in range(count):
        angle = np.pi * (i + rng.uniform(-0.2, 0.2)) / max(1, count // 3)  # the directions go round three times
        sigma, phase = rng.choice((1.3, 1.9, 2.8)), rng.choice((0.0, 0.5, 1.0, 1.5)) * np.pi
        along = u * np.cos(angle) + v * np.sin(angle)
        bell = np.exp(-(u ** 2 + v ** 2) / (2 * sigma ** 2))
        wave = bell * np.cos(2 * np.pi * along / (3.2 * sigma) + phase)
        wave -= bell * (wave.sum() / bell.sum())
        colour = np.ones(colours) if i % 4 else rng.normal(size=colours)
        filters[..., i] = wave[..., np.newaxis] * colour
        filters[..., i] *= _EDGE_RESPONSE / 255.0 / (np.abs(filters[..., i]).sum() / 2)
    return filters


def _scaled_normal(shape: tuple, rng: np.random.RandomState) -> np.ndarray:
    """float32, normal with _GAIN times He's deviation."""
    # Block by block, because full AlexNet as float64 would take half a gigabyte.
    inputs = int(np.prod(shape[:-1]))
    weights = np.empty((inputs, shape[-1]), np.float32)
    for start in range(0, inputs, 256):
        block = weights[start:start + 256]
        block[...] = rng.normal(0.0, _GAIN * np.sqrt(2.0 / inputs), block.shape)
    return weights.reshape(shape)
