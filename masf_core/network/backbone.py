"""What the method needs to know of a network. ``registry`` lists those there are, and says how to add one."""
from __future__ import annotations

import abc
from typing import Callable, Collection, Dict, List, NamedTuple, Optional, Sequence, Tuple

from masf_core.network.architecture import Architecture, layer_of
from masf_core.network.dropout import Dropout
from masf_core.network.kernels import Kernels
from masf_core.network.layers import PLAIN
from masf_core.network.registry import find
from masf_core.tf1 import tf


class Stage(NamedTuple):
    """A part of the forward pass. layers: those whose variables it takes. run: float32 [N, …] → float32 [N, …]; an
    image's result depends on this image alone."""

    layers: Sequence[str]
    run: Callable[[tf.Tensor], tf.Tensor]


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

    def stages(self, weights: Dict[str, tf.Tensor]) -> List[Stage]:
        """The first parts of ``forward``, in their order, up to where dropout begins. weights: as there.

        Those that are frozen run once an iteration, for the passes at θ and at θ' together.
        """
        return []

    def frozen_stages(self, trained: Collection[str]) -> int:
        """How many of the first ``stages`` take no variable that is trained."""
        moving = {layer_of(name) for name in trained}
        count = 0
        for stage in self.stages({}):
            if moving & set(stage.layers):
                break
            count += 1
        return count

    def through(self, inputs: tf.Tensor, weights: Dict[str, tf.Tensor], begin: int = 0,
                end: Optional[int] = None) -> tf.Tensor:
        """``inputs`` after the ``stages`` from ``begin`` to before ``end``, or to the last one."""
        for stage in self.stages(weights)[begin:end]:
            inputs = stage.run(inputs)
        return inputs

    @abc.abstractmethod
    def forward(self, inputs: tf.Tensor, weights: Dict[str, tf.Tensor], dropout: Dropout,
                done: int = 0) -> Tuple[tf.Tensor, tf.Tensor]:
        """Features float32 [N, F] and logits float32 [N, C].

        Args:
            inputs: what ``preprocess`` returned, after the first ``done`` of the ``stages``.
            weights: mapping as ``shapes`` names it, of tensors or variables.
            dropout: drops elements of hidden layers.
        """


def make_backbone(name: str, num_classes: int, width: float = 1.0, kernels: Kernels = PLAIN) -> Backbone:
    """The backbone called ``name``.

    Raises:
        ValueError: no such backbone; the message lists those there are.
    """
    return find(name, "backbone")(num_classes, width=width, kernels=kernels)
