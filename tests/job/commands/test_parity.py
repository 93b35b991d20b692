"""`python -m job parity`: the table, and the exit code."""
from __future__ import annotations

import json
import os

import pytest

from job.cli import main
from job.exits import DATA, DIVERGED, DONE

TESTS = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GOLDEN = os.path.join(TESTS, "golden", "missing_classes.json")


@pytest.fixture
def first_iteration(tmp_path):
    """Path of a case of one iteration, and a function that changes its record."""
    with open(GOLDEN) as stream:
        case = json.load(stream)
    case["steps"], case["case"]["labels"] = case["steps"][:1], case["case"]["labels"][:1]

    def write(change=lambda record: None):
        change(case["steps"][0])
        (tmp_path / "case.json").write_text(json.dumps(case))
        return str(tmp_path / "case.json")

    return write


@pytest.mark.slow
def test_a_case_that_is_met_prints_every_quantity_and_ends_well(first_iteration, capsys):
    assert main(["parity", first_iteration(), "--device=cpu", "--intra_op_threads=2"]) == DONE
    printed = capsys.readouterr().out
    for quantity in ("source_loss", "global_loss", "grad_meta norm", "weights entries", "logits_b_at_theta"):
        assert quantity in printed
    assert "14 of 14 quantities within tolerance" in printed


@pytest.mark.slow
def test_a_case_that_is_not_met_names_the_quantity(first_iteration, capsys):
    def change(record):
        record["metric_loss"] *= 1.1

    assert main(["parity", first_iteration(change), "--device=cpu", "--draws=1"]) == DIVERGED
    streams = capsys.readouterr()
    (line,) = [line for line in streams.out.splitlines() if "EXCEEDED" in line]
    assert line.split()[1] == "metric_loss" and line.split()[3] != "-", "the spread was measured"
    assert "metric_loss in iteration 1" in streams.err and "Traceback" not in streams.err
    assert "computes something else" in streams.err


@pytest.mark.slow
def test_mixed_precision_meets_the_reference_within_tolerances_of_its_own(bfloat16, first_iteration, capsys):
    arguments = [first_iteration(), "--device=cpu", "--precision=mixed", "--intra_op_threads=2"]
    assert main(["parity"] + arguments) == DONE
    assert "16 of 16 quantities within tolerance" in capsys.readouterr().out
    # It does run in 16 bits: float32's own tolerances are far below what is found.
    assert main(["parity", "--scale_tolerance=0.01"] + arguments) == DIVERGED
    assert "rounding to 16 bits explains less" in capsys.readouterr().err


def test_a_file_that_is_no_case_is_one_clear_error(tmp_path, capsys):
    (tmp_path / "case.json").write_text("{}")
    assert main(["parity", str(tmp_path / "case.json")]) == DATA
    assert "not a parity case" in capsys.readouterr().err


def test_a_damaged_case_is_refused_before_anything_runs(first_iteration, capsys):
    path = first_iteration(lambda record: record["grad_task"].pop("fc8/biases"))
    assert main(["parity", GOLDEN, path]) == DATA
    assert f"{path}: not a parity case: steps[0].grad_task: expected an entry 'fc8/biases'" \
        in capsys.readouterr().err


def test_the_help_names_the_exit_codes(capsys):
    assert main(["parity", "--help"]) == DONE
    told = " ".join(capsys.readouterr().out.split())
    for text in ("Exit code 0:", "3: a file is not a case", "5: a difference"):
        assert text in told
