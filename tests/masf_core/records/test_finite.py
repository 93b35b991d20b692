"""NaN and infinite values are found, large ones are none."""
from __future__ import annotations

import warnings

import numpy as np
import pytest

from masf_core.records.finite import not_finite


@pytest.mark.parametrize("values, found", [
    ([0.0, -1.0], False),
    ([np.nan, 1.0], True),
    ([np.inf, 1.0], True),
    ([np.inf, -np.inf], True),
    ([3e38, 3e38], False),
    ([3e38, 3e38, np.inf], True),
    ([], False),
])
def test_values_that_are_no_numbers_are_found(values, found):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        arrays = {"conv1/weights": np.array(values, np.float32), "step": np.array(3, np.int64)}
        assert not_finite(arrays) == (["conv1/weights"] if found else [])
