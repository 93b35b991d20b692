"""SqueezeNet v1.0 (Iandola et al. 2016) in the layout of its Caffe model: 0.74 M parameters below the classifier.

Small enough for transfer learning on a CPU. A fire module squeezes by a 1×1 convolution and expands by a 1×1 and a 3×3
side by side.

Three things differ from the Caffe model, whose 1000-class head ends in dropout, a 1×1 convolution with padding 1, ReLU
and the average over all positions:

- The classifier of a new label set is dense, on fire9's average over positions. A 1×1 convolution commutes with the
  average, so this is the same head without its ReLU and its padding. The ReLU would keep every logit ≥ 0 and leave a
  class whose logits are all below 0 without a gradient; the padding only adds positions that see the bias alone.
- Dropout works on the averages, whole channels of an image at a time: noise that is independent from position to
  position would average out before the classifier sees it.
- Pooling is VALID where Caffe rounds sizes up. From 227 pixels every pool divides evenly (111 → 55 → 27 → 13), so the
  two are the same.
"""
from __future__ import annotations

import collections

import numpy as np

from masf_core.network import layers
from masf_core.network.backbone import Backbone
from masf_core.randomness import generator
from masf_core.tf1 import tf

# ImageNet's mean colour as Caffe models round it: (104, 117, 123) in BGR.
MEAN_RGB = (123.0, 117.0, 104.0)

# Name → channels of the squeezing and of each expanding convolution. A pool stands before fire5 and before fire9.
FIRES = collections.OrderedDict([
    ("fire2", (16, 64)), ("fire3", (16, 64)), ("fire4", (32, 128)),
    ("fire5", (32, 128)), ("fire6", (48, 192)), ("fire7", (48, 192)), ("fire8", (64, 256)),
    ("fire9", (64, 256)),
])
POOLED = ("fire5", "fire9")
SQUEEZE, EXPAND_1X1, EXPAND_3X3 = "conv1x1_1", "conv1x1_2", "conv3x3_2"
CLASSIFIER = "conv_final"


class SqueezeNet(Backbone):
    """One convolution, eight fire modules, a dense classifier on 512 features.

    ``width`` scales every hidden channel count; 1.0 is SqueezeNet itself, which published weights need.
    """

    new_layers = (CLASSIFIER,)

    def __init__(self, num_classes, width=1.0, kernels=layers.PLAIN):
        super().__init__(num_classes, kernels)
        if not 0.0 < width <= 4.0:
            raise ValueError(f"width must be in (0, 4], got {width}")
        self.width = width
        self.feature_width = 2 * self._channels(FIRES["fire9"][1])

    def _channels(self, full):
        return max(2, int(round(full * self.width)))

    def shapes(self):
        channels = self._channels(96)
        kernels = [("conv1", (7, 7, 3, channels))]
        for fire, (squeeze, expand) in FIRES.items():
            squeeze, expand = self._channels(squeeze), self._channels(expand)
            kernels += [
                (f"{fire}/{SQUEEZE}", (1, 1, channels, squeeze)),
                (f"{fire}/{EXPAND_1X1}", (1, 1, squeeze, expand)),
                (f"{fire}/{EXPAND_3X3}", (3, 3, squeeze, expand)),
            ]
            channels = 2 * expand
        kernels.append((CLASSIFIER, (channels, self.num_classes)))
        shapes = collections.OrderedDict()
        for layer, kernel in kernels:
            shapes[layer + "/weights"] = kernel
            shapes[layer + "/biases"] = kernel[-1:]
        return shapes

    def preprocess(self, images):
        """uint8 [N, 227, 227, 3] RGB → float32, mean subtracted, still RGB: conv1's filters are swapped instead."""
        return tf.cast(images, tf.float32) - tf.constant(MEAN_RGB, tf.float32)

    def feature_map(self, inputs, weights):
        """fire9's output, float32 [N, 13, 13, F], of what ``preprocess`` returned."""

        def convolve(x, fire, part):
            layer = f"{fire}/{part}/"
            return layers.convolution(x, weights[layer + "weights"], weights[layer + "biases"], kernels=self.kernels)

        filters_rgb = tf.reverse(weights["conv1/weights"], axis=[2])
        x = layers.convolution(inputs, filters_rgb, weights["conv1/biases"], stride=2, padding="VALID",
                               kernels=self.kernels)
        x = layers.max_pool(x)
        for fire in FIRES:
            if fire in POOLED:
                x = layers.max_pool(x)
            squeezed = convolve(x, fire, SQUEEZE)
            x = tf.concat([convolve(squeezed, fire, EXPAND_1X1), convolve(squeezed, fire, EXPAND_3X3)], axis=3)
        return x

    def forward(self, inputs, weights, dropout):
        """See ``Backbone.forward``; the features are fire9's averages over positions, before their dropout."""
        features = tf.reduce_mean(self.feature_map(inputs, weights), axis=[1, 2])
        logits = layers.dense(
            dropout(features, 0), weights[CLASSIFIER + "/weights"], weights[CLASSIFIER + "/biases"], self.kernels)
        return features, logits

    def initial_values(self, seed, but=()):
        """Fresh values, biases 0, but of the names in ``but``.

        Convolutions: U(−√(3 / fan_in), √(3 / fan_in)), Caffe's "xavier", which the Caffe model is trained from. (The
        base class's limits would shrink the signal by half in each fire module, because an expanding convolution has
        four times as many outputs as inputs.)

        Classifier: N(0, 0.001²). The pretrained features of an image have a length of about 400, so logits begin
        within ±1. With the base class's limits they would begin in the tens, even with the Caffe model's 0.01 at 4: the
        first iterations would then unlearn the features instead of learning the classifier.
        """
        values = collections.OrderedDict()
        for name, shape in self.shapes().items():
            if name in but:
                continue
            random = generator(seed, "initial", name)
            if len(shape) == 1:
                value = np.zeros(shape)
            elif name == CLASSIFIER + "/weights":
                value = random.normal(0.0, 0.001, size=shape)
            else:
                limit = np.sqrt(3.0 / np.prod(shape[:-1]))
                value = random.uniform(-limit, limit, size=shape)
            values[name] = value.astype(np.float32)
        return values

    def describe(self):
        return "SqueezeNet v1.0 of width {:g}, conv1 {} … {} features".format(
            self.width, self.shapes()["conv1/weights"], self.feature_width)
