"""The variables of SqueezeNet v1.0 (Iandola et al. 2016) in the layout of its Caffe model, and their initial values."""
from __future__ import annotations

import collections
from typing import Collection

import numpy as np

from masf_core.network.architecture import Architecture, Shapes, Values
from masf_core.randomness import generator

# Name → channels of the squeezing and of each expanding convolution. A pool stands before fire5 and before fire9.
FIRES = collections.OrderedDict([
    ("fire2", (16, 64)), ("fire3", (16, 64)), ("fire4", (32, 128)),
    ("fire5", (32, 128)), ("fire6", (48, 192)), ("fire7", (48, 192)), ("fire8", (64, 256)),
    ("fire9", (64, 256)),
])
POOLED = ("fire5", "fire9")
SQUEEZE, EXPAND_1X1, EXPAND_3X3 = "conv1x1_1", "conv1x1_2", "conv3x3_2"
CLASSIFIER = "conv_final"


class SqueezeNetShapes(Architecture):
    """One convolution, eight fire modules, a dense classifier on 512 features.

    ``width`` scales every hidden channel count; 1.0 is SqueezeNet itself, which published weights need.
    """

    new_layers = (CLASSIFIER,)
    mean_bgr = (104.0, 117.0, 123.0)  # ImageNet's mean colour as Caffe models round it

    @property
    def feature_width(self) -> int:
        """F, the channels of fire9."""
        return 2 * self._channels(FIRES["fire9"][1])

    def _channels(self, full: int) -> int:
        return max(2, int(round(full * self.width)))

    def shapes(self) -> Shapes:
        """See ``Architecture.shapes``."""
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
        shapes: Shapes = collections.OrderedDict()
        for layer, kernel in kernels:
            shapes[layer + "/weights"] = kernel
            shapes[layer + "/biases"] = kernel[-1:]
        return shapes

    def initial_values(self, seed: int, but: Collection[str] = ()) -> Values:
        """New values for all variables but those in ``but``; biases are 0.

        Convolutions: U(−√(3 / fan_in), √(3 / fan_in)), Caffe's "xavier", as the Caffe model uses it. (The limits of
        the base class would halve the signal in each fire module, because an expanding convolution has four times as
        many outputs as inputs.)

        Classifier: N(0, 0.001²). The pretrained features of an image have a length of about 400, so logits start
        within ±1. With the limits of the base class they would start in the tens, and with the Caffe model's 0.01 at 4:
        the first iterations would then change the features instead of the classifier.
        """
        values: Values = collections.OrderedDict()
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

    def describe(self) -> str:
        """One line that says what this network is, for messages."""
        return (f"SqueezeNet v1.0 of width {self.width:g}, conv1 {self.shapes()['conv1/weights']}, "
                f"{self.feature_width} features")
