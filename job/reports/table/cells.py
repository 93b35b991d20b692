"""Mean and error of the accuracies over seeds, and differences between runs in pairs."""
from __future__ import annotations

import math
from typing import List, Mapping, NamedTuple, Optional, Sequence, Tuple

from job.reports.table.student import t_quantile

ERROR_NAMES = {"std": "standard deviation", "sem": "standard error of the mean",
               "ci95": "half the 95 % confidence interval (Student's t)"}

Values = Tuple[Tuple[int, float], ...]  # (seed, per cent)


class Cell(NamedTuple):
    """One accuracy, or one difference of accuracies, in per cent.

    mean: None where there is no value. error: see ``error_of``. values: by seed. expected: number of runs that there
    should be. state: why there is no value, in a word, or "". signed: a difference.
    """

    mean: Optional[float] = None
    error: Optional[float] = None
    values: Values = ()
    expected: int = 0
    state: str = ""
    signed: bool = False

    @property
    def incomplete(self) -> bool:
        """Whether runs are missing from the mean."""
        return len(self.values) < self.expected


class Paired(NamedTuple):
    """The difference between two variants over pairs of runs with the same target and seed.

    mean: of variant − baseline, per cent. low, high: 95 % confidence interval by Student's t, None with fewer than 2
    pairs. pairs: (target, seed, difference). unpaired: runs of either variant without a partner.
    """

    variant: str
    baseline: str
    selection: str
    mean: Optional[float]
    low: Optional[float]
    high: Optional[float]
    pairs: Tuple[Tuple[str, int, float], ...]
    unpaired: int


def mean_of(values: Sequence[float]) -> float:
    """The arithmetic mean of at least one value."""
    return math.fsum(values) / len(values)


def error_of(values: Sequence[float], kind: str) -> Optional[float]:
    """The error of the mean of some values; None for fewer than 2.

    Args:
        kind: one of ``ERROR_NAMES``. The standard deviation has n − 1 in its denominator.
    """
    count = len(values)
    if count < 2:
        return None
    mean = mean_of(values)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    if kind == "std":
        return deviation
    standard_error = deviation / math.sqrt(count)
    return standard_error if kind == "sem" else t_quantile(0.975, count - 1) * standard_error


def cell_of(values: Values, expected: int, error: str, state: str = "") -> Cell:
    """The cell of one variant on one target. error: one of ``ERROR_NAMES``. state: shown where there is no value."""
    if not values:
        return Cell(expected=expected, state=state)
    numbers = [value for _, value in values]
    return Cell(mean_of(numbers), error_of(numbers, error), values, expected)


def average_of(columns: Sequence[Cell], expected: int, error: str) -> Cell:
    """The cell of the average over targets: for each seed that has a value on every target, their mean."""
    by_seed = [dict(cell.values) for cell in columns]
    complete = sorted(set.intersection(*(set(values) for values in by_seed))) if by_seed else []
    values = tuple((seed, mean_of([each[seed] for each in by_seed])) for seed in complete)
    return cell_of(values, expected, error, "incomplete")


def difference(ours: Cell, theirs: Optional[float]) -> Cell:
    """The cell of a mean minus a published mean."""
    if ours.mean is None or theirs is None:
        return Cell(signed=True)
    return Cell(ours.mean - theirs, signed=True)


def paired(variant: str, baseline: str, selection: str, scores: Mapping[Tuple[str, int], float],
           base: Mapping[Tuple[str, int], float]) -> Paired:
    """Compare two variants. scores, base: (target, seed) → per cent, of the variant and of the baseline."""
    both: List[Tuple[str, int]] = sorted(set(scores) & set(base))
    pairs = tuple((target, seed, scores[target, seed] - base[target, seed]) for target, seed in both)
    unpaired = len(set(scores) ^ set(base))
    numbers = [each for _, _, each in pairs]
    mean = mean_of(numbers) if numbers else None
    half = error_of(numbers, "ci95")
    low, high = (None, None) if mean is None or half is None else (mean - half, mean + half)
    return Paired(variant, baseline, selection, mean, low, high, pairs, unpaired)
