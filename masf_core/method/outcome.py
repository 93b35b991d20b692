"""Whether an iteration was applied, or skipped because a gradient overflowed, or ends the training."""
from __future__ import annotations

import math
from typing import Mapping

from masf_core.errors import TrainingDiverged

LOSSES = ("source_loss", "source_accuracy", "global_loss", "metric_loss")
# So many skipped iterations in a row at one and the same loss scale: then the scale has nothing left to give.
SKIPPED_IN_A_ROW = 10
IF_SKIPPED = ("Lower outer_lr or inner_lr, or a loss_scale that is fixed; --precision=float32 tells whether it is the "
              "precision")


class Outcomes:
    """Those of iterations one after the other; a resumed run counts from 0.

    Args:
        kept: what is left when training ends here, a sentence for the message; or "".
    """

    def __init__(self, kept: str = "") -> None:
        self._kept = kept + " " if kept else ""
        self._scale, self._skipped = None, 0

    def skipped(self, iteration: int, scalars: Mapping[str, float]) -> bool:
        """Whether the iteration with these ``scalars`` was skipped: then its losses may be what they like.

        Raises:
            TrainingDiverged: a loss is not finite; or so many were skipped one after the other while the loss scale
                stayed what it was. With a dynamic scale that happens at 1 alone, which it reaches in as many iterations
                as it has halvings.
        """
        if scalars.get("skipped"):
            self._count(iteration, scalars)
            return True
        self._skipped = 0
        strange = [f"{name}={value}" for name, value in scalars.items() if not math.isfinite(value)]
        if strange:
            raise TrainingDiverged(
                "iteration {}: {} is not finite. {}Lower outer_lr or inner_lr, or look at the images; "
                "--print_interval=1 shows how the losses got there".format(
                    iteration, ", ".join(strange), self._kept))
        return False

    def _count(self, iteration: int, scalars: Mapping[str, float]) -> None:
        self._skipped = self._skipped + 1 if scalars["loss_scale"] == self._scale else 1
        self._scale = scalars["loss_scale"]
        if self._skipped == SKIPPED_IN_A_ROW:
            losses = ", ".join(f"{name}={scalars[name]:g}" for name in LOSSES)
            raise TrainingDiverged(
                f"iteration {iteration}: gradients overflowed {self._skipped} times in a row with a loss scale of "
                f"{self._scale:g}, and {losses}. {self._kept}{IF_SKIPPED}")
