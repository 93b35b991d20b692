"""Which quantities are compared if matrix products are in 16 bits, and with which tolerances.

bfloat16 has 8 bits of precision: rounding changes a number by up to 0.2 %. Kernels of different processors round at
different places, and the meta gradient is a difference of large numbers. Sampled entries of a variable can therefore be
unrelated to the recorded ones: a triplet takes another negative, a ReLU changes its side, an entry next to zero changes
its sign, and Adam then moves this entry by its whole rate in the other direction. So no verdict depends on the entries
of one variable where gradients cancel. It depends on losses, logits and norms, on the factor that all variables share,
and on shares of the entries of all variables.

This comparison cannot find: β₁, β₂ or a margin that is wrong by a tenth, a temperature of 2.05, a clip norm of 2.1, a
one-sided divergence, an inner step whose effect is small at the learning rates of the case, and wrong entries in the
meta gradient of one variable. ``--precision=float32`` finds these. Neither precision shows whether meta gradients are
clipped, because Adam removes a constant factor, or in which order the three Adams run, because every gradient is
computed before the first of them.
"""
from __future__ import annotations

from typing import Iterator

import numpy as np

from masf_core.parity.measures import (
    Difference, accuracy_apart, entries_apart, log_ratio, logits_apart, norm, relative, root_mean_square,
    share_of_other_sign, worst,
)

# How these tolerances were chosen: every product, forward and backward, or every weight was changed at random by up to
# 2^-8 of itself, which is twice a rounding. In all three cases the differences reached at most two thirds of the
# tolerances. Processors with and without instructions for bfloat16, with one thread and with two, stay below that in
# all three iterations.
LOSSES = {"source_loss": 3e-2, "global_loss": 1e-1, "metric_loss": 1e-1}
# Added to the tolerance of the metric loss (times β₂): squared distances are tens, which 8 bits resolve to 0.3. If the
# margin is 1, as in strong_inner, that is half of the loss.
METRIC_LOSS_ROUNDING = 1.5e-3
ACCURACY = (1.5, 2.5)  # images, in the first iteration and later
LOGITS = 6e-2
TASK_NORM, TASK_ENTRIES = 1e-1, 1.0  # no cancellation: every variable; unrelated entries are 1.4 apart, negated ones 2
META_NORM = 0.9  # |ln|, of a variable: 2.5 times as much or as little
META_FACTOR = 0.5  # |mean of ln| over all variables
OTHER_SIGN = {"grad_meta": 0.45, "grad_metric": 0.7}  # unrelated: 0.5; there are few entries of the latter
DELTA_NORM, DELTA_FACTOR = 0.35, 0.06  # |ln|
WEIGHTS_NORM = 0.3
MOVED_OTHERWISE, MOVED_OTHERWISE_SHARE = 0.7, 0.45
# A shift of all embeddings does not change their distances. The gradient of these biases is a sum that almost cancels:
# in 8 bits only noise remains, and Adam moves an entry by its whole rate in the direction of the noise. So it is not
# compared.
UNSEEN = ("metric2/biases",)
# The global loss and the metric loss, which may be exactly 0, are about a hundredth of the task loss.
PART_OF_TASK_LOSS = 0.01
LOGARITHM, SHARE = "ln", "share"


def compare_in_16_bits(step: int, record: dict, found: dict, moved: dict, scale: float) -> Iterator[Difference]:
    """One ``Difference`` for each quantity.

    - Losses, logits, accuracy and the task gradient are compared as in ``parity.compare_step``, each variable alone.
    - Norms of the other gradients and of the updates: |ln(found / recorded)| of the worst variable; and the ``factor``,
      |mean ln| over all variables, in which roundings cancel.
    - Entries of these gradients: the share, over all variables, of entries whose sign differs from the recorded one.
    - Entries of the weights: the share, over all variables, of entries that moved to another value.

    Args:
        moved: name → how far the variable moved, or its rounding. scale: factor of all tolerances.
    """
    def difference(quantity, value, tolerance, where="", unit=""):
        return Difference(step, quantity, value, scale * tolerance, where, unit)

    for name, tolerance in LOSSES.items():
        recorded = record[name]
        if name == "metric_loss":
            tolerance += METRIC_LOSS_ROUNDING / (recorded or PART_OF_TASK_LOSS * record["source_loss"] or 1.0)
        yield difference(
            name, relative(found[name], recorded, PART_OF_TASK_LOSS * record["source_loss"]), tolerance)
    yield difference("source_accuracy", accuracy_apart(record, found), ACCURACY[min(step, 2) - 1], unit="images")
    yield difference("logits_b_at_theta", logits_apart(record, found), LOGITS)
    yield from _of_task(record["grad_task"], found["grad_task"], difference)
    for quantity in ("grad_meta", "grad_metric"):
        entries, arrays = _seen(record[quantity]), found[quantity]
        largest = max(entry["norm"] for entry in entries.values())
        ratios = {name: log_ratio(norm(arrays[name]), entry["norm"], largest) for name, entry in entries.items()}
        yield difference(quantity + " norm", *_largest(ratios, META_NORM), unit=LOGARITHM)
        if quantity == "grad_meta":
            yield difference(quantity + " factor", _common(ratios), META_FACTOR, unit=LOGARITHM)
        yield difference(
            quantity + " entries", share_of_other_sign(arrays, entries), OTHER_SIGN[quantity], unit=SHARE)
    yield from _of_weights(record, found, moved, difference)


def _of_task(entries, arrays, difference):
    """The differences of the task gradient: norms and entries, each of the worst variable."""
    largest = max(entry["norm"] for entry in entries.values())
    value, where = worst((name, relative(norm(arrays[name]), entry["norm"], largest))
                         for name, entry in entries.items())
    yield difference("grad_task norm", value, TASK_NORM, where)
    value, where = worst((name, root_mean_square(entries_apart(arrays[name], entry, entry["norm"] or largest)))
                         for name, entry in entries.items())
    yield difference("grad_task entries", value, TASK_ENTRIES, where)


def _of_weights(record, found, moved, difference):
    """The differences of the updates and of the weights."""
    ratios = {name: log_ratio(norm(found["delta"][name]), value, moved[name])
              for name, value in _seen(record["delta_norm"]).items()}
    yield difference("delta_norm", *_largest(ratios, DELTA_NORM), unit=LOGARITHM)
    yield difference("delta_norm factor", _common(ratios), DELTA_FACTOR, unit=LOGARITHM)
    entries = _seen(record["weights"])
    value, where = worst((name, abs(norm(found["weights"][name]) - entry["norm"]) / (moved[name] or 1.0))
                         for name, entry in entries.items())
    yield difference("weights norm", value, WEIGHTS_NORM, where)
    apart = np.concatenate([entries_apart(found["weights"][name], entry, moved[name])
                            for name, entry in entries.items()])
    yield difference("weights entries", float(np.mean(~(apart <= MOVED_OTHERWISE))), MOVED_OTHERWISE_SHARE, unit=SHARE)


def _seen(entries):
    """``entries`` without those of the variables that cannot be compared."""
    return {name: entry for name, entry in entries.items() if name not in UNSEEN}


def _largest(ratios, tolerance):
    """(largest |ratio|, ``tolerance``, name of its variable)."""
    value, where = worst((name, abs(ratio)) for name, ratio in ratios.items())
    return value, tolerance, where


def _common(ratios):
    """|mean ratio| over all variables."""
    return abs(float(np.mean(list(ratios.values()))))
