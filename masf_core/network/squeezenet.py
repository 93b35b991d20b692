"""SqueezeNet v1.0 (Iandola et al. 2016) in the layout of its Caffe model: 0.74 M parameters below the classifier.

Small enough for transfer learning on a CPU. A fire module squeezes with a 1×1 convolution and expands with a 1×1 and a
3×3 convolution side by side.

Three things differ from the Caffe model, whose 1000-class head ends in dropout, a 1×1 convolution with padding 1, ReLU
and the average over all positions:

- The classifier of a new label set is dense, on fire9's average over positions. A 1×1 convolution commutes with the
  average, so this is the same head without its ReLU and its padding. The ReLU would keep every logit ≥ 0 and leave a
  class whose logits are all below 0 without a gradient; the padding only adds positions that hold nothing but the bias.
- Dropout works on the averages, whole channels of an image at a time: noise that is independent from position to
  position would average out before the classifier sees it.
- Pooling is VALID where Caffe rounds sizes up. From 227 pixels every pool divides evenly (111 → 55 → 27 → 13), so the
  two are the same.
"""
from __future__ import annotations

from functools import partial
from typing import Dict, List, Tuple

from masf_core.network import layers
from masf_core.network.backbone import Backbone, Stage
from masf_core.network.dropout import Dropout
from masf_core.network.squeezenet_shapes import (
    CLASSIFIER, EXPAND_1X1, EXPAND_3X3, FIRES, POOLED, SQUEEZE, SqueezeNetShapes,
)
from masf_core.tf1 import tf


class SqueezeNet(SqueezeNetShapes, Backbone):
    """The arithmetic of SqueezeNet; ``SqueezeNetShapes`` has its layers."""

    def stages(self, weights: Dict[str, tf.Tensor]) -> List[Stage]:
        """See ``Backbone.stages``: the first convolution with its pool, and each fire module."""

        def first(x: tf.Tensor) -> tf.Tensor:
            x = layers.convolution(x, weights["conv1/weights"], weights["conv1/biases"], stride=2, padding="VALID",
                                   kernels=self.kernels)
            return layers.max_pool(x)

        def convolve(x: tf.Tensor, layer: str) -> tf.Tensor:
            return layers.convolution(x, weights[layer + "/weights"], weights[layer + "/biases"], kernels=self.kernels)

        def module(x: tf.Tensor, fire: str) -> tf.Tensor:
            if fire in POOLED:
                x = layers.max_pool(x)
            squeezed = convolve(x, f"{fire}/{SQUEEZE}")
            return tf.concat([convolve(squeezed, f"{fire}/{EXPAND_1X1}"), convolve(squeezed, f"{fire}/{EXPAND_3X3}")],
                             axis=3)

        return [Stage(["conv1"], first)] + [
            Stage([f"{fire}/{part}" for part in (SQUEEZE, EXPAND_1X1, EXPAND_3X3)], partial(module, fire=fire))
            for fire in FIRES]

    def forward(self, inputs: tf.Tensor, weights: Dict[str, tf.Tensor], dropout: Dropout,
                done: int = 0) -> Tuple[tf.Tensor, tf.Tensor]:
        """See ``Backbone.forward``; the features are fire9's averages over positions, before their dropout."""
        features = tf.reduce_mean(self.through(inputs, weights, done), axis=[1, 2])
        logits = layers.dense(
            dropout(features, 0), weights[CLASSIFIER + "/weights"], weights[CLASSIFIER + "/biases"], self.kernels)
        return features, logits
