"""The table of the networks there are; importing it costs nothing.

To add one: write its ``Architecture`` and its ``Backbone``, and its line here. Flag, check and help follow.
"""
from __future__ import annotations

import collections
import importlib
from typing import Any, NamedTuple


class Entry(NamedTuple):
    """Where the two classes of a network are, as ``module:class``.

    architecture: called as (num_classes, width=…), needs no TensorFlow. backbone: called as (num_classes, width=…,
    kernels=…).
    """

    architecture: str
    backbone: str


BACKBONES = collections.OrderedDict([
    ("alexnet", Entry("masf_core.network.alexnet_shapes:AlexNetShapes", "masf_core.network.alexnet:AlexNet")),
    ("squeezenet", Entry("masf_core.network.squeezenet_shapes:SqueezeNetShapes",
                         "masf_core.network.squeezenet:SqueezeNet")),
    ("resnet18", Entry("masf_core.network.resnet_shapes:ResNet18Shapes", "masf_core.network.resnet:ResNet18")),
    ("resnet50", Entry("masf_core.network.resnet_shapes:ResNet50Shapes", "masf_core.network.resnet:ResNet50")),
])


def find(name: str, what: str) -> Any:
    """The class of the network ``name``; ``what`` is a field of ``Entry``.

    Raises:
        ValueError: no such network; the message lists those there are.
    """
    if name not in BACKBONES:
        raise ValueError(f"unknown backbone {name!r}; there are: {', '.join(BACKBONES)}")
    module, _, class_name = getattr(BACKBONES[name], what).partition(":")
    return getattr(importlib.import_module(module), class_name)
