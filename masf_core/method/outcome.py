"""Whether an iteration was applied, was skipped because a gradient overflowed, or ends the training."""
from __future__ import annotations

import math
from typing import Mapping

from masf_core.errors import TrainingDiverged

LOSSES = ("source_loss", "source_accuracy", "global_loss", "metric_loss")
# Skipped iterations in a row at the same loss scale after which lowering the scale cannot help.
SKIPPED_IN_A_ROW = 10
IF_SKIPPED = ("Lower outer_lr or inner_lr, or loss_scale if it is fixed. On a processor or a GPU, --precision=float32 "
              "shows whether the precision is the cause")


class Outcomes:
    """The outcomes of successive iterations; a resumed run counts from 0.

    Args:
        kept: a sentence for the message, which results remain if training ends here; or "".
    """

    def __init__(self, kept: str = "") -> None:
        self._kept = kept + " " if kept else ""
        self._scale, self._skipped = None, 0

    def skipped(self, iteration: int, scalars: Mapping[str, float]) -> bool:
        """Whether the iteration with these ``scalars`` was skipped; the losses of a skipped one may have any value.

        Raises:
            TrainingDiverged: a loss is not finite; or ``SKIPPED_IN_A_ROW`` iterations were skipped while the loss scale
                did not change. A dynamic scale can only do that at 1, its smallest value.
        """
        if scalars.get("skipped"):
            self._count(iteration, scalars)
            return True
        self._skipped = 0
        strange = [f"{name}={value}" for name, value in scalars.items() if not math.isfinite(value)]
        if strange:
            raise TrainingDiverged(
                f"iteration {iteration}: not finite: {', '.join(strange)}. {self._kept}Lower outer_lr or inner_lr, or "
                "check the images; --print_interval=1 shows how the losses developed")
        return False

    def _count(self, iteration: int, scalars: Mapping[str, float]) -> None:
        self._skipped = self._skipped + 1 if scalars["loss_scale"] == self._scale else 1
        self._scale = scalars["loss_scale"]
        if self._skipped == SKIPPED_IN_A_ROW:
            losses = ", ".join(f"{name}={scalars[name]:g}" for name in LOSSES)
            raise TrainingDiverged(
                f"iteration {iteration}: gradients overflowed {self._skipped} times in a row with a loss scale of "
                f"{self._scale:g}, and {losses}. {self._kept}{IF_SKIPPED}")
