"""What is written while training goes on, and how often."""
from __future__ import annotations

import io
from types import SimpleNamespace

import numpy as np
import pytest

from job import observer as observing
from job.config.settings import Config, Interval
from job.console import Console
from job.observer import JobObserver
from job.start_times import StartTimes
from masf_core.errors import TrainingDiverged
from masf_core.records.checkpoints import Progress
from tests.masf_core.records.samples import progress_at


class Scalars:
    def __init__(self):
        self.points, self.histograms = [], []

    def write(self, iteration, scalars):
        self.points.append(iteration)

    def write_histograms(self, iteration, arrays):
        self.histograms.append((iteration, arrays))


class Model:
    def weights(self):
        return {"fc8/biases": "array"}


def observed(**interval):
    """What six iterations write."""
    scalars, times = Scalars(), StartTimes()
    times.end("first_iteration")
    observer = JobObserver(Config(interval=Interval(**interval)), Console(stream=io.StringIO()), workspace=None,
                           model=Model(), record=None, publisher=None, scalars=scalars, times=times)
    losses = dict.fromkeys(("source_loss", "source_accuracy", "global_loss", "metric_loss"), 1.0)
    for iteration in range(1, 7):
        observer.iteration(iteration, losses, 0.5)
    return scalars


@pytest.mark.parametrize("every, expected", [(1, [1, 2, 3, 4, 5, 6]), (3, [3, 6])])
def test_scalars_are_written_at_their_interval(every, expected):
    assert observed(summary_interval=every).points == expected


@pytest.mark.parametrize("every, expected", [(0, []), (2, [2, 4, 6])])
def test_histograms_are_written_only_when_asked_for(every, expected):
    assert observed(histogram_interval=every).histograms == [(i, {"fc8/biases": "array"}) for i in expected]


def test_while_the_storage_is_away_each_interval_says_so(caplog, monkeypatch):
    """Training goes on meanwhile; nothing else of an interval is looked at here."""
    states = iter([None, "the storage is away", "the storage is away", None])

    class Publisher:
        def state(self):
            return {"published": None, "waiting": [], "last_failure": next(states)}

        def submit(self, snapshot):
            pass

    observer = JobObserver(Config(), Console(stream=io.StringIO()), workspace=None, model=Model(), record=None,
                           publisher=Publisher(), scalars=SimpleNamespace(write_interval=lambda record: None),
                           times=StartTimes())
    observer.write_files = lambda history: None
    observer.snapshot = lambda progress: None
    monkeypatch.setattr(observing, "interval_lines", lambda *_: ["an interval"])
    warned = []
    for iteration in range(4):
        caplog.clear()
        observer.interval(SimpleNamespace(history=[{"iteration": iteration, "validation_accuracy": 50.0}]))
        warned.append([record.getMessage() for record in caplog.records if record.levelname == "WARNING"])
    assert warned[0] == warned[3] == []
    assert warned[1] == warned[2] == [
        "the last upload failed (the storage is away). Training continues, and the upload is retried"]


def test_a_variable_that_is_not_finite_ends_training_before_anything_is_told_of_its_interval():
    written = []
    publisher = SimpleNamespace(state=dict, submit=written.append)
    model = SimpleNamespace(snapshot=lambda: {"conv1/weights": np.array([1.0, np.nan], np.float32),
                                              "fc8/biases": np.zeros(2, np.float32)})
    observer = JobObserver(Config(), Console(stream=io.StringIO()), workspace=None, model=model, record=None,
                           publisher=publisher, scalars=SimpleNamespace(write_interval=written.append),
                           times=StartTimes())
    observer.write_files = written.append
    with pytest.raises(TrainingDiverged, match="iteration 40: NaN or infinite values in conv1/weights. No"):
        observer.interval(Progress(40, [{"iteration": 40, "validation_accuracy": 50.0}], [], {}))
    assert written == []


@pytest.mark.parametrize("every, iteration, pending, kept", [
    (40, 80, 0, True), (40, 60, 0, False), (0, 80, 0, False), (40, 80, 1, False)])
def test_the_checkpoint_of_every_nth_iteration_is_kept_for_good_once_it_is_evaluated(every, iteration, pending, kept):
    record = SimpleNamespace(checkpoint_name=str, lineage="line", attempt={"id": "a"}, written={})
    observer = JobObserver(Config(interval=Interval(keep_every=every)), Console(stream=io.StringIO()), workspace=None,
                           model=SimpleNamespace(snapshot=dict), record=record, publisher=None, scalars=None,
                           times=StartTimes())
    assert observer.snapshot(progress_at(iteration, pending)).kept is kept


@pytest.mark.parametrize("skipped", [None, 12])
@pytest.mark.parametrize("target, total", [("cartoon", 300), ("art_painting", 10000)])
def test_what_an_interval_came_to_fits_a_terminal(target, total, skipped):
    record = {"iteration": total - 10, "target_domain": target, "target_accuracy": 100.0, "validation_accuracy": 100.0,
              "source_loss": 12.3456, "source_accuracy": 100.0, "global_loss": 12.34567, "metric_loss": None,
              "seconds_per_iteration": 123.456, "evaluation_seconds": 1000.0, "skipped": skipped, "loss_scale": 32768.0,
              "images_per_second": 1.0}
    lines = observing.interval_lines(record, [record], total, Interval())
    assert max(map(len, lines)) <= 80 - len("12:00:00 "), lines
    assert lines[0] == f"interval {total - 10}/{total}: {target} 100.00 %, validation 100.00 %"
    assert "metric nan" in lines[1] and "left" in lines[2] and len(lines) == (3 if skipped is None else 4)


@pytest.mark.parametrize("skipped", [False, True])
def test_an_iteration_fits_a_terminal(skipped):
    lines = observing.iteration_lines(10000, {
        "source_loss": 0.15064, "source_accuracy": 100.0, "global_loss": 0.0532311, "metric_loss": float("nan"),
        "skipped": skipped, "loss_scale": 32768.0})
    assert max(map(len, lines)) <= 80 - len("12:00:00 "), lines
    assert lines[:1] == ["iteration 10000: loss 0.1506 (100.0 %), global 0.05323, metric nan"]
    assert lines[1:] == (["  skipped: gradients overflowed (loss scale 32768)"] if skipped else [])
