"""Names that were meant."""

from __future__ import annotations

import pytest

from job.config.near_miss import edits, near_miss, suggestion


@pytest.mark.parametrize("one, other, slips", [
    ("", "", 0), ("abc", "", 3), ("", "ab", 2), ("seed", "seed", 0), ("seed", "sed", 1), ("seed", "sweed", 1),
    ("seed", "sead", 1), ("seed", "esed", 1), ("ab", "ba", 1), ("abcd", "badc", 2), ("kitten", "sitting", 3),
    ("abc", "cab", 2),
])
def test_slips_are_counted(one, other, slips):
    assert edits(one, other) == slips
    assert edits(other, one) == slips


def test_the_nearest_name_is_taken():
    assert near_miss("inner_lr2", ["outer_lr", "inner_lr", "inner_lr3"]) == "inner_lr"
    assert near_miss("num_gpus", ["num_classes", "seed"]) is None


def test_nothing_is_suggested_for_a_name_like_no_other():
    assert suggestion("xyz", ["seed"]) == ""
    assert suggestion("target", ["target_domain"]) == "; did you mean 'target_domain'?"
