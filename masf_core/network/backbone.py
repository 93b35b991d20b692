"""What the method needs to know of a network. ``registry`` lists those there are, and says how to add one."""
from __future__ import annotations

import abc
import collections
import importlib
import logging
from typing import Dict, Tuple

import numpy as np

from masf_core.errors import WeightsError
from masf_core.network.layers import PLAIN
from masf_core.network.registry import BACKBONES
from masf_core.randomness import generator

log = logging.getLogger(__name__)

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

    def from_pretrained(self, layers, source, with_classifier=False):
        """Initial values for the variables that a weights file covers.

        Args:
            layers: mapping layer name → [weights, biases], as ``pretrained.read_pretrained`` returns it.
            source: the file's name, for messages. with_classifier: the layers in ``new_layers`` are taken, too, if
                they have the shapes of this network: the file is of a training of our own.

        Returns:
            dict variable name → float32 array; the layers in ``new_layers`` are left out otherwise.

        Raises:
            WeightsError: a layer is missing or has another shape.
        """
        values, problems, missing = {}, [], []
        taken = [layer for layer in self.new_layers if with_classifier and self._fits(layer, layers)]
        for name, shape in self.shapes().items():
            layer, part = name.rsplit("/", 1)
            if layer in self.new_layers and layer not in taken:
                continue
            if layer not in layers:
                missing += [repr(layer)] if repr(layer) not in missing else []
                continue
            array = _pick(layers[layer], part)
            if array is None or array.shape != shape:
                problems.append("{}: expected shape {}, found {}".format(
                    name, shape, "nothing" if array is None else array.shape))
                continue
            values[name] = np.ascontiguousarray(array, dtype=np.float32)
        if missing:
            problems.insert(0, "missing layer{} {}".format("s" * (len(missing) > 1), _few(missing, ", ")))
        if problems:
            other = recognised(layers)
            raise WeightsError(
                "{}: these weights do not fit the network: {}. Expected {}; {} (`--weights_path=none` trains from "
                "scratch).".format(
                    source, _few(problems, "; "), self.describe(),
                    "settings `backbone` and `width` must match the file" if other is None
                    else "the file is of " + other))
        for layer in self.new_layers if with_classifier else ():
            if layer in taken:
                log.info("classifier %s: taken from %s", layer, source)
            else:
                log.warning("classifier %s begins afresh: %s is of %s classes, the data have %d", layer, source,
                            np.shape(_pick(layers[layer], "biases"))[-1] if layer in layers else "no", self.num_classes)
        return values

    def _fits(self, layer, layers):
        """Whether ``layers`` has this layer in the shapes of this network."""
        return layer in layers and all(
            np.shape(_pick(layers[layer], part)) == shape for own, part, shape in (
                name.rsplit("/", 1) + [shape] for name, shape in self.shapes().items()) if own == layer)

    def describe(self):
        """One line for messages: what this network is."""
        return f"{type(self).__name__} with {self.num_classes} classes"


def _pick(arrays, part):
    """The weights (rank > 1) or the biases (rank 1) among a layer's arrays; published files differ in their order."""
    for array in arrays:
        if (np.ndim(array) == 1) == (part == "biases"):
            return np.asarray(array)
    return None


def _few(texts, between):
    return between.join(texts[:4]) + (" …" if len(texts) > 4 else "")


def recognised(layers):
    """The settings of the network that has these layers, as a text for messages; None where there is none."""
    for name in BACKBONES:
        network = make_backbone(name, 2)
        shapes = {key: shape for key, shape in network.shapes().items()
                  if key.rsplit("/", 1)[0] not in network.new_layers}
        biases = {key.rsplit("/", 1)[0]: shape[0] for key, shape in shapes.items() if len(shape) == 1}
        if not set(biases) <= set(layers):
            continue
        widest = max(biases, key=biases.get)
        width = float(np.shape(_pick(layers[widest], "biases"))[-1]) / biases[widest]
        # Channels are rounded, so that the width of a narrow network does not follow from them to the last digit.
        return f"another network: --backbone={name} --width={width:.3g}"
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
