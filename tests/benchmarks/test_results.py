"""RESULTS.md is made of the JSON files alone."""
from __future__ import annotations

from benchmarks import measuring, results
from benchmarks.measuring import Figure


def written(tmp_path, lane, figures, monkeypatch, notes=()):
    monkeypatch.setattr(measuring, "lane", lambda: lane)
    measuring.report("step", "Step", figures, str(tmp_path), notes)


def test_both_lanes_stand_side_by_side_with_target_limit_and_what_was_missed(tmp_path, monkeypatch, capsys):
    written(tmp_path, "tf1", [Figure("rate", [0.5, 0.7, 0.6], "", (">=", 0.65), "memory")], monkeypatch, ["A note."])
    written(tmp_path, "tf2", [Figure("rate", [0.9], "", (">=", 0.88), "memory"), Figure("time", [2.0], "s")],
            monkeypatch, ["A note."])
    lines = results.document(results.read(str(tmp_path)))
    assert "| rate | 0.6 (0.5 – 0.7) **missed** | 0.9 (0.9 – 0.9) | ≥ 0.65 / ≥ 0.88; limit: memory |" in lines
    assert "| time |  | 2 s (2 – 2) |  |" in lines
    assert lines.count("- A note.") == 1
    assert sum("python -m benchmarks.step" in line for line in lines) == 2


def test_a_lane_that_was_not_measured_has_no_column(tmp_path, monkeypatch, capsys):
    written(tmp_path, "tf2", [Figure("rate", [0.9], "")], monkeypatch)
    assert "| | tf2 | target |" in results.document(results.read(str(tmp_path)))
