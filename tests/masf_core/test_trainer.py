"""The loop: intervals, resumption, divergence."""
from __future__ import annotations

import math

import numpy as np
import pytest

from masf_core.errors import TrainingDiverged
from masf_core.method.gradients import Gradients
from masf_core.method.loss_scale import LossScale, ScaleSettings
from masf_core.records import selection
from masf_core.records.checkpoints import Progress
from masf_core.trainer import Observer, Schedule, Trainer
from tests.masf_core import toy
from tests.masf_core.devices.half_precision import HalfBackbone

BEGINNING = Progress(0, [], [], {})
CLASSES = ("a", "b", "c", "d")


class Recorder(Observer):
    """Remembers everything; stops with an exception where it is told to."""

    def __init__(self, stop_at=None, stop_in_evaluation=None):
        self.losses, self.intervals = [], []
        self.stop_at = stop_at
        self.stop_in_evaluation = stop_in_evaluation
        self.evaluations = 0

    def iteration(self, iteration, scalars, seconds):
        self.losses.append((iteration, scalars))
        if iteration == self.stop_at:
            raise KeyboardInterrupt

    def evaluation(self, domain):
        self.evaluations += 1
        if self.evaluations == self.stop_in_evaluation:
            raise KeyboardInterrupt

    def interval(self, progress):
        self.intervals.append(progress.history[-1])


def trainer(model, progress=BEGINNING, observer=None, iterations=7, interval=3):
    return Trainer(model, toy.sampler(), toy.evaluation_set(), [toy.evaluation_set(1), toy.evaluation_set(2)], CLASSES,
                   Schedule(iterations, interval), progress, observer or Recorder())


def deterministic(record):
    return {key: value for key, value in record.items() if "second" not in key}


def test_intervals_end_at_multiples_and_at_the_last_iteration():
    with toy.model() as model:
        recorder = Recorder()
        loop = trainer(model, observer=recorder)
        loop.run()
    assert [record["iteration"] for record in recorder.intervals] == [3, 6, 7]
    assert [iteration for iteration, _ in recorder.losses] == list(range(1, 8))
    assert loop.progress.iteration == 7 and loop.progress.pending == []
    third = [scalars["source_loss"] for iteration, scalars in recorder.losses if 4 <= iteration <= 6]
    assert recorder.intervals[1]["source_loss"] == pytest.approx(np.mean(third))


@pytest.mark.parametrize("stop", [{"stop_at": 4}, {"stop_at": 6}, {"stop_in_evaluation": 4}, {"stop_in_evaluation": 5}])
def test_a_stopped_and_resumed_run_equals_one_that_never_stopped(stop):
    with toy.model() as model:
        whole = Recorder()
        trainer(model, observer=whole).run()
        final = model.snapshot()

    with toy.model() as model:
        first = Recorder(**stop)
        loop = trainer(model, observer=first)
        with pytest.raises(KeyboardInterrupt):
            loop.run()
        arrays, progress = model.snapshot(), loop.progress
    with toy.model(seed=5) as model:
        model.load(arrays)
        second = Recorder()
        trainer(model, progress, second).run()
        resumed = model.snapshot()

    assert first.losses + second.losses == whole.losses
    assert [deterministic(r) for r in first.intervals + second.intervals] == [deterministic(r) for r in whole.intervals]
    for name in final:
        np.testing.assert_array_equal(resumed[name], final[name], err_msg=name)


def test_training_learns_the_stripes():
    with toy.model(keep_probability=1.0) as model:
        recorder = Recorder()
        trainer(model, observer=recorder, iterations=60, interval=60).run()
    assert recorder.intervals[-1]["target_accuracy"] > 60.0


def test_a_finished_run_does_nothing():
    with toy.model() as model:
        recorder = Recorder()
        done = Progress(7, [{"iteration": 7, "validation_accuracy": 1.0}], [], {})
        trainer(model, done, recorder).run()
    assert recorder.losses == [] and recorder.intervals == []


def test_a_loss_that_is_not_finite_stops_the_run_and_is_named():
    with toy.model() as model:
        values = model.snapshot()
        values["top/biases"][0] = math.nan
        model.load({"top/biases": values["top/biases"]})
        loop = trainer(model)
        with pytest.raises(TrainingDiverged, match="iteration 1: not finite: source_loss=nan"):
            loop.run()
    assert loop.progress.iteration == 0


def test_record_holds_per_class_accuracies_and_none_where_a_class_is_absent():
    target = toy.evaluation_set()
    rows = np.flatnonzero(target.labels != 2)
    with toy.model() as model:
        loop = trainer(model, iterations=1, interval=1)
        loop.target = target._replace(rows=rows)
        loop.run()
    record = loop.progress.history[-1]
    assert record["target_per_class"]["c"] is None
    counts = np.bincount(target.labels[rows], minlength=4)
    assert [sum(row) for row in record["target_confusion"]] == counts.tolist()
    weighted = sum(record["target_per_class"][name] * count for name, count in zip(CLASSES, counts) if count)
    assert weighted / counts.sum() == pytest.approx(record["target_accuracy"])


def test_selection_policies():
    history = [{"iteration": 1, "validation_accuracy": 70.0, "target_accuracy": 40.0},
               {"iteration": 2, "validation_accuracy": 70.0, "target_accuracy": 60.0},
               {"iteration": 3, "validation_accuracy": 60.0, "target_accuracy": 50.0}]
    assert selection.best("source_val", history)["iteration"] == 1
    assert selection.best("oracle", history)["iteration"] == 2
    assert selection.best("last", history)["iteration"] == 3
    assert selection.best("last", []) is None
    with pytest.raises(ValueError, match="source_val, oracle, last"):
        selection.score("target", history[0])


def scaled_trainer(settings, depth, iterations, observer, interval=3):
    """A trainer in whose network gradients pass through float16."""
    model = toy.model(backbone=HalfBackbone(depth), taking=Gradients(LossScale(settings)))
    return trainer(model, observer=observer, iterations=iterations, interval=interval)


def test_skipped_iterations_are_counted_and_take_no_part_in_the_means():
    recorder = Recorder()
    scaled_trainer(ScaleSettings(initial=2.0 ** 20), 0, 9, recorder).run()
    skipped = [scalars["skipped"] for _, scalars in recorder.losses]
    assert 0 < sum(skipped) < 9
    for record, part in zip(recorder.intervals, (slice(0, 3), slice(3, 6), slice(6, 9))):
        assert record["skipped"] == sum(skipped[part])
        applied = [scalars for _, scalars in recorder.losses[part] if not scalars["skipped"]]
        assert record["source_loss"] == (
            pytest.approx(np.mean([each["source_loss"] for each in applied])) if applied else None)
    assert recorder.intervals[-1]["loss_scale"] == recorder.losses[-1][1]["loss_scale"]


@pytest.mark.parametrize("scaled_first", [True, False])
def test_a_run_that_resumes_inside_an_interval_in_another_precision_counts_what_was_skipped(scaled_first):
    scalars = {"source_loss": 1.0, "source_accuracy": 50.0, "global_loss": 0.1, "metric_loss": 0.2}
    scaled = [dict(scalars, seconds=1.0, loss_scale=64.0, skipped=skipped) for skipped in (1.0, 0.0)]
    plain = [dict(scalars, seconds=1.0)]
    progress = BEGINNING._replace(iteration=3, pending=scaled + plain if scaled_first else plain + scaled)
    recorder = Recorder()
    with toy.model() as model:
        trainer(model, progress, recorder, iterations=3).run()
    assert [(record["skipped"], record["loss_scale"]) for record in recorder.intervals] == [(1, 64.0)]


@pytest.mark.parametrize("settings, said", [
    (ScaleSettings(fixed=2.0 ** 40), "iteration 10: gradients overflowed 10 times in a row with a loss scale of "),
    (ScaleSettings(initial=4.0), "iteration 12: gradients overflowed 10 times in a row with a loss scale of 1,")])
def test_a_run_that_overflows_whatever_the_scale_ends(settings, said):
    recorder = Recorder()
    with pytest.raises(TrainingDiverged, match=said):
        scaled_trainer(settings, -60, 40, recorder).run()
    assert len(recorder.losses) < 12 and all(scalars["skipped"] for _, scalars in recorder.losses)


def test_a_run_that_was_too_short_for_its_scale_to_come_down_ends_in_an_error():
    with pytest.raises(TrainingDiverged, match="all 4 iterations were skipped"):
        scaled_trainer(ScaleSettings(initial=2.0 ** 60), 0, 4, Recorder()).run()


def test_graphs_that_are_compiled_early_change_no_number():
    episode = toy.sampler().draw(0)
    results = []
    for early in (False, True):
        with toy.model() as model:
            before = model.snapshot()
            if early:
                values = model.compile_early(snapshot=True, histogram=True)
                for name, value in model.snapshot().items():
                    np.testing.assert_array_equal(value, before[name])
                model.compile_training()
                assert any(np.any(value != before[name]) for name, value in model.snapshot().items())
                model.load(values)
            losses = model.step(episode)
            results.append((losses, model.snapshot()))
    assert results[0][0] == results[1][0]
    for name, value in results[0][1].items():
        np.testing.assert_array_equal(value, results[1][1][name])
