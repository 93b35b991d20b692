"""The training loop: iterations, and at the end of each interval an evaluation and a record.

The loop knows nothing of storage. It tells an ``Observer`` what happened; the job makes checkpoints, logs and progress
bars of that. Whatever an observer raises ends the loop with ``Trainer.progress`` still describing a state that a
checkpoint may hold, because progress only moves once an iteration or an evaluation is complete.
"""
from __future__ import annotations

import math
import time
from typing import NamedTuple

import numpy as np

from masf_core.data.prefetch import Prefetcher
from masf_core.errors import TrainingDiverged


class EvaluationSet(NamedTuple):
    """Images to evaluate on."""

    domain: str
    images: np.ndarray  # uint8 [n, S, S, 3]
    labels: np.ndarray  # int32 [n]
    rows: np.ndarray  # int64 [N]


class Schedule(NamedTuple):
    """How long to train and when to look; in iterations."""

    train_iterations: int
    test_print_interval: int


class Observer:
    """What a caller may react to; every method may raise to end the training. Does nothing by itself."""

    def iteration(self, iteration, scalars, seconds):
        """An iteration is complete: its number from 1, losses, and wall time including the wait for its batch."""

    def evaluation(self, domain):
        """The ``on_progress`` callable for evaluating ``domain``, or None."""

    def interval(self, progress):
        """An interval is complete; its record is ``progress.history[-1]``."""


LOSSES = ("source_loss", "source_accuracy", "global_loss", "metric_loss")

# So many skipped iterations in a row at one and the same loss scale: then the scale has nothing left to give.
SKIPPED_IN_A_ROW = 10
IF_SKIPPED = ("Lower outer_lr or inner_lr, or a loss_scale that is fixed; --precision=float32 tells whether it is the "
              "precision")


class SkippedRow:
    """Iterations skipped one after the other while the loss scale stayed what it was.

    With a dynamic scale that happens at 1 alone, which it reaches in as many iterations as it has halvings. A resumed
    run counts from 0.
    """

    def __init__(self):
        self._scale, self._count = None, 0

    def note(self, iteration, scalars):
        """Whether the iteration with these ``scalars`` was skipped. Raises: TrainingDiverged, at the end of the row."""
        if not scalars.get("skipped"):
            self._count = 0
            return False
        self._count = self._count + 1 if scalars["loss_scale"] == self._scale else 1
        self._scale = scalars["loss_scale"]
        if self._count < SKIPPED_IN_A_ROW:
            return True
        raise TrainingDiverged("iteration {}: gradients overflowed {} times in a row with a loss scale of {:g}, and "
                               "{}. The checkpoint of the last interval is good. {}".format(
                                   iteration, self._count, self._scale, ", ".join(
                                       "{}={:g}".format(name, scalars[name]) for name in LOSSES), IF_SKIPPED))


class Trainer:
    """Runs a model through its schedule from wherever ``progress`` says it is.

    Args:
        model: ``Model`` whose variables hold the state of ``progress.iteration``.
        sampler: ``data.episodes.EpisodeSampler``.
        target: ``EvaluationSet``, the whole target domain. validation: sequence of them, one a source domain.
        classes: class names in label order.
        schedule: ``Schedule``. progress: ``Progress``. observer: ``Observer``.
    """

    def __init__(self, model, sampler, target, validation, classes, schedule, progress, observer):
        self.model = model
        self.sampler = sampler
        self.target = target
        self.validation = validation
        self.classes = classes
        self.schedule = schedule
        self.progress = progress
        self.observer = observer
        self._skips = SkippedRow()

    def run(self):
        """Train to the end of the schedule.

        Raises:
            TrainingDiverged: a loss is not finite, or iterations are skipped without end; the last checkpoint is good.
        """
        # A run stopped between an iteration and its evaluation owes the evaluation first.
        self._close_interval_if_due()
        first, last = self.progress.iteration, self.schedule.train_iterations
        if first >= last:
            return
        started = time.perf_counter()
        with Prefetcher(self.sampler, first, last) as episodes:
            for episode in episodes:
                scalars = self.model.step(episode)
                seconds = time.perf_counter() - started
                self._advance(scalars, seconds)
                self.observer.iteration(self.progress.iteration, scalars, seconds)
                self._close_interval_if_due()
                started = time.perf_counter()

    def _advance(self, scalars, seconds):
        iteration = self.progress.iteration + 1
        skipped = self._skips.note(iteration, scalars)  # then nothing was applied, and losses may be what they like
        if not skipped and not all(math.isfinite(value) for value in scalars.values()):
            raise TrainingDiverged(
                "iteration {}: {} is not finite. The checkpoint of the last interval is good; lower outer_lr or "
                "inner_lr, or look at the images with --print_interval=1.".format(
                    iteration, ", ".join("{}={}".format(name, value) for name, value in scalars.items()
                                         if not math.isfinite(value))))
        self.progress = self.progress._replace(
            iteration=iteration, pending=self.progress.pending + [dict(scalars, seconds=seconds)])
        if iteration == self.schedule.train_iterations and skipped:
            self._refuse_if_nothing_was_applied()

    def _refuse_if_nothing_was_applied(self):
        skipped = (sum(record.get("skipped") or 0 for record in self.progress.history)
                   + sum(int(entry["skipped"]) for entry in self.progress.pending))
        if skipped == self.progress.iteration:
            raise TrainingDiverged("all {} iterations were skipped, because gradients overflowed: nothing was trained. "
                                   "{}".format(skipped, IF_SKIPPED))

    def _close_interval_if_due(self):
        progress, schedule = self.progress, self.schedule
        due = progress.iteration % schedule.test_print_interval == 0 or progress.iteration == schedule.train_iterations
        if progress.iteration == 0 or not due or progress.evaluated():
            return
        record = self._record()
        self.progress = progress._replace(history=progress.history + [record], pending=[])
        self.observer.interval(self.progress)

    def _record(self):
        """What is known at the end of an interval, as plain JSON values; see ``records`` for the files made of it."""
        pending = self.progress.pending
        applied = [entry for entry in pending if not entry.get("skipped")]
        seconds = float(np.mean([entry["seconds"] for entry in pending])) if pending else None
        images = self.model.settings.source_domains * self.model.settings.meta_batch_size
        record = {"iteration": self.progress.iteration}
        for name in LOSSES:
            record[name] = float(np.mean([entry[name] for entry in applied])) if applied else None
        if pending and "loss_scale" in pending[-1]:
            record["loss_scale"] = pending[-1]["loss_scale"]
            record["skipped"] = int(sum(entry["skipped"] for entry in pending))
        record["seconds_per_iteration"] = seconds
        record["images_per_second"] = images / seconds if seconds else None

        started = time.perf_counter()
        target = self._evaluate(self.target)
        validation = [(part.domain, self._evaluate(part)) for part in self.validation]
        record["evaluation_seconds"] = time.perf_counter() - started
        record["target_domain"] = self.target.domain
        record["target_loss"] = target.loss
        record["target_accuracy"] = target.accuracy
        record["target_per_class"] = {
            name: None if math.isnan(value) else float(value) for name, value in zip(self.classes, target.per_class())}
        record["target_confusion"] = target.confusion.tolist()
        record["validation"] = {
            domain: {"loss": result.loss, "accuracy": result.accuracy} for domain, result in validation}
        record["validation_accuracy"] = float(np.mean([result.accuracy for _, result in validation]))
        return record

    def _evaluate(self, part):
        return self.model.evaluate(part.images, part.labels, part.rows, self.observer.evaluation(part.domain))
