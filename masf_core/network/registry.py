"""The table of the networks there are; importing it costs nothing.

To add one: write a module with a ``Backbone`` subclass, and its line here. Flag, check and help follow.
"""
from __future__ import annotations

import collections

# Name → module:class, called as (num_classes, width=…).
BACKBONES = collections.OrderedDict([
    ("alexnet", "masf_core.network.alexnet:AlexNet"),
    ("squeezenet", "masf_core.network.squeezenet:SqueezeNet"),
])
