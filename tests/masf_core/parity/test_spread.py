"""How far rounding moves a case: when it is measured, what it excuses, and what stays a mistake."""
from __future__ import annotations

import math
import os

import numpy as np
import pytest

from masf_core.devices.cpu import Cpu
from masf_core.parity import case as parity_case, comparison, spread, verdict
from masf_core.parity.iterations import Iterations, as_record, moved_by_rounding
from masf_core.parity.measures import Difference
from tests.masf_core.parity.test_comparison import GOLDEN


class Drawn:
    """Stands in for ``Iterations``: draw n of iteration i finds ``values[n][i]``. runs: (iterations, draw) of each."""

    def __init__(self, *values):
        self.values, self.runs = values, []

    def run(self, count, draw):
        self.runs.append((count, draw))
        return iter(self.values[draw % len(self.values)][:count])


def compare(step, own, found):
    return [Difference(step, "metric_loss", abs(found - own), 1e-3, "")]


def differences(*values):
    return [Difference(step, "metric_loss", value, 1e-3, "") for step, value in enumerate(values, 1)]


def test_nothing_is_measured_where_no_difference_is_near_its_tolerance():
    drawn = Drawn([0.0])
    assert spread.with_spread(differences(4e-4, 4e-4), [0.0, 0.0], drawn, compare) == differences(4e-4, 4e-4)
    assert drawn.runs == []


def test_only_iterations_up_to_the_last_that_is_near_its_tolerance_are_run():
    drawn = Drawn([1e-6, 1e-6, 1e-6])
    found = spread.with_spread(differences(4e-4, 6e-4, 1e-4), [0.0, 0.0, 0.0], drawn, compare)
    assert drawn.runs == [(2, 0), (2, 1), (2, 2)]
    assert [item.spread for item in found] == [1e-6, 1e-6, None]


def test_the_largest_draw_excuses_five_times_as_much_and_the_case_is_called_ill_conditioned():
    drawn = Drawn([1e-3], [3e-3], [2e-3])
    (item,) = spread.with_spread(differences(1.4e-2), [0.0], drawn, compare)
    assert (item.spread, item.accepted) == (3e-3, pytest.approx(1.5e-2))
    assert not item.exceeded and item.is_ill_conditioned and len(drawn.runs) == 3
    assert "metric_loss in iteration 1 by 3.0e-03" in spread.remark([item])
    assert "3.0e-03" in verdict.table([item])[1] and verdict.table([item])[1].endswith("ILL-CONDITIONED")


def test_what_rounding_does_not_explain_stays_exceeded_after_the_last_draw():
    drawn = Drawn([1e-4])
    (item,) = spread.with_spread(differences(1.4e-2), [0.0], drawn, compare, draws=5)
    assert item.exceeded and not item.is_ill_conditioned and len(drawn.runs) == 5
    assert spread.remark([item]) is None and item.accepted == 1e-3


def test_a_loss_that_is_not_a_number_is_never_excused():
    for drawn in (Drawn([math.nan]), Drawn([math.inf])):
        (item,) = spread.with_spread(differences(math.nan), [0.0], drawn, compare)
        assert item.exceeded and item.spread is None


def test_no_draws_measure_nothing():
    drawn = Drawn([1.0])
    assert spread.with_spread(differences(2e-3), [0.0], drawn, compare, draws=0) == differences(2e-3)
    assert drawn.runs == []


def test_every_entry_moves_by_one_or_two_units_in_the_last_place():
    array = np.random.RandomState(0).standard_normal((1000, 1100)).astype(np.float32)
    moved = moved_by_rounding(array, np.random.RandomState(1))
    units = np.abs(moved - array) / np.spacing(np.abs(array))
    assert moved.dtype == np.float32 and moved.shape == array.shape
    assert set(np.unique(units)) <= {1.0, 2.0} and 0.4 < np.mean(moved > array) < 0.6
    np.testing.assert_array_equal(moved, moved_by_rounding(array, np.random.RandomState(1)))
    assert np.any(moved != moved_by_rounding(array, np.random.RandomState(2)))


# A strong inner step and a small margin: any rounding moves the metric loss by per cents.
ILL_CONDITIONED = {"seed": 32, "gain": 0.9, "meta_batch_size": 9, "inner_lr": 0.1, "outer_lr": 1e-6,
                   "metric_lr": 2e-6, "margin": 0.1, "clip": 2.0}


@pytest.mark.slow
def test_a_case_that_amplifies_rounding_is_met_and_called_ill_conditioned():
    """Its record is that of a processor that rounds otherwise: of another draw."""
    case = parity_case.load_case(os.path.join(GOLDEN, "strong_inner.json"))
    case["case"] = dict(ILL_CONDITIONED, labels=case["case"]["labels"][:1])
    with Iterations(case, Cpu("float32", 1, 1)) as iterations:
        (found,) = iterations.run(1, draw=1000)
        case["steps"] = [as_record(found, case["steps"][0])]
    differences = comparison.run_case(case, Cpu("float32", 1, 1), draws=3)
    (metric_loss,) = [item for item in differences if item.quantity == "metric_loss"]
    assert metric_loss.is_ill_conditioned and metric_loss.spread > 1e-3
    assert "metric_loss in iteration 1 by" in spread.remark(differences)
