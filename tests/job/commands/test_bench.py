"""The measure that is put beside the published figures."""
from __future__ import annotations

import json
import os
import re

import pytest

from job import cli
from job.published_measure import Measure, modelzoo_lines, table
from masf_core.model import Model

TINY = ["--width=0.02", "--meta_batch_size=3", "--device=cpu", "--metric_hidden=4", "--metric_embedding=3"]


def test_iterations_are_timed_one_by_one_and_the_first_does_not_count(tmp_path, capsys):
    path = tmp_path / "bench.json"
    assert cli.main(["bench", "--iterations", "2", "--json", str(path)] + TINY) == 0
    shown = capsys.readouterr().out
    assert "2 iterations of 3 × 3 images on cpu" in shown
    assert "the published figures are for 99 iterations of 3 × 126 images" in shown
    written = json.loads(path.read_text())
    assert len(written["seconds"]) == 2 and min(written["seconds"]) > 0.0
    assert written["total"] == pytest.approx(sum(written["seconds"]))
    assert written["first"] > 0.0 and written["batch"] == 3


def test_the_published_figures_stand_beside_a_measure_with_their_settings():
    shown = "\n".join(table(Measure("ascend", 126, first=60.0, seconds=[0.0625] * 99)))
    assert "total 6.2 s, mean 0.062 s" in shown and "6048 images/s" in shown
    assert "port, Ascend 910, mixed precision     115.6 s: 18.68 times this" in shown
    assert "the published figures are for" not in shown
    assert "port" not in "\n".join(table(Measure("ascend", 42, first=60.0, seconds=[0.05] * 99)))


def test_the_lines_of_modelzoo_s_scripts_count_as_the_scripts_do():
    found = Measure("ascend", 126, first=60.0, seconds=[0.05, 0.07], ranks=1, loss=0.1234567, accuracy=87.5,
                    end_to_end=61.4)
    lines = modelzoo_lines(found)
    assert lines[:4] == ["------------------ Final result ------------------",
                         "Final Performance images/sec : 2100.00", "Final Performance ms/step : 60.00",
                         "Final Training Duration sec : 61"]
    # What the script does in shell: $BatchSize / $TrainingTime, uname -m.
    assert dict(line.split(" = ") for line in lines[4:]) == {
        "Network": "MASF_ID1191_for_TensorFlow", "RankSize": "1", "BatchSize": "126",
        "DeviceType": os.uname().machine, "CaseName": "MASF_ID1191_for_TensorFlow_bs126_1p_perf",
        "ActualFPS": "2100.00", "TrainingTime": "0.060000", "ActualLoss": "0.1234567", "TrainAccuracy": "0.875000",
        "E2ETrainingTime": "61"}


def test_the_lines_of_modelzoo_are_printed_only_where_they_are_asked_for(capsys):
    for flags, there in [([], False), (["--modelzoo"], True)]:
        assert cli.main(["bench", "--iterations=2"] + flags + TINY) == 0
        shown = capsys.readouterr().out
        assert "2 iterations of 3 × 3 images on cpu" in shown
        assert ("Final Performance ms/step : " in shown, "ActualLoss = " in shown) == (there, there)
    assert "nan" not in shown
    assert 0 < int(re.search(r"E2ETrainingTime = (\d+)", shown).group(1))


@pytest.mark.parametrize("arguments, told", [
    (["--iterations", "0"], "--iterations=0: expected a whole number from 1"),
    (["--iterations=ten"], "--iterations=ten: expected a whole number from 1"),
    (["--iteration=10"], "unknown flag --iteration; did you mean --iterations?"),
    (["--widht=0.5"], "did you mean --width"),
])
def test_a_mistake_is_told_before_anything_is_measured(arguments, told, capsys):
    assert cli.main(["bench"] + arguments) == 2
    assert told in capsys.readouterr().err


GOOD = {"source_loss": 1.0, "source_accuracy": 50.0, "global_loss": 1.0, "metric_loss": 1.0}


def step_returns(monkeypatch, *scalars):
    """Let the iterations have these scalars, the last of them for ever. Returns the list of those that ran."""
    ran, waiting = [], list(scalars)

    def step(self, episode):
        ran.append(waiting.pop(0) if len(waiting) > 1 else waiting[0])
        return dict(ran[-1])

    monkeypatch.setattr(Model, "step", step)
    return ran


def test_losses_that_are_not_finite_are_no_measure(monkeypatch, capsys):
    step_returns(monkeypatch, GOOD, dict(GOOD, metric_loss=float("nan")))
    assert cli.main(["bench", "--iterations=2"] + TINY) == 5
    assert "iteration 1: not finite: metric_loss=nan" in capsys.readouterr().err


def test_the_loss_scale_comes_down_before_iterations_count(monkeypatch, tmp_path, capsys):
    overflows = [dict(GOOD, skipped=1.0, loss_scale=2.0 ** -number) for number in range(100)]
    ran = step_returns(monkeypatch, *overflows, GOOD)
    path = tmp_path / "bench.json"
    assert cli.main(["bench", "--iterations", "3", "--json", str(path)] + TINY) == 0
    assert "skipped" not in capsys.readouterr().out
    found = json.loads(path.read_text())
    assert (len(ran), len(found["seconds"]), found["skipped"]) == (104, 3, 0)


def test_iterations_that_count_but_were_skipped_are_told():
    shown = "\n".join(table(Measure("gpu in mixed precision", 42, first=1.0, seconds=[0.05] * 3, skipped=2)))
    assert "2 of them were skipped because gradients overflowed" in shown
