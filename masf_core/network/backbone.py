"""What the method needs to know of a network. ``registry`` lists those there are, and says how to add one."""
from __future__ import annotations

import abc
import collections
import importlib
from typing import Dict, Tuple

import numpy as np

from masf_core.errors import WeightsError
from masf_core.network.layers import PLAIN
from masf_core.network.registry import BACKBONES
from masf_core.randomness import generator

Shapes = Dict[str, Tuple[int, ...]]


class Backbone(abc.ABC):
    """A feature extractor with a linear classifier on top.

    Attributes:
        image_size: side of the square input, pixels.
        num_classes: C.
        feature_width: F, width of the features that the local loss sees.
        kernels: ``Kernels``, how the device is asked for the arithmetic of a layer.
        new_layers: layers that are never taken from pretrained weights (the classifier of another label set).
    """

    image_size = 227
    feature_width = 0
    new_layers = ()  # type: Tuple[str, ...]

    def __init__(self, num_classes, kernels=PLAIN):
        self.num_classes = num_classes
        self.kernels = kernels

    @abc.abstractmethod
    def shapes(self):
        """Ordered mapping of variable name (``layer/weights``, ``layer/biases``) to shape."""

    @abc.abstractmethod
    def preprocess(self, images):
        """uint8 [N, S, S, 3] RGB → the float32 tensor that ``forward`` takes."""

    @abc.abstractmethod
    def forward(self, inputs, weights, dropout):
        """Features float32 [N, F] and logits float32 [N, C].

        Args:
            inputs: what ``preprocess`` returned.
            weights: mapping as ``shapes`` names it, of tensors or variables.
            dropout: a ``dropout.Dropout``.
        """

    def initial_values(self, seed, but=()):
        """Fresh float32 arrays for every variable: Glorot-uniform weights, zero biases (reference: its fc8).

        Each variable draws from its own generator, so that a network of another width or class count does not shift
        the others' values. The names in ``but`` are left out: AlexNet's weights take a second to draw.
        """
        values = collections.OrderedDict()
        for name, shape in self.shapes().items():
            if name not in but:
                values[name] = glorot_uniform(shape, generator(seed, "initial", name))
        return values

    def from_pretrained(self, layers, source):
        """Initial values for the variables that a weights file covers.

        Args:
            layers: mapping layer name → [weights, biases], as ``pretrained.read_pretrained`` returns it.
            source: the file's name, for messages.

        Returns:
            dict variable name → float32 array; the layers in ``new_layers`` are left out.

        Raises:
            WeightsError: a layer is missing or has another shape.
        """
        values, problems = {}, []
        for name, shape in self.shapes().items():
            layer, part = name.rsplit("/", 1)
            if layer in self.new_layers:
                continue
            if layer not in layers:
                problems.append("layer {!r} is missing".format(layer))
                continue
            array = _pick(layers[layer], part)
            if array is None or array.shape != shape:
                problems.append("{}: expected shape {}, found {}".format(
                    name, shape, "nothing" if array is None else array.shape))
                continue
            values[name] = np.ascontiguousarray(array, dtype=np.float32)
        if problems:
            raise WeightsError(
                "{}: these weights do not fit the network: {}. Expected {} (settings `backbone` and `width` must match "
                "the file; `--weights_path=none` trains from scratch).".format(
                    source, "; ".join(problems[:4]) + (" …" if len(problems) > 4 else ""), self.describe()))
        return values

    def describe(self):
        """One line for messages: what this network is."""
        return "{} with {} classes".format(type(self).__name__, self.num_classes)


def _pick(arrays, part):
    """The weights (rank > 1) or the biases (rank 1) among a layer's arrays; published files differ in their order."""
    for array in arrays:
        if (np.ndim(array) == 1) == (part == "biases"):
            return np.asarray(array)
    return None


def glorot_uniform(shape, random):
    """float32 array of U(−l, l), l = √(6 / (fan_in + fan_out)); zeros for a vector. (Glorot & Bengio 2010, eq. 16)"""
    if len(shape) == 1:
        return np.zeros(shape, np.float32)
    receptive = int(np.prod(shape[:-2]))
    limit = np.sqrt(6.0 / (receptive * (shape[-2] + shape[-1])))
    return random.uniform(-limit, limit, size=shape).astype(np.float32)


def make_backbone(name, num_classes, width=1.0, kernels=PLAIN):
    """The backbone called ``name``.

    Raises:
        ValueError: no such backbone; the message lists those there are.
    """
    if name not in BACKBONES:
        raise ValueError("unknown backbone {!r}; there are: {}".format(name, ", ".join(BACKBONES)))
    module, _, class_name = BACKBONES[name].partition(":")
    return getattr(importlib.import_module(module), class_name)(num_classes, width=width, kernels=kernels)
