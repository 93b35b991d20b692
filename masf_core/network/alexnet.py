"""AlexNet in the layout of ``bvlc_alexnet.npy``, as the MASF reference uses it.

As in the reference, conv1 has SAME padding (Caffe's has none), and the normalisation comes before the pooling.
"""
from __future__ import annotations

from typing import Dict, Tuple

import numpy as np

from masf_core.network import layers
from masf_core.network.alexnet_shapes import AlexNetShapes
from masf_core.network.backbone import Backbone
from masf_core.network.dropout import Dropout
from masf_core.tf1 import tf


class AlexNet(AlexNetShapes, Backbone):
    """The arithmetic of AlexNet; ``AlexNetShapes`` has its layers."""

    def forward(self, inputs: tf.Tensor, weights: Dict[str, tf.Tensor],
                dropout: Dropout) -> Tuple[tf.Tensor, tf.Tensor]:
        """See ``Backbone.forward``; the features are fc7 after ReLU and before its dropout, as in the reference."""

        def pair(layer):
            return weights[layer + "/weights"], weights[layer + "/biases"]

        kernels = self.kernels
        x = layers.convolution(inputs, *pair("conv1"), stride=4, kernels=kernels)
        x = layers.max_pool(kernels.local_response_normalisation(x))
        x = tf.concat(layers.grouped_convolution(tf.split(x, 2, axis=3), *pair("conv2"), kernels=kernels), axis=3)
        x = layers.max_pool(kernels.local_response_normalisation(x))
        x = layers.convolution(x, *pair("conv3"), kernels=kernels)
        parts = layers.grouped_convolution(tf.split(x, 2, axis=3), *pair("conv4"), kernels=kernels)
        parts = layers.grouped_convolution(parts, *pair("conv5"), kernels=kernels)
        x = tf.concat([layers.max_pool(part) for part in parts], axis=3)
        x = tf.reshape(x, [-1, np.prod(x.shape.as_list()[1:])])  # an exported graph takes any number of images
        x = tf.nn.relu(layers.dense(x, *pair("fc6"), kernels=kernels))
        features = tf.nn.relu(layers.dense(dropout(x, 0), *pair("fc7"), kernels=kernels))
        logits = layers.dense(dropout(features, 1), *pair("fc8"), kernels=kernels)
        return features, logits
