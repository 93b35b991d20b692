"""Loss scaling: keeps small gradients of 16-bit products from vanishing, and large ones from being applied."""
from __future__ import annotations

from masf_core import updates


class NoScale:
    """Losses as they are, for precisions whose range is float32's."""

    def __init__(self):
        self.state = {}  # name → variable, for the checkpoint
        self.scalars = {}  # name → float32 scalar, to be recorded with the losses

    def up(self, loss):
        """The loss to take gradients of."""
        return loss

    def down(self, gradients):
        """The gradients of the loss itself: mapping name → float32 tensor."""
        return gradients

    def apply(self, stages):
        """As ``updates.apply_stages``: all stages, or none of them."""
        return updates.apply_stages(stages)
