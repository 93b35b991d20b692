"""The training loop: iterations, and at the end of each interval an evaluation and a record.

The loop knows nothing of storage. It tells an ``Observer`` what happened; the job makes checkpoints, logs and progress
bars of that. Whatever an observer raises ends the loop with ``Trainer.progress`` still describing a state that a
checkpoint may hold, because progress only moves once an iteration or an evaluation is complete.
"""
from __future__ import annotations

import math
import time
from typing import Any, Callable, Dict, NamedTuple, Optional, Sequence

import numpy as np

from masf_core.data.episodes import EpisodeSampler
from masf_core.data.prefetch import Prefetcher
from masf_core.errors import TrainingDiverged
from masf_core.evaluation import Evaluation, OnLosses
from masf_core.method.outcome import IF_SKIPPED, LOSSES, Outcomes
from masf_core.model import Model
from masf_core.records.checkpoints import Progress


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

    def iteration(self, iteration: int, scalars: Dict[str, float], seconds: float) -> None:
        """An iteration is complete: its number from 1, losses, and wall time including the wait for its batch."""

    def evaluation(self, domain: str) -> Optional[Callable[[int, int], None]]:
        """The ``on_progress`` callable for evaluating ``domain``, or None."""

    def target_losses(self) -> Optional[OnLosses]:
        """Called before each evaluation of the target; what it returns gets the loss of each image, if not None."""

    def interval(self, progress: Progress) -> None:
        """An interval is complete; its record is ``progress.history[-1]``."""


class Trainer:
    """Runs a model through its schedule from wherever ``progress`` says it is.

    Args:
        model: its variables hold the state of ``progress.iteration``.
        target: the whole target domain. validation: one set for each source domain.
        classes: class names in label order.
    """

    def __init__(self, model: Model, sampler: EpisodeSampler, target: EvaluationSet,
                 validation: Sequence[EvaluationSet], classes: Sequence[str], schedule: Schedule, progress: Progress,
                 observer: Observer) -> None:
        self.model = model
        self.sampler = sampler
        self.target = target
        self.validation = validation
        self.classes = classes
        self.schedule = schedule
        self.progress = progress
        self.observer = observer
        self._outcomes = Outcomes("The checkpoint of the last interval is good.")

    def run(self) -> None:
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

    def _advance(self, scalars: Dict[str, float], seconds: float) -> None:
        iteration = self.progress.iteration + 1
        skipped = self._outcomes.skipped(iteration, scalars)
        self.progress = self.progress._replace(
            iteration=iteration, pending=self.progress.pending + [dict(scalars, seconds=seconds)])
        if iteration == self.schedule.train_iterations and skipped:
            self._refuse_if_nothing_was_applied()

    def _refuse_if_nothing_was_applied(self) -> None:
        skipped = (sum(record.get("skipped") or 0 for record in self.progress.history)
                   + _skipped(self.progress.pending))
        if skipped == self.progress.iteration:
            raise TrainingDiverged(f"all {skipped} iterations were skipped, because gradients overflowed: nothing "
                                   f"was trained. {IF_SKIPPED}")

    def _close_interval_if_due(self) -> None:
        progress, schedule = self.progress, self.schedule
        due = progress.iteration % schedule.test_print_interval == 0 or progress.iteration == schedule.train_iterations
        if progress.iteration == 0 or not due or progress.evaluated():
            return
        record = self._record()
        self.progress = progress._replace(history=progress.history + [record], pending=[])
        self.observer.interval(self.progress)

    def _record(self) -> Dict[str, Any]:
        """What is known at the end of an interval, as plain JSON values; see ``records`` for the files made of it."""
        pending = self.progress.pending
        applied = [entry for entry in pending if not entry.get("skipped")]
        seconds = float(np.mean([entry["seconds"] for entry in pending])) if pending else None
        images = self.model.settings.source_domains * self.model.settings.meta_batch_size
        record = {"iteration": self.progress.iteration}
        for name in LOSSES:
            record[name] = float(np.mean([entry[name] for entry in applied])) if applied else None
        scales = [entry["loss_scale"] for entry in pending if "loss_scale" in entry]
        if scales:  # not of every iteration, if the run resumed inside this interval in another precision
            record["loss_scale"] = scales[-1]
            record["skipped"] = _skipped(pending)
        record["seconds_per_iteration"] = seconds
        record["images_per_second"] = images / seconds if seconds else None

        started = time.perf_counter()
        target = self._evaluate(self.target, self.observer.target_losses())
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

    def _evaluate(self, part: EvaluationSet, on_losses: Optional[OnLosses] = None) -> Evaluation:
        return self.model.evaluate(part.images, part.labels, part.rows, self.observer.evaluation(part.domain),
                                   on_losses)


def _skipped(pending: Sequence[Dict[str, float]]) -> int:
    """How many of these iterations were skipped; without loss scaling none is."""
    return sum(int(entry.get("skipped", 0)) for entry in pending)
