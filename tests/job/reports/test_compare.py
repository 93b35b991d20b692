"""Runs beside each other."""
from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree

import pytest

from job import cli

SVG = "{http://www.w3.org/2000/svg}"


def write_run(directory, accuracies, target="cartoon", policy="source_val"):
    """accuracies: iteration → (target, validation)."""
    directory.mkdir(parents=True)
    history = [{"iteration": iteration, "target_domain": target, "target_accuracy": on_target,
                "validation_accuracy": validation, "seconds_per_iteration": 0.5}
               for iteration, (on_target, validation) in accuracies.items()]
    (directory / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in history))
    (directory / "run.json").write_text(json.dumps({
        "format": 1, "run_name": directory.name, "state": "done", "lineage": "a", "attempts": [],
        "config": {"interval": {"selection": policy}}}))
    return str(directory)


@pytest.fixture
def runs(tmp_path):
    return [write_run(tmp_path / "deepall", {10: (30.0, 50.0), 20: (40.0, 60.0)}),
            write_run(tmp_path / "masf<1>", {10: (35.0, 55.0), 20: (45.0, 52.0), 30: (50.0, 51.0)})]


def test_every_interval_is_a_row_and_the_chosen_one_is_bold(runs, capsys):
    assert cli.main(["compare"] + runs) == 0
    shown = capsys.readouterr().out
    assert "| iteration | deepall cartoon | deepall validation | masf<1> cartoon | masf<1> validation |" in shown
    assert "| 10 | 30.00 | 50.00 | **35.00** | **55.00** |" in shown
    assert "| 20 | **40.00** | **60.00** | 45.00 | 52.00 |" in shown
    assert "| 30 |  |  | 50.00 | 51.00 |" in shown
    assert "masf<1>: 35.00 % on cartoon at iteration 10 of 30, chosen by source_val" in shown


def test_the_page_has_a_curve_for_each_run_and_is_well_formed(runs, tmp_path, capsys):
    path = tmp_path / "compared.html"
    assert cli.main(["compare", "--page", str(path)] + runs) == 0
    page = path.read_text(encoding="utf-8")
    for figure in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        shown = ["".join(each.itertext()) for each in ElementTree.fromstring(figure).iter(SVG + "text")]
        assert "deepall" in shown and "masf<1>" in shown
    assert page.count("<svg ") == 2 or "matplotlib is not installed" in page
    assert "masf&lt;1&gt;" in page and "masf<1>" not in page
    assert "<td><b>40.00</b></td>" in page


def test_a_folder_without_a_run_is_named(tmp_path, capsys):
    assert cli.main(["compare", str(tmp_path)]) == 4
    assert "there is no run here (no run.json)" in capsys.readouterr().err


def test_a_run_without_a_completed_interval_is_named(tmp_path, capsys):
    assert cli.main(["compare", write_run(tmp_path / "young", {})]) == 4
    assert "there is no run here with a completed interval" in capsys.readouterr().err


def test_a_page_that_cannot_be_written_is_named(runs, tmp_path, capsys):
    assert cli.main(["compare", "--page", str(tmp_path / "nowhere" / "a.html")] + runs) == 4
    assert "Choose another file with --page" in capsys.readouterr().err
