"""AlexNet in the layout of ``bvlc_alexnet.npy``, as the MASF reference uses it.

conv1 has SAME padding (Caffe's has none) and the normalisation comes before the pooling: both as in the reference.
"""
from __future__ import annotations

import collections

from masf_core.network import layers
from masf_core.network.backbone import Backbone
from masf_core.tf1 import tf

# ImageNet's mean colour, subtracted in RGB order before the channels are swapped.
MEAN_RGB = (123.68, 116.779, 103.939)


class AlexNet(Backbone):
    """Five convolutions, three dense layers; 56.90 M parameters with 7 classes at full width.

    ``width`` scales every hidden channel count (rounded to an even number, because conv2, conv4 and conv5 have two
    groups); 1.0 is AlexNet itself, small values make a network that a laptop trains in seconds.
    """

    new_layers = ("fc8",)

    def __init__(self, num_classes, width=1.0, kernels=layers.PLAIN):
        super().__init__(num_classes, kernels)
        if not 0.0 < width <= 4.0:
            raise ValueError(f"width must be in (0, 4], got {width}")
        self.width = width
        self.feature_width = self._channels(4096)

    def _channels(self, full):
        return max(2, int(round(full * self.width / 2.0)) * 2)

    def shapes(self):
        c1, c2, c3, c4, c5 = (self._channels(n) for n in (96, 256, 384, 384, 256))
        hidden = self.feature_width
        kernels = [
            ("conv1", (11, 11, 3, c1)),
            ("conv2", (5, 5, c1 // 2, c2)),
            ("conv3", (3, 3, c2, c3)),
            ("conv4", (3, 3, c3 // 2, c4)),
            ("conv5", (3, 3, c4 // 2, c5)),
            ("fc6", (6 * 6 * c5, hidden)),
            ("fc7", (hidden, hidden)),
            ("fc8", (hidden, self.num_classes)),
        ]
        shapes = collections.OrderedDict()
        for layer, kernel in kernels:
            shapes[layer + "/weights"] = kernel
            shapes[layer + "/biases"] = kernel[-1:]
        return shapes

    def preprocess(self, images):
        """uint8 [N, 227, 227, 3] RGB → float32 BGR, mean subtracted.

        Swapping the channels of conv1's filters instead would be the same product for less work, but summed in another
        order: enough to flip a ReLU and to lose the reference's numbers after an iteration.
        """
        return tf.cast(tf.reverse(images, axis=[3]), tf.float32) - tf.constant(MEAN_RGB[::-1], tf.float32)

    def forward(self, inputs, weights, dropout):
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
        x = tf.reshape(x, [x.shape.as_list()[0], -1])
        x = tf.nn.relu(layers.dense(x, *pair("fc6"), kernels=kernels))
        features = tf.nn.relu(layers.dense(dropout(x, 0), *pair("fc7"), kernels=kernels))
        logits = layers.dense(dropout(features, 1), *pair("fc8"), kernels=kernels)
        return features, logits

    def describe(self):
        return "AlexNet of width {:g}, conv1 {} … fc6 {}".format(
            self.width, self.shapes()["conv1/weights"], self.shapes()["fc6/weights"])
