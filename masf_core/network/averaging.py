"""The mean of the weights of several checkpoints of a run. Needs no TensorFlow.

Izmailov et al. ("Averaging Weights Leads to Wider Optima and Better Generalization", UAI 2018) average the weights
along the path of an optimiser. Cha et al. ("SWAD: Domain Generalization by Seeking Flat Minima", NeurIPS 2021) do so
for domain generalisation, with DomainBed: at every iteration of a span that the validation loss of the source domains
chooses. Here the K checkpoints that a run has kept count alike: θ̄ = 1/K Σ_k θ_k.

The first of these methods estimates the statistics of batch normalisation anew for the averaged weights. In a run they
are held fixed: all its checkpoints have those of the weights file, and so has the mean.
"""
from __future__ import annotations

from typing import Dict, Mapping

import numpy as np


class WeightMean:
    """Sums networks of the same shapes in float64, one after the other, and keeps none of them."""

    def __init__(self) -> None:
        self._sums: Dict[str, np.ndarray] = {}
        self.count = 0  # K

    def add(self, values: Mapping[str, np.ndarray]) -> None:
        """Add a network: variable name → float32 array. Names and shapes are those of the first network."""
        for name, value in values.items():
            if name in self._sums:
                self._sums[name] += value
            else:
                self._sums[name] = value.astype(np.float64)
        self.count += 1

    def take(self) -> Dict[str, np.ndarray]:
        """Variable name → float32 array of the mean. Afterwards this object holds no network."""
        sums, self._sums = self._sums, {}
        return {name: (sums.pop(name) / self.count).astype(np.float32) for name in list(sums)}
