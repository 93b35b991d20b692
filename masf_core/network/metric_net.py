"""φ, the metric-embedding network of the local loss: two dense layers, leaky ReLU (slope 0.2) after both.

4096 → 1024 → 256 by default, 4.46 M parameters with AlexNet. The embeddings are not normalised by default (as in the
reference; the paper's text does not say).
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


def shapes(feature_width, hidden=HIDDEN, embedding=EMBEDDING):
    """Ordered mapping of variable name to shape for features of ``feature_width``."""
    result = collections.OrderedDict()
    for layer, shape in (("metric1", (feature_width, hidden)), ("metric2", (hidden, embedding))):
        result[layer + "/weights"] = shape
        result[layer + "/biases"] = shape[-1:]
    return result


def initial_values(variables, seed):
    """Glorot-uniform weights and zero biases, float32, for variables by name as ``shapes`` names them."""
    return collections.OrderedDict(
        (name, glorot_uniform(tuple(variable.shape.as_list()), generator(seed, "initial", name)))
        for name, variable in variables.items())


def forward(features, weights, normalise=False, kernels=layers.PLAIN):
    """Embeddings float32 [N, E] of features float32 [N, F]; with ``normalise`` of length 1."""
    x = features
    for layer in ("metric1", "metric2"):
        x = layers.dense(x, weights[layer + "/weights"], weights[layer + "/biases"], kernels)
        x = tf.nn.leaky_relu(x, alpha=LEAK)
    return tf.nn.l2_normalize(x, axis=1) if normalise else x
