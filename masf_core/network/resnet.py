"""ResNet-18 and ResNet-50 (He et al. 2016) as torchvision computes them, with batch normalisation held fixed.

A normalisation has the mean and the variance of the weights file, not those of the batch, in training as in evaluation:
the method mixes domains in a batch and takes an inner step, and statistics of such a batch belong to no domain. Scale
and shift are trained. With s = scale / √(variance + ε), a convolution and its normalisation are one convolution with
the filters s · weights and the biases shift − s · mean. The normalisation then costs no pass over a feature map,
neither forward nor backward; as a multiply-add after the convolution it would, and such passes take most of an Ascend's
iteration. Filters and biases are formed in float32 in every precision, and so are the gradients through them.

Padding is torch's, the same on both sides. (SAME would pad an even map with stride 2 on the right and below only.)
It is an operation of its own before the convolution, as TensorFlow's official ResNet has it for Ascend and GPU. Before
the pool zeros do what torch's −∞ does, because the map holds no values below 0.

The networks have no dropout.
"""
from __future__ import annotations

from functools import partial
from typing import Dict, List, Sequence, Tuple

import numpy as np

from masf_core.network import layers
from masf_core.network.architecture import NORMALISATION
from masf_core.network.backbone import Backbone, Stage
from masf_core.network.dropout import Dropout
from masf_core.network.resnet_shapes import (
    CLASSIFIER, Block, Convolution, ResNet18Shapes, ResNet50Shapes, ResNetShapes,
)
from masf_core.tf1 import tf

EPSILON = 1e-5


class ResNet(ResNetShapes, Backbone):
    """The arithmetic of ResNets; ``ResNetShapes`` has their layers."""

    def preprocess(self, images: tf.Tensor) -> tf.Tensor:
        """uint8 [N, 224, 224, 3] BGR → float32 BGR, from 0 to 1, normalised as torchvision does."""
        mean, deviation = np.array(self.mean_bgr), np.array(self.deviation_bgr)
        return (tf.cast(images, tf.float32) * tf.constant(1.0 / deviation, tf.float32)
                - tf.constant(mean / deviation, tf.float32))

    def stages(self, weights: Dict[str, tf.Tensor]) -> List[Stage]:
        """See ``Backbone.stages``: the first convolution with its pool, and each block."""
        stem = self.stem()

        def first(x: tf.Tensor) -> tf.Tensor:
            # Files have conv1's filters for red, green, blue. These small filters are turned, not the images.
            turned = tf.concat(tf.split(weights[stem.name + "/weights"], 3, axis=2)[::-1], axis=2)
            x = tf.nn.relu(self._convolve(x, stem, dict(weights, **{stem.name + "/weights": turned})))
            return layers.max_pool(layers.pad(x, 1))

        def blockwise(x: tf.Tensor, block: Block) -> tf.Tensor:
            shortcut = x
            for convolution in block.shortcut:
                shortcut = self._convolve(x, convolution, weights)
            for convolution in block.branch[:-1]:
                x = tf.nn.relu(self._convolve(x, convolution, weights))
            return tf.nn.relu(self._convolve(x, block.branch[-1], weights) + shortcut)

        return [Stage(_layers_of([stem]), first)] + [
            Stage(_layers_of(block.branch + block.shortcut), partial(blockwise, block=block))
            for block in self.residual_blocks()]

    def forward(self, inputs: tf.Tensor, weights: Dict[str, tf.Tensor], dropout: Dropout,
                done: int = 0) -> Tuple[tf.Tensor, tf.Tensor]:
        """See ``Backbone.forward``; the features are the last stage's averages over positions."""
        x = self.through(inputs, weights, done)
        features = tf.reduce_mean(x, axis=[1, 2])
        logits = layers.dense(
            features, weights[CLASSIFIER + "/weights"], weights[CLASSIFIER + "/biases"], self.kernels)
        return features, logits

    def _convolve(self, x: tf.Tensor, convolution: Convolution, weights: Dict[str, tf.Tensor]) -> tf.Tensor:
        """A convolution and its normalisation, float32 [N, H', W', out] of float32 [N, H, W, C]."""
        filters, biases = layers.normalised(
            weights[convolution.name + "/weights"],
            {part: weights[f"{convolution.normalisation}/{part}"] for part in NORMALISATION},
            EPSILON, self.kernels)
        if convolution.stride == 1:  # SAME pads an odd filter alike on both sides
            return layers.biased_convolution(x, filters, biases, kernels=self.kernels)
        x = layers.pad(x, convolution.side // 2)
        return layers.biased_convolution(x, filters, biases, convolution.stride, "VALID", self.kernels)


def _layers_of(convolutions: Sequence[Convolution]) -> List[str]:
    """The convolutions and their normalisations."""
    return [layer for each in convolutions for layer in (each.name, each.normalisation)]


class ResNet18(ResNet18Shapes, ResNet):
    """ResNet-18."""


class ResNet50(ResNet50Shapes, ResNet):
    """ResNet-50."""
