"""AlexNet in the layout of ``bvlc_alexnet.npy``, as the MASF reference uses it.

As in the reference, conv1 has SAME padding (Caffe's has none), and the normalisation comes before the pooling.
"""
from __future__ import annotations

from typing import Dict, List, Tuple

import numpy as np

from masf_core.network import layers
from masf_core.network.alexnet_shapes import AlexNetShapes
from masf_core.network.backbone import Backbone, Stage
from masf_core.network.dropout import Dropout
from masf_core.tf1 import tf


class AlexNet(AlexNetShapes, Backbone):
    """The arithmetic of AlexNet; ``AlexNetShapes`` has its layers."""

    def stages(self, weights: Dict[str, tf.Tensor]) -> List[Stage]:
        """See ``Backbone.stages``: the convolutions, with the normalisations and pools behind them, and fc6."""
        kernels = self.kernels

        def pair(layer: str) -> Tuple[tf.Tensor, tf.Tensor]:
            return weights[layer + "/weights"], weights[layer + "/biases"]

        def conv1(x: tf.Tensor) -> tf.Tensor:
            x = layers.convolution(x, *pair("conv1"), stride=4, kernels=kernels)
            return layers.max_pool(kernels.local_response_normalisation(x))

        def conv2(x: tf.Tensor) -> tf.Tensor:
            x = tf.concat(layers.grouped_convolution(tf.split(x, 2, axis=3), *pair("conv2"), kernels=kernels), axis=3)
            return layers.max_pool(kernels.local_response_normalisation(x))

        def conv3(x: tf.Tensor) -> tf.Tensor:
            return layers.convolution(x, *pair("conv3"), kernels=kernels)

        def conv4_and_conv5(x: tf.Tensor) -> tf.Tensor:  # group by group, without a concatenation in between
            parts = layers.grouped_convolution(tf.split(x, 2, axis=3), *pair("conv4"), kernels=kernels)
            parts = layers.grouped_convolution(parts, *pair("conv5"), kernels=kernels)
            x = tf.concat([layers.max_pool(part) for part in parts], axis=3)
            return tf.reshape(x, [-1, np.prod(x.shape.as_list()[1:])])  # an exported graph takes any number of images

        def fc6(x: tf.Tensor) -> tf.Tensor:
            return tf.nn.relu(layers.dense(x, *pair("fc6"), kernels=kernels))

        return [Stage(["conv1"], conv1), Stage(["conv2"], conv2), Stage(["conv3"], conv3),
                Stage(["conv4", "conv5"], conv4_and_conv5), Stage(["fc6"], fc6)]

    def forward(self, inputs: tf.Tensor, weights: Dict[str, tf.Tensor], dropout: Dropout,
                done: int = 0) -> Tuple[tf.Tensor, tf.Tensor]:
        """See ``Backbone.forward``; the features are fc7 after ReLU and before its dropout, as in the reference."""
        x = self.through(inputs, weights, done)
        features = tf.nn.relu(layers.dense(
            dropout(x, 0), weights["fc7/weights"], weights["fc7/biases"], kernels=self.kernels))
        logits = layers.dense(
            dropout(features, 1), weights["fc8/weights"], weights["fc8/biases"], kernels=self.kernels)
        return features, logits
