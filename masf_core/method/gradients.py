"""How gradients are taken and applied: from scaled losses where the precision needs it, averaged over the ranks."""
from __future__ import annotations

import contextlib
from typing import Callable, ContextManager, List, Optional, Tuple

from masf_core.method.loss_scale import NoScale
from masf_core.method.updates import Stage
from masf_core.method.variables import Tensors, Variables, gradients_of
from masf_core.ranks.one_rank import OneRank
from masf_core.tf1 import tf


class Gradients:
    """Each gradient is taken of the scaled loss, scaled back and averaged, so that it is the same on every rank.

    Args:
        scale: see ``loss_scale``. ranks: see ``ranks``. keeping_float32: see ``Kernels``; used for the operations on
            losses and gradients, not for the products between them.
    """

    def __init__(self, scale: Optional[NoScale] = None, ranks: Optional[OneRank] = None,
                 keeping_float32: Callable[[], ContextManager] = contextlib.nullcontext) -> None:
        self.scale = scale or NoScale()
        self.ranks = ranks or OneRank()
        self._keeping_float32 = keeping_float32

    def prepare(self) -> None:
        """Make the variables of the loss scale in the default graph; must be called first."""
        with self._keeping_float32():
            self.scale.prepare()

    def of(self, loss: tf.Tensor, sources: Tensors) -> Tensors:
        """∂loss/∂source for every entry: mapping name → float32 tensor."""
        with self._keeping_float32():
            scaled = self.scale.up(loss)
        gradients = gradients_of(scaled, sources)
        with self._keeping_float32():
            return self.ranks.mean(self.scale.down(gradients))

    def apply(self, stages: List[Stage]) -> Tuple[tf.Operation, Variables]:
        """(operation, mapping name → variable that a checkpoint must hold), as ``updates.apply_stages``."""
        with self._keeping_float32():
            operation, moments = self.scale.apply(stages)
        moments.update(self.scale.state)
        return operation, moments
