"""The split of a domain without lists: deterministic and stratified."""

from __future__ import annotations

from typing import NamedTuple, Sequence, Tuple

import numpy as np

from masf_core.randomness import generator


class Draw(NamedTuple):
    """How images to validate on are drawn."""

    fraction: float  # share of each class, in (0, 1)
    seed: int

    def split(self, names: Sequence[str], labels: np.ndarray, domain: str) -> Tuple[np.ndarray, np.ndarray]:
        """As `stratified_split`."""
        return stratified_split(names, labels, domain, self.fraction, self.seed)


def stratified_split(
    names: Sequence[str], labels: np.ndarray, domain: str, fraction: float, seed: int
) -> Tuple[np.ndarray, np.ndarray]:
    """Rows to train on and rows to validate on.

    In each class of n images, round(fraction · n) are drawn for validation, but at least one and at most n − 1. If a
    class has one image, that is trained on. The draw depends on the seed, the domain, the label and the sorted names,
    but not on the order of `names`.

    Args:
        names: [n] paths. labels: int [n]. fraction: share to validate on, in (0, 1).

    Returns:
        (train, validation): int64 rows, each ascending.
    """
    if not 0.0 < fraction < 1.0:
        raise ValueError(f"validation_fraction must lie between 0 and 1, got {fraction}")
    chosen = np.zeros(len(names), bool)
    for label in np.unique(labels):
        rows = sorted(np.flatnonzero(labels == label), key=lambda row: names[row])
        if len(rows) >= 2:
            wanted = min(max(1, int(round(fraction * len(rows)))), len(rows) - 1)
            draw = generator(seed, "split", domain, int(label)).permutation(len(rows))[:wanted]
            chosen[np.asarray(rows)[draw]] = True
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)
