from __future__ import annotations

import numpy as np
import pytest

from masf_core.randomness import derive_seed, generator


def test_the_values_are_pinned_because_resumed_runs_depend_on_them():
    assert derive_seed(0, "order", "sketch", 3) == 0x59A04696  # printf '[0, "order", "sketch", 3]' | sha256sum
    assert generator(7, "flip", 1).randint(0, 1000, 3).tolist() == [196, 577, 132]


def test_parts_are_told_apart_by_type_and_by_where_they_end():
    seeds = [derive_seed(*parts) for parts in (
        (1,), (2,), (1, "a"), (1, "a", 1), (1, "a", "1"), (1, "a1"), (1, "a", 1, ""), ("1", "a"))]
    assert len(set(seeds)) == len(seeds)


def test_numpy_integers_count_as_integers():
    assert derive_seed(np.int64(3), "step", np.int32(5)) == derive_seed(3, "step", 5)


def test_seeds_fit_every_consumer():
    seeds = [derive_seed(0, step) for step in range(300)]
    assert all(0 <= seed < 2 ** 31 for seed in seeds)
    assert len(set(seeds)) == 300
    assert max(seeds) > 2 ** 30


def test_a_part_of_another_type_is_refused():
    with pytest.raises(TypeError):
        derive_seed(0, 1.5)


def test_generators_start_afresh():
    assert generator(1, "x").random_sample() == generator(1, "x").random_sample()
