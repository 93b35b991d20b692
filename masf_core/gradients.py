"""How gradients are taken and applied: of scaled losses where the precision needs it, averaged over the ranks."""
from __future__ import annotations

from masf_core.loss_scale import NoScale
from masf_core.ranks import OneRank
from masf_core.variables import gradients_of


class Gradients:
    """Each gradient is taken of the scaled loss, scaled back, and then averaged: the same in every rank.

    Args:
        scale: see ``loss_scale``. ranks: see ``ranks``.
    """

    def __init__(self, scale=None, ranks=None):
        self.scale = scale or NoScale()
        self.ranks = ranks or OneRank()

    def prepare(self):
        """Make what they need in the default graph; before anything else is asked of them."""
        self.scale.prepare()

    def of(self, loss, sources):
        """∂loss/∂source for every entry: mapping name → float32 tensor."""
        return self.ranks.mean(self.scale.down(gradients_of(self.scale.up(loss), sources)))

    def apply(self, stages):
        """(operation, mapping name → variable that a checkpoint must hold), as ``updates.apply_stages``."""
        operation, moments = self.scale.apply(stages)
        moments.update(self.scale.state)
        return operation, moments
