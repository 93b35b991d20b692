"""How far the results of an export may be from those of the evaluator.

Both compute in float32, with other operations: sums are rounded in another order. A wrong channel order, a missing mean
or another resize moves probabilities by far more.
"""
from __future__ import annotations

from typing import NamedTuple

import numpy as np

# Of the largest logit, and absolute. Rounding moves logits by up to 3e-6 of the largest.
LOGITS, PROBABILITIES = 1e-4, 1e-4


class Difference(NamedTuple):
    """logits, probabilities: the largest absolute differences. largest: of the expected logits, absolute. images: how
    many were compared. same_class: for how many of them the same class has the highest logit."""

    images: int
    logits: float
    largest: float
    probabilities: float
    same_class: int

    @property
    def acceptable(self) -> bool:
        """Whether rounding explains the difference. Classes may differ only where two logits are equally high."""
        return bool(self.logits <= LOGITS * max(1.0, self.largest) and self.probabilities <= PROBABILITIES)


def compare(found_logits: np.ndarray, found_probabilities: np.ndarray, logits: np.ndarray) -> Difference:
    """The difference between an export and the evaluator, whose float32 [N, C] logits are ``logits``."""
    scores = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    probabilities = scores / scores.sum(axis=1, keepdims=True)
    return Difference(
        len(logits), float(np.abs(found_logits.astype(np.float64) - logits).max()), float(np.abs(logits).max()),
        float(np.abs(found_probabilities - probabilities).max()),
        int((found_logits.argmax(axis=1) == logits.argmax(axis=1)).sum()))
