"""How two numbers, arrays or sets of arrays are compared."""
from __future__ import annotations

from typing import Any, Iterable, Mapping, NamedTuple, Optional, Tuple

import numpy as np


ACCEPTED_MULTIPLE = 5.0  # of what rounding explains


class Difference(NamedTuple):
    """The largest difference of one quantity in one iteration."""

    step: int  # from 1
    quantity: str
    value: float
    tolerance: float  # ``multiple`` times the difference that the recorded cases show between processors
    where: str  # variable, or ""
    unit: str = ""  # of value, tolerance and spread; without one they are relative to what was recorded
    spread: Optional[float] = None  # how far rounding alone moves it in this case, where that was measured
    multiple: float = ACCEPTED_MULTIPLE  # of the larger of both that is accepted

    @property
    def accepted(self) -> float:
        """The larger of the tolerance and ``multiple`` times the spread."""
        return max(self.tolerance, self.multiple * (self.spread or 0.0))

    @property
    def exceeded(self) -> bool:
        """Whether the difference is larger than accepted. NaN exceeds everything."""
        return not self.value <= self.accepted

    @property
    def is_ill_conditioned(self) -> bool:
        """Whether only the spread of this case makes the difference acceptable."""
        return self.tolerance < self.value <= self.accepted


def worst(pairs: Iterable[Tuple[str, float]]) -> Tuple[float, str]:
    """(difference, variable) of the largest difference; NaN counts as the largest of all."""
    where, value = max(pairs, key=lambda pair: np.inf if np.isnan(pair[1]) else pair[1])
    return value, where


def relative(found: float, recorded: float, scale_of_zero: float) -> float:
    """|found − recorded| / |recorded|; where exactly 0 was recorded, over ``scale_of_zero`` instead."""
    return abs(float(found) - recorded) / (abs(recorded) or scale_of_zero or 1.0)


def log_ratio(found: float, recorded: float, scale_of_zero: float) -> float:
    """ln(found / recorded) of norms, so that half as much counts like twice as much; −∞ where 0 was found.

    Where exactly 0 was recorded, it is found / ``scale_of_zero``.
    """
    if recorded == 0.0:
        return relative(found, recorded, scale_of_zero)
    with np.errstate(divide="ignore"):
        return float(np.log(np.float64(found) / recorded))


def norm(array: np.ndarray) -> float:
    """The L2 norm, in float64."""
    return float(np.linalg.norm(np.asarray(array, np.float64)))


def root_mean_square(array: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(array))))


def sampled(array: np.ndarray, entry: Mapping[str, Any]) -> np.ndarray:
    """The entries of an array at the indices of a record."""
    return np.asarray(array, np.float64).ravel()[entry["index"]]


def entries_apart(array: np.ndarray, entry: Mapping[str, Any], scale: float) -> np.ndarray:
    """|found − recorded| of the sampled entries, over the root mean square of an array of the norm ``scale``."""
    return np.abs(sampled(array, entry) - np.asarray(entry["value"])) / ((scale or 1.0) / np.sqrt(np.size(array)))


def share_of_other_sign(arrays: Mapping[str, np.ndarray], entries: Mapping[str, Any]) -> float:
    """The share of all sampled entries whose sign is not the recorded one; recorded zeros do not count."""
    found = np.sign(np.concatenate([sampled(arrays[name], entry) for name, entry in entries.items()]))
    recorded = np.sign(np.concatenate([np.asarray(entry["value"], np.float64) for entry in entries.values()]))
    signed = recorded != 0.0
    return float(np.mean(found[signed] != recorded[signed])) if signed.any() else 0.0


def accuracy_apart(record: Mapping[str, Any], found: Mapping[str, Any]) -> float:
    """Difference of the accuracies, in images of the two meta-train domains."""
    images = 2 * np.shape(found["logits_b_at_theta"])[0]
    return abs(float(found["source_accuracy"]) - record["source_accuracy"]) * images / 100.0


def logits_apart(record: Mapping[str, Any], found: Mapping[str, Any]) -> float:
    """‖found − recorded‖ / ‖recorded‖."""
    logits = np.asarray(record["logits_b_at_theta"])
    return norm(found["logits_b_at_theta"] - logits) / (norm(logits) or 1.0)
