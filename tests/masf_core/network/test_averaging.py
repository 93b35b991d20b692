"""The mean of weights, with the digits that float32 would lose."""
from __future__ import annotations

import numpy as np

from masf_core.network.averaging import WeightMean


def test_the_sum_is_taken_in_float64_and_what_is_equal_stays_to_the_last_bit():
    mean, fixed = WeightMean(), np.array([0.1, 1e-30, 3.3e38], np.float32)
    for value in [2.0 ** 25] + [1.0] * 4:
        mean.add({"a/weights": np.full((2, 3), value, np.float32), "a/variance": fixed})
    taken = mean.take()
    assert taken["a/weights"].dtype == np.float32 and taken["a/weights"].shape == (2, 3)
    assert (taken["a/weights"] == np.float32((2.0 ** 25 + 4.0) / 5)).all()
    np.testing.assert_array_equal(taken["a/variance"], fixed)
    assert mean.take() == {}
