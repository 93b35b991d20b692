"""The kernels of an Ascend 910: TensorFlow's own operations, which the adapter compiles, and the adapter's dropout."""
from __future__ import annotations

from typing import ContextManager

from masf_core.devices.ascend import adapter
from masf_core.network.dropout import Dropout, no_dropout
from masf_core.network.kernels import Kernels
from masf_core.tf1 import tf


class AscendKernels(Kernels):
    """As ``Kernels``, except for dropout and for keeping operations in float32."""

    def fence(self, x: tf.Tensor) -> tf.Tensor:
        return x  # a fence guards against grappler, which does not see this graph

    def keeping_float32(self) -> ContextManager:
        return adapter.keep_dtype_scope() if self.narrow else super().keeping_float32()

    def dropout(self, keep_probability: float, seed: tf.Tensor, stream: int) -> Dropout:
        """The adapter's own operation, made for the card.

        Its seed is an attribute of the graph, not a tensor, so masks cannot be a function of the iteration. The card
        draws them. A resumed run therefore draws other masks: on Ascend with ``keep_probability`` below 1, it
        continues from the same state, but its numbers are not those of an uninterrupted run.
        """
        if keep_probability >= 1.0:
            return no_dropout
        operation = adapter.dropout_operation()
        return lambda x, index: operation(x, keep_probability)
