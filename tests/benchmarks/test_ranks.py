"""What averaging costs is told for each number of processes."""
from __future__ import annotations

import pytest

from benchmarks.ranks import figures, sent


@pytest.mark.parametrize("ranks, share", [(1, 0.0), (2, 1.0), (4, 1.5), (8, 1.75), (64, 1.96875)])
def test_a_ring_sends_all_but_a_processs_own_part_twice(ranks, share):
    assert sent(4000, ranks) == 4000 * share


def test_every_number_of_processes_has_rows_of_its_own():
    rows = figures({size: {"bytes": 4 * 10 ** 6, "small": [0.001 * size], "gradients": [1.0 * size, 3.0 * size]}
                    for size in (2, 4)})
    assert [(row.what, list(row.values), row.unit) for row in rows] == [
        ("bytes averaged an iteration", [4.0], "MB"),
        ("2 processes: bytes that each sends", [4.0], "MB"),
        ("2 processes: the sums of the global and local loss", [2.0], "ms"),
        ("2 processes: averaging both sets of gradients and these sums", [2.0, 6.0], "s"),
        ("4 processes: bytes that each sends", [6.0], "MB"),
        ("4 processes: the sums of the global and local loss", [4.0], "ms"),
        ("4 processes: averaging both sets of gradients and these sums", [4.0, 12.0], "s")]
