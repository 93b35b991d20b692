"""Compare this implementation with recorded numbers of the reference graph; ``case`` reads and makes those."""
from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import numpy as np

from masf_core.devices.device import Device
from masf_core.parity.iterations import ROUNDING, Iterations, as_record
from masf_core.parity.measures import (
    ACCEPTED_MULTIPLE, Difference, accuracy_apart, entries_apart, logits_apart, norm, relative, root_mean_square, worst,
)
from masf_core.parity.mixed import PART_OF_TASK_LOSS, compare_in_16_bits
from masf_core.parity.spread import DRAWS, with_spread

# Two CPU kernel libraries running the same graph differ by this in the 1st, 2nd and 3rd iteration (largest relative
# difference seen). Differences grow because the triplet loss switches negatives and Adam amplifies signs. In which of
# the later iterations a triplet switches depends on the processor and the number of threads, so quantities that the
# local loss affects have the same tolerance in the 2nd and 3rd. Later iterations use those of the 3rd.
KERNEL_DIFFERENCES = {
    "source_loss": (3e-7, 1e-5, 4e-4),
    "global_loss": (8e-5, 3e-3, 3e-3),
    "metric_loss": (2e-4, 1e-1, 1e-1),
    "grad_task": (4e-5, 3e-3, 2e-3),
    "grad_meta": (3e-3, 6e-2, 6e-2),
    "grad_metric": (1e-4, 6e-2, 6e-2),
    "delta_norm": (1e-2, 1e-2, 1e-2),
    "source_accuracy": (0.1, 0.5, 0.5),  # images: none in the first iteration
}
# The same for sampled entries and for weights, measured as in ``compare_step`` and rounded up: the largest differences
# from the recorded numbers in both lanes with one thread and with two (without the triplet that one thread switches),
# and in the first iteration between them on inputs where a ReLU flips.
ENTRY_DIFFERENCES = {
    "grad_task": (3e-3, 4e-2, 6e-2),
    "grad_meta": (3e-2, 3e-1, 3e-1),
    "grad_metric": (5e-4, 3e-1, 3e-1),
    "weights": (1e-2, 5e-2, 1e-1),
}
WEIGHTS_NORM = 2e-2
# Entries of the wrong sign differ by 2, unrelated ones by 1.4.
MOST_ACCEPTED = 1.0


def run_case(case: dict, device: Device, on_progress: Optional[Callable[[int, int], None]] = None, scale: float = 1.0,
             draws: int = DRAWS) -> List[Difference]:
    """Run every iteration of a case and compare.

    Args:
        case: from ``case.load_case``. on_progress: called with (iterations done, all).
        scale: multiplies what is accepted, for arithmetic that is coarser than float32.
        draws: at most so many perturbed runs measure how far rounding moves this case, where a difference is near its
            tolerance. In 16 bits there are none: those tolerances already allow for random rounding of every product.

    Returns:
        The differences, in the order of iterations.
    """
    records = case["steps"]

    def compare(step: int, record: Dict[str, Any], found: Dict[str, Any]) -> List[Difference]:
        return list(compare_step(step, record, found, scale, device.mixed))

    differences, own = [], []
    with Iterations(case, device) as iterations:
        for number, found in enumerate(iterations.run(len(records)), 1):
            if on_progress:
                on_progress(number - 1, len(records))
            differences.extend(compare(number, records[number - 1], found))
            own.append(as_record(found, records[number - 1]))
        if not device.mixed:
            differences = with_spread(differences, own, iterations, compare, draws)
    if on_progress:
        on_progress(len(records), len(records))
    return differences


def compare_step(step: int, record: Dict[str, Any], found: Dict[str, Any], scale: float = 1.0, mixed: bool = False,
                 ) -> Iterator[Difference]:
    """One ``Difference`` for each quantity of an iteration; ``mixed``: compared as in ``mixed``.

    - Losses and norms: |found − recorded| / |recorded|. Logits: ‖found − recorded‖ / ‖recorded‖.
    - Accuracy: in images, none in the first iteration.
    - Sampled entries of a gradient: the root mean square of their differences over that of the variable's gradient. A
      single entry may be next to nothing, or scatter where a ReLU flips; in later iterations the norms count for more.
    - Weights: a variable moves by 1e-3 of its norm or less, so both are measured against ‖Δ‖, how far it moved: the
      norm's difference over ‖Δ‖, and the median of the entries' differences over ‖Δ‖/√n. The median, because Adam moves
      an entry by its whole rate whichever sign rounding gave it.
    """
    # With a learning rate of 0 nothing moves: then the rounding of float32 is the measure.
    rounding = {name: ROUNDING * entry["norm"] for name, entry in record["weights"].items()}
    moved = {name: value or rounding[name] for name, value in record["delta_norm"].items()}
    if mixed:
        yield from compare_in_16_bits(step, record, found, moved, scale)
        return
    accept = _Accept(step, scale)
    yield from _of_outputs(record, found, accept)
    for quantity in ("grad_task", "grad_meta", "grad_metric"):
        yield from _of_gradients(quantity, record[quantity], found[quantity], accept)
    yield from _of_weights(record, found, moved, rounding, accept)


class _Accept:
    """Makes the differences of one iteration, each with its tolerance."""

    def __init__(self, step: int, scale: float) -> None:
        self._step, self._multiple, self._most = step, scale * ACCEPTED_MULTIPLE, scale * MOST_ACCEPTED

    def __call__(self, quantity: str, measured: Tuple[float, str], level: float, unit: str = "") -> Difference:
        """measured: (difference, variable). level: the difference that rounding explains."""
        value, where = measured
        return Difference(self._step, quantity, value, self._multiple * level, where, unit, multiple=self._multiple)

    def of_entries(self, quantity: str, measured: Tuple[float, str]) -> Difference:
        """The same for sampled entries, of which unrelated ones never count as equal."""
        found = self(quantity + " entries", measured, self.level(quantity, ENTRY_DIFFERENCES))
        return found._replace(tolerance=min(self._most, found.tolerance))

    def level(self, quantity: str, levels: Dict[str, Tuple[float, ...]] = KERNEL_DIFFERENCES) -> float:
        """The entry of a table for this iteration."""
        return levels[quantity][min(self._step, len(levels[quantity])) - 1]


def _of_outputs(record: Dict[str, Any], found: Dict[str, Any], accept: _Accept) -> Iterator[Difference]:
    """Losses, accuracy and logits."""
    for name in ("source_loss", "global_loss", "metric_loss"):
        apart = relative(found[name], record[name], PART_OF_TASK_LOSS * record["source_loss"])
        yield accept(name, (apart, ""), accept.level(name))
    yield accept("source_accuracy", (accuracy_apart(record, found), ""), accept.level("source_accuracy"), "images")
    yield accept("logits_b_at_theta", (logits_apart(record, found), ""), accept.level("global_loss"))


def _of_gradients(quantity: str, entries: Dict[str, Any], arrays: Dict[str, np.ndarray], accept: _Accept,
                  ) -> Iterator[Difference]:
    largest = max(entry["norm"] for entry in entries.values())
    yield accept(quantity + " norm", worst(
        (name, relative(norm(arrays[name]), entry["norm"], largest)) for name, entry in entries.items()),
        accept.level(quantity))
    yield accept.of_entries(quantity, worst(
        (name, root_mean_square(entries_apart(arrays[name], entry, entry["norm"] or largest)))
        for name, entry in entries.items()))


def _of_weights(record: Dict[str, Any], found: Dict[str, Any], moved: Dict[str, float], rounding: Dict[str, float],
                accept: _Accept) -> Iterator[Difference]:
    yield accept("delta_norm", worst(
        (name, relative(norm(found["delta"][name]), value, rounding[name]))
        for name, value in record["delta_norm"].items()), accept.level("delta_norm"))
    yield accept("weights norm", worst(
        (name, abs(norm(found["weights"][name]) - entry["norm"]) / (moved[name] or 1.0))
        for name, entry in record["weights"].items()), WEIGHTS_NORM)
    yield accept.of_entries("weights", worst(
        (name, float(np.median(entries_apart(found["weights"][name], entry, moved[name]))))
        for name, entry in record["weights"].items()))
