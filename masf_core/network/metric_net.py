"""φ, the metric-embedding network of the local loss: two dense layers, leaky ReLU (slope 0.2) after both.

4096 → 1024 → 256 by default, 4.46 M parameters with AlexNet. The embeddings are not normalised by default (as in the
reference; the paper's text does not say).
"""
from __future__ import annotations

import collections
from typing import Dict

from masf_core.network import layers
from masf_core.network.architecture import Values, glorot_uniform
from masf_core.network.kernels import Kernels
from masf_core.network.metric_net_shapes import EMBEDDING, HIDDEN, shapes
from masf_core.randomness import generator
from masf_core.tf1 import tf

__all__ = ["EMBEDDING", "HIDDEN", "LEAK", "forward", "initial_values", "shapes"]

LEAK = 0.2


def initial_values(variables: Dict[str, tf.Variable], seed: int) -> Values:
    """Glorot-uniform weights and zero biases, float32. variables: by their names in ``shapes``."""
    return collections.OrderedDict(
        (name, glorot_uniform(tuple(variable.shape.as_list()), generator(seed, "initial", name)))
        for name, variable in variables.items())


def forward(features: tf.Tensor, weights: Dict[str, tf.Tensor], normalise: bool = False,
            kernels: Kernels = layers.PLAIN) -> tf.Tensor:
    """Embeddings float32 [N, E] of features float32 [N, F]. normalise: scale each embedding to length 1."""
    x = features
    for layer in ("metric1", "metric2"):
        x = layers.dense(x, weights[layer + "/weights"], weights[layer + "/biases"], kernels)
        x = tf.nn.leaky_relu(x, alpha=LEAK)
    return tf.nn.l2_normalize(x, axis=1) if normalise else x
