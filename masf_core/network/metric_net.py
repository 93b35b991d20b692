"""φ, the metric-embedding network of the local loss: two dense layers, leaky ReLU (slope 0.2) after both.

4096 → 1024 → 256 at full width, 4.46 M parameters. The embeddings are not normalised (as in the reference).
"""
from __future__ import annotations

import collections

from masf_core.network import layers
from masf_core.network.backbone import glorot_uniform
from masf_core.randomness import generator
from masf_core.tf1 import tf

HIDDEN = 1024
EMBEDDING = 256
LEAK = 0.2


def shapes(feature_width):
    """Ordered mapping of variable name to shape for features of ``feature_width``."""
    result = collections.OrderedDict()
    for layer, shape in (("metric1", (feature_width, HIDDEN)), ("metric2", (HIDDEN, EMBEDDING))):
        result[layer + "/weights"] = shape
        result[layer + "/biases"] = shape[-1:]
    return result


def initial_values(feature_width, seed):
    """Glorot-uniform weights and zero biases, float32."""
    return collections.OrderedDict(
        (name, glorot_uniform(shape, generator(seed, "initial", name)))
        for name, shape in shapes(feature_width).items())


def forward(features, weights):
    """Embeddings float32 [N, 256] of features float32 [N, F]."""
    x = features
    for layer in ("metric1", "metric2"):
        x = tf.nn.leaky_relu(layers.dense(x, weights[layer + "/weights"], weights[layer + "/biases"]), alpha=LEAK)
    return x
