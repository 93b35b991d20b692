"""What the variables are called in checkpoints of the reference and of the Ascend port.

Both restore ``tf.trainable_variables()`` of their training graph, so their Saver needs the metric network, too. Their
``resume`` reads the iteration from the digits that follow the first "model" in the path.
"""
from __future__ import annotations

import collections
from typing import Dict, Mapping

import numpy as np

SCOPE = "model/"
METRIC = {"metric1/weights": "metric/w1", "metric1/biases": "metric/b1",
          "metric2/weights": "metric/w2", "metric2/biases": "metric/b2"}


def reference_name(name: str) -> str:
    """The reference's name of a variable of the network or of the metric network."""
    return SCOPE + METRIC.get(name, name)


def reference_values(values: Mapping[str, np.ndarray], metric: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
    """The arrays of both networks by the reference's names. metric: empty where it is not known."""
    return collections.OrderedDict(
        (reference_name(name), each) for part in (values, metric) for name, each in part.items())
