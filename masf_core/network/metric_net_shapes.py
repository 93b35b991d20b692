"""The variables of φ, the metric-embedding network: names and shapes."""
from __future__ import annotations

import collections

from masf_core.network.architecture import Shapes

HIDDEN = 1024
EMBEDDING = 256


def shapes(feature_width: int, hidden: int = HIDDEN, embedding: int = EMBEDDING) -> Shapes:
    """Ordered mapping of variable name to shape for features of ``feature_width``."""
    result: Shapes = collections.OrderedDict()
    for layer, shape in (("metric1", (feature_width, hidden)), ("metric2", (hidden, embedding))):
        result[layer + "/weights"] = shape
        result[layer + "/biases"] = shape[-1:]
    return result
