"""What obs_sync/FAULTS.md says of faults is so."""

from __future__ import annotations

import os

import pytest

from benchmarks.soak import small_parts
from tests.obs_sync import fault_matrix

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def lines_of(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as stream:
        return stream.read().splitlines()


def documented():
    """Fault → row of the table."""
    return {line.split(" | ")[0][2:]: line for line in lines_of("obs_sync", "FAULTS.md") if line.startswith("| ")}


@pytest.mark.parametrize("title, fault", fault_matrix.FAULTS, ids=[title for title, _ in fault_matrix.FAULTS])
def test_what_is_seen_of_a_fault_is_what_the_table_says(title, fault):
    with small_parts(fault_matrix.PART):
        assert fault_matrix.line(title, fault) == documented()[title]


def test_the_table_has_these_faults_and_operations_and_no_others():
    rows = documented()
    assert [title for title in rows if title] == [title for title, _ in fault_matrix.FAULTS]
    assert [cell.strip() for cell in rows[""].strip("|").split("|")][1:] == fault_matrix.OPERATIONS
