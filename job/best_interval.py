"""What the report shows of the best interval: kept in memory while training goes on, at no cost on the device."""
from __future__ import annotations

from typing import TYPE_CHECKING, Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from job.publication.snapshots import Snapshot

if TYPE_CHECKING:
    from masf_core.evaluation import OnLosses  # brings TensorFlow

MOST = 12  # mistakes


class Mistake(NamedTuple):
    """An image of the target that was classified wrongly. row: of the domain. loss: cross-entropy."""

    row: int
    true: int
    predicted: int
    loss: float


class BestInterval:
    """The worst mistakes of the best interval so far, and its arrays.

    iteration: None as long as this attempt has had no interval that was the best. images: that were evaluated for it,
    of several ranks those of this one. arrays: name → array, as in its checkpoint.
    """

    def __init__(self) -> None:
        self.iteration: Optional[int] = None
        self.mistakes: Tuple[Mistake, ...] = ()
        self.images = 0
        self.arrays: Dict[str, np.ndarray] = {}
        self._worst: List[Mistake] = []
        self._seen = 0

    def evaluation(self) -> OnLosses:
        """Begin an evaluation of the target. Returns what takes its results."""
        self._worst, self._seen = [], 0
        return self._add

    def keep(self, iteration: int, snapshot: Optional[Snapshot]) -> None:
        """The evaluation that has just ended is that of the best interval."""
        self.iteration, self.mistakes, self.images = iteration, tuple(self._worst), self._seen
        arrays = (snapshot.arrays if snapshot is not None else None) or {}
        # Without the moments of the optimisers, which are three times as large.
        self.arrays = {name: array for name, array in arrays.items() if "_adam/" not in name}

    def _add(self, rows: np.ndarray, labels: np.ndarray, predictions: np.ndarray, losses: np.ndarray) -> None:
        self._seen += len(rows)
        wrong = np.flatnonzero(labels != predictions)
        worst = wrong[np.argsort(-losses[wrong], kind="stable")[:MOST]]
        found = [Mistake(int(rows[at]), int(labels[at]), int(predictions[at]), float(losses[at])) for at in worst]
        self._worst = sorted(self._worst + found, key=lambda each: (-each.loss, each.row))[:MOST]
