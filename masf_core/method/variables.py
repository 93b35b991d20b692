"""Mappings from names to variables and tensors, in a fixed order."""
from __future__ import annotations

import collections
from typing import Any, Dict, Mapping, Sequence

from masf_core.tf1 import tf

Tensors = Dict[str, "tf.Tensor"]  # name → tensor, or variable, in a fixed order
Variables = Dict[str, "tf.Variable"]


def make_variables(shapes: Mapping[str, Sequence[int]]) -> Variables:
    """One float32 variable for each entry, under its name; zero until it is loaded."""
    # use_resource=False in both lanes: the Ascend adapter is proven with reference variables.
    return collections.OrderedDict(
        (name, tf.Variable(tf.zeros(shape, tf.float32), name=name, use_resource=False))
        for name, shape in shapes.items())


def merged(*mappings: Mapping[str, Any]) -> Dict[str, Any]:
    """One ordered mapping of all entries."""
    result = collections.OrderedDict()
    for mapping in mappings:
        result.update(mapping)
    return result


def gradients_of(loss: tf.Tensor, sources: Tensors) -> Tensors:
    """∂loss/∂source for every entry, zeros where the loss does not depend on it."""
    values = tf.gradients(loss, list(sources.values()))
    return collections.OrderedDict(
        (name, tf.zeros_like(source) if value is None else value)
        for (name, source), value in zip(sources.items(), values))


def clipped(gradients: Tensors, norm: float) -> Tensors:
    """Every gradient scaled down to L2 norm ``norm`` where it is longer, each on its own.

    g · norm / max(‖g‖, norm): one factor, so two passes over the gradients where ``tf.clip_by_norm`` makes five.
    """
    return collections.OrderedDict(
        (name, norm / tf.maximum(tf.sqrt(2.0 * tf.nn.l2_loss(value)), norm) * value)
        for name, value in gradients.items())
