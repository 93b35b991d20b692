from __future__ import annotations

import json
import sys

import pytest

from benchmarks import measuring
from benchmarks.measuring import Figure, alternate, number, ratios, table


class Clock:
    """Goes on by what the actions take."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def action(self, name, took, log):
        def act():
            log.append(name)
            self.now += took.pop(0)
        return act


def test_actions_are_taken_in_turn_and_timed_one_by_one_after_the_warm_up():
    clock, log = Clock(), []
    actions = {"a": clock.action("a", [50.0, 1.0, 2.0], log), "b": clock.action("b", [60.0, 4.0, 3.0], log)}
    assert alternate(actions, 2, clock=clock) == {"a": [1.0, 2.0], "b": [4.0, 3.0]}
    assert log == ["a", "b"] * 3


def test_without_a_warm_up_every_round_counts():
    clock = Clock()
    assert alternate({"a": clock.action("a", [5.0, 7.0], [])}, 2, warm_up=0, clock=clock) == {"a": [5.0, 7.0]}


def test_time_is_taken_by_default_and_cannot_be_negative():
    (seconds,) = alternate({"nothing": lambda: None}, 1)["nothing"]
    assert 0.0 <= seconds < 10.0


def test_ratios_are_taken_pair_by_pair():
    assert ratios([6.0, 3.0], [2.0, 6.0]) == [3.0, 0.5]


@pytest.mark.parametrize("sign, target, met", [
    (">=", 3.0, True), (">=", 3.1, False), ("<=", 3.0, True), ("<=", 2.9, False)])
def test_the_median_decides_whether_a_target_is_met(sign, target, met):
    figure = Figure("speed", [90.0, 1.0, 3.0], "images/s", (sign, target))
    assert figure.median == 3.0 and figure.met is met


def test_without_a_target_nothing_is_met_or_missed():
    assert Figure("speed", [1.0], "images/s").met is None


@pytest.mark.parametrize("value, text", [
    (0.012345, "0.0123"), (1.0, "1"), (2.346, "2.35"), (99.96, "100"), (512.4, "512"), (16000, "16,000"),
    (1234567.8, "1,234,568"), (-1234.5, "-1,234"), (0.0, "0")])
def test_numbers_have_three_digits_that_count(value, text):
    assert number(value) == text


def test_a_row_names_the_figure_its_limit_its_spread_and_its_target():
    lines = table([
        Figure("drawing", [20000.0, 15000.0, 17000.0], "images/s", (">=", 16000), "memory bandwidth"),
        Figure("share", [1.5], "", ("<=", 1.02)), Figure("reading", [2.0], "ms")])
    assert lines[2:] == [
        "| drawing (memory bandwidth) | 17,000 images/s | 15,000 – 20,000 | ≥ 16,000 images/s | reached |",
        "| share | 1.5 | 1.5 – 1.5 | ≤ 1.02 | **missed** |",
        "| reading | 2 ms | 2 – 2 |  |  |"]
    assert {line.count("|") for line in lines} == {6}


def test_the_report_is_printed_and_kept_as_json_with_all_that_belongs_to_it(tmp_path, monkeypatch, capsys):
    out = str(tmp_path / "new" / "out")
    monkeypatch.setattr(sys, "argv", ["…", "--rounds", "3", "--out", out])
    measuring.report("input", "Input", [Figure("drawing", (3.0, 1.0, 2.0), "images/s", (">=", 2.5), "memory")], out,
                     ["said beside it"])
    printed = capsys.readouterr().out
    assert "| drawing (memory) | 2 images/s |" in printed and "- said beside it" in printed
    path = tmp_path / "new" / "out" / f"{measuring.lane()}-input.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["figures"] == [{
        "what": "drawing", "values": [3.0, 1.0, 2.0], "unit": "images/s", "target": [">=", 2.5], "limit": "memory",
        "median": 2.0, "met": False}]
    assert content["command"] == "python -m benchmarks.input --rounds 3"
    assert (content["name"], content["title"], content["lane"]) == ("input", "Input", measuring.lane())
    assert content["notes"] == ["said beside it"]
    assert content["machine"]["cores"] >= 1 and content["versions"]["python"]


@pytest.mark.parametrize("flags", [["--out=/somewhere"], ["--out", "/somewhere"]])
def test_where_the_json_goes_is_no_part_of_the_command(flags, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["…"] + [flag.replace("/somewhere", str(tmp_path)) for flag in flags])
    measuring.report("host", "Host", [Figure("iteration", [1.0], "ms")], str(tmp_path))
    content = json.loads((tmp_path / f"{measuring.lane()}-host.json").read_text(encoding="utf-8"))
    assert content["command"] == "python -m benchmarks.host"


def test_a_benchmark_takes_its_rounds_and_its_directory():
    arguments = measuring.parser("benchmarks.x", "What it measures.", rounds=7).parse_args([])
    assert (arguments.rounds, arguments.out) == (7, measuring.RESULTS)
    given = measuring.parser("benchmarks.x", "", rounds=7).parse_args(["--rounds", "2", "--out", "here"])
    assert (given.rounds, given.out) == (2, "here")


def test_real_images_are_those_of_pacs_root_which_must_exist(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PACS_ROOT", str(tmp_path))
    assert measuring.pacs_root() == str(tmp_path)
    monkeypatch.setenv("PACS_ROOT", str(tmp_path / "absent"))
    with pytest.raises(SystemExit, match="does not exist"):
        measuring.pacs_root()
    monkeypatch.delenv("PACS_ROOT")
    assert measuring.pacs_root() is None and "miniature" in capsys.readouterr().out
