"""ResNets once more, in NumPy: float64, convolution, normalisation and pool as their definitions have them.

Shares no line with the network. Variables have the names of ``ResNetShapes``, and the structure is read from these
names alone. The stride is that of torchvision's layout, the padding half the filter's side.
"""
from __future__ import annotations

import numpy as np

MEAN_RGB, DEVIATION_RGB = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
EPSILON = 1e-5


def prepared(images):
    """torchvision's preprocessing of uint8 [N, H, W, 3] BGR: RGB from 0 to 1, normalised; float64."""
    return (images[..., ::-1].astype(np.float64) / 255.0 - MEAN_RGB) / DEVIATION_RGB


class Tape:
    """A forward pass that remembers what its backward pass needs. values: the variables, by name."""

    def __init__(self, values):
        self.values = values
        self.gradients = {}

    def convolve(self, x, conv, norm, stride, relu):
        """(y, backward) of a convolution, its batch normalisation with fixed statistics, and a ReLU if there is one.

        backward takes ∂y and returns ∂x; gradients of the variables are added up in ``gradients``.
        """
        weights = self.values[conv + "/weights"]
        scale, shift, mean, variance = (
            self.values[f"{norm}/{part}"] for part in ("scale", "shift", "mean", "variance"))
        deviation = np.sqrt(variance + EPSILON)
        side = weights.shape[0]
        margin = side // 2
        padded = np.pad(x, [(0, 0), (margin, margin), (margin, margin), (0, 0)], mode="constant")
        rows, columns = (1 + (size - side) // stride for size in padded.shape[1:3])

        def seen(array, i, j):  # what each position sees through tap (i, j) of the filter
            return array[:, i:i + stride * (rows - 1) + 1:stride, j:j + stride * (columns - 1) + 1:stride]

        taps = [(i, j) for i in range(side) for j in range(side)]
        summed = sum(seen(padded, i, j) @ weights[i, j] for i, j in taps)
        standard = (summed - mean) / deviation
        y = standard * scale + shift
        y = np.maximum(y, 0.0) if relu else y

        def backward(dy):
            dy = dy * (y > 0.0) if relu else dy
            self.add(norm + "/scale", (dy * standard).sum(axis=(0, 1, 2)))
            self.add(norm + "/shift", dy.sum(axis=(0, 1, 2)))
            dsum = dy * scale / deviation
            dweights, dpadded = np.zeros_like(weights), np.zeros_like(padded)
            for i, j in taps:
                dweights[i, j] = np.tensordot(seen(padded, i, j), dsum, axes=([0, 1, 2], [0, 1, 2]))
                seen(dpadded, i, j)[...] += dsum @ weights[i, j].T
            self.add(conv + "/weights", dweights)
            return dpadded[:, margin:margin + x.shape[1], margin:margin + x.shape[2]]

        return y, backward

    def add(self, name, gradient):
        self.gradients[name] = self.gradients.get(name, 0.0) + gradient


def max_pool(x):
    """(y, backward) of the 3×3 maximum with stride 2 and −∞ around the map."""
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], mode="constant", constant_values=-np.inf)
    rows, columns = (1 + (size - 3) // 2 for size in padded.shape[1:3])

    def seen(array, tap):
        return array[:, tap // 3:tap // 3 + 2 * rows - 1:2, tap % 3:tap % 3 + 2 * columns - 1:2]

    windows = np.stack([seen(padded, tap) for tap in range(9)])
    chosen = windows.argmax(axis=0)

    def backward(dy):
        dpadded = np.zeros_like(padded)
        for tap in range(9):
            seen(dpadded, tap)[...] += dy * (chosen == tap)
        return dpadded[:, 1:-1, 1:-1]

    return windows.max(axis=0), backward


def block(tape, x, name, stride):
    """(y, backward) of the residual block whose layers begin with ``name``."""
    numbers = [number for number in (1, 2, 3) if f"{name}conv{number}/weights" in tape.values]
    strided = 2 if numbers[-1] == 3 else 1  # the convolution that halves the map: the 3×3 one of a bottleneck
    backwards, y = [], x
    for number in numbers:
        y, backward = tape.convolve(y, f"{name}conv{number}", f"{name}bn{number}",
                                    stride if number == strided else 1, relu=number != numbers[-1])
        backwards.append(backward)
    shortcut, through_shortcut = x, lambda d: d
    if name + "downsample.0/weights" in tape.values:
        shortcut, through_shortcut = tape.convolve(x, name + "downsample.0", name + "downsample.1", stride, relu=False)
    total = np.maximum(y + shortcut, 0.0)

    def backward(dy):
        dy = dy * (total > 0.0)
        dx = dy
        for each in reversed(backwards):
            dx = each(dx)
        return dx + through_shortcut(dy)

    return total, backward


def run(values, images):
    """(tape, features [N, F], logits [N, C], backward of ∂logits) of uint8 images in BGR."""
    tape = Tape(values)
    x, stem = tape.convolve(prepared(images), "conv1", "bn1", 2, relu=True)
    x, pool = max_pool(x)
    backwards = [stem, pool]
    for stage in (1, 2, 3, 4):
        number = 0
        while f"layer{stage}.{number}.conv1/weights" in values:
            x, backward = block(tape, x, f"layer{stage}.{number}.", 2 if stage > 1 and number == 0 else 1)
            backwards.append(backward)
            number += 1
    positions = x.shape[1:3]
    features = x.mean(axis=(1, 2))
    logits = features @ values["fc/weights"] + values["fc/biases"]

    def backward(dlogits):
        tape.add("fc/weights", features.T @ dlogits)
        tape.add("fc/biases", dlogits.sum(axis=0))
        dx = np.broadcast_to((dlogits @ values["fc/weights"].T)[:, np.newaxis, np.newaxis] / np.prod(positions),
                             x.shape)
        for each in reversed(backwards):
            dx = each(dx)

    return tape, features, logits, backward
