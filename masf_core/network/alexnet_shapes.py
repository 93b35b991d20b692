"""The variables of AlexNet in the layout of ``bvlc_alexnet.npy``, as the MASF reference uses it."""
from __future__ import annotations

import collections

from masf_core.network.architecture import Architecture, Shapes


class AlexNetShapes(Architecture):
    """Five convolutions, three dense layers; 56.90 M parameters with 7 classes at full width.

    ``width`` scales every hidden channel count (rounded to an even number, because conv2, conv4 and conv5 have two
    groups); 1.0 is AlexNet itself, small values make a network that a laptop trains in seconds.
    """

    new_layers = ("fc8",)
    mean_bgr = (103.939, 116.779, 123.68)  # ImageNet's mean colour

    @property
    def feature_width(self) -> int:
        """F, the width of fc7."""
        return self._channels(4096)

    def _channels(self, full: int) -> int:
        return max(2, int(round(full * self.width / 2.0)) * 2)

    def shapes(self) -> Shapes:
        """See ``Architecture.shapes``."""
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
        shapes: Shapes = collections.OrderedDict()
        for layer, kernel in kernels:
            shapes[layer + "/weights"] = kernel
            shapes[layer + "/biases"] = kernel[-1:]
        return shapes

    def describe(self) -> str:
        """One line that says what this network is, for messages."""
        shapes = self.shapes()
        return f"AlexNet of width {self.width:g}, conv1 {shapes['conv1/weights']}, fc6 {shapes['fc6/weights']}"
