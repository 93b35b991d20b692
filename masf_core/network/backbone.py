"""What the method needs to know of a network. ``registry`` lists those there are, and says how to add one."""
from __future__ import annotations

import abc
from typing import Dict, Tuple

from masf_core.network.architecture import Architecture
from masf_core.network.dropout import Dropout
from masf_core.network.kernels import Kernels
from masf_core.network.layers import PLAIN
from masf_core.network.registry import find
from masf_core.tf1 import tf


class Backbone(Architecture):
    """A feature extractor with a linear classifier on top: an ``Architecture`` and its arithmetic.

    Attributes:
        kernels: how the device is asked for the arithmetic of a layer.
    """

    def __init__(self, num_classes: int, width: float = 1.0, kernels: Kernels = PLAIN) -> None:
        super().__init__(num_classes, width)
        self.kernels = kernels

    def preprocess(self, images: tf.Tensor) -> tf.Tensor:
        """uint8 [N, S, S, 3] BGR → the float32 tensor that ``forward`` takes: BGR, ``mean_bgr`` subtracted.

        Images come in the order of conv1's filters, because reversing them here would take an Ascend as long as the
        rest of the iteration, and reversing the filters would change the order of the summation. The latter is enough
        to flip a ReLU, after which the numbers of an iteration differ from the reference.
        """
        return tf.cast(images, tf.float32) - tf.constant(self.mean_bgr, tf.float32)

    @abc.abstractmethod
    def forward(self, inputs: tf.Tensor, weights: Dict[str, tf.Tensor],
                dropout: Dropout) -> Tuple[tf.Tensor, tf.Tensor]:
        """Features float32 [N, F] and logits float32 [N, C].

        Args:
            inputs: what ``preprocess`` returned.
            weights: mapping as ``shapes`` names it, of tensors or variables.
            dropout: drops elements of hidden layers.
        """


def make_backbone(name: str, num_classes: int, width: float = 1.0, kernels: Kernels = PLAIN) -> Backbone:
    """The backbone called ``name``.

    Raises:
        ValueError: no such backbone; the message lists those there are.
    """
    return find(name, "backbone")(num_classes, width=width, kernels=kernels)
