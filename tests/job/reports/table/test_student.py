"""Quantiles of Student's t distribution, against a printed table."""
from __future__ import annotations

import pytest

from job.reports.table.student import t_quantile


@pytest.mark.parametrize("freedom, quantile", [
    (1, 12.7062), (2, 4.30265), (3, 3.18245), (5, 2.57058), (10, 2.22814), (30, 2.04227), (1000, 1.96234)])
def test_quantiles_are_those_of_the_table(freedom, quantile):
    assert t_quantile(0.975, freedom) == pytest.approx(quantile, abs=1e-5)


def test_other_probabilities_than_the_usual_one():
    assert t_quantile(0.95, 4) == pytest.approx(2.13185, abs=1e-5)
    with pytest.raises(ValueError):
        t_quantile(0.5, 4)
