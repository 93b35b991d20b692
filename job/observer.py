"""What the job does while masf_core trains: log lines, scalars, progress bars, checkpoints for the publisher."""
from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Sequence

from job.best_interval import BestInterval
from job.config.settings import Config, Interval
from job.console import Console, duration
from job.publication.publisher import Publisher
from job.publication.retention import is_kept_iteration
from job.publication.run_record import RunRecord
from job.publication.snapshots import Snapshot
from job.start_times import StartTimes, sentence
from job.workspace import Workspace
from masf_core.errors import TrainingDiverged
from masf_core.records import logs, selection
from masf_core.records.checkpoints import Progress
from masf_core.records.finite import not_finite
from masf_core.trainer import Observer
from masf_core.words import plural

if TYPE_CHECKING:
    from masf_core.evaluation import OnLosses
    from masf_core.model import Model  # brings TensorFlow

log = logging.getLogger(__name__)


class JobObserver(Observer):
    """Reacts to iterations and intervals: writes the log files, and hands checkpoints to the publisher."""

    def __init__(self, config: Config, console: Console, workspace: Workspace, model: Model, record: RunRecord,
                 publisher: Publisher, scalars: logs.ScalarWriter, times: StartTimes) -> None:
        self._config = config
        self._console = console
        self._workspace = workspace
        self._model = model
        self._record = record
        self._publisher = publisher
        self._scalars = scalars
        self._times = times
        self._total = config.training.train_iterations
        self._bar = None
        self.best_interval = BestInterval()

    def iteration(self, iteration: int, scalars: Dict[str, float], seconds: float) -> None:
        start_seconds = self._times.end("first_iteration")
        if start_seconds is not None:
            log.info("%s", sentence(start_seconds))
            self._record.update_attempt(start_seconds=start_seconds)
        if self._bar is None:
            self._bar = self._console.task("train", "iterations", log_lines=False, start=iteration - 1)
            self._bar(iteration - 1, self._total)
        interval = self._config.interval
        if iteration % interval.print_interval == 0:
            for line in iteration_lines(iteration, scalars):
                log.info("%s", line)
        if iteration % interval.summary_interval == 0:
            self._scalars.write(iteration, {"train/" + name: value for name, value in scalars.items()})
        if interval.histogram_interval and iteration % interval.histogram_interval == 0:
            self._scalars.write_histograms(iteration, self._model.weights())
        self._bar(iteration, self._total)  # last, because it may raise the request to stop

    def evaluation(self, domain: str) -> Callable[[int, int], None]:
        return self._console.task("evaluate " + domain, "images", log_lines=False)

    def target_losses(self) -> OnLosses:
        return self.best_interval.evaluation()

    def interval(self, progress: Progress) -> None:
        record = progress.history[-1]
        policy = self._config.interval.selection
        record["score"] = selection.score(policy, record)
        record["upload"] = self._publisher.state()
        snapshot = self.snapshot(progress)  # first: weights that are not finite end training here
        self.write_files(progress.history)
        self._scalars.write_interval(record)
        if selection.best(policy, progress.history) is record:
            self.best_interval.keep(record["iteration"], snapshot)
        self._publisher.submit(snapshot)
        for line in interval_lines(record, progress.history, self._total, self._config.interval):
            log.info("%s", line)
        failure = record["upload"]["last_failure"]
        if failure:
            log.warning("the last upload failed (%s). Training continues, and the upload is retried",
                        failure.rstrip("."))

    def snapshot(self, progress: Progress) -> Snapshot:
        """A ``Snapshot`` of the model, which is at ``progress``.

        Raises:
            TrainingDiverged: a variable is not finite, which the losses need not show.
        """
        arrays = self._model.snapshot()
        strange = not_finite(arrays)
        if strange:
            more = f" and {len(strange) - 3} more variables" if len(strange) > 3 else ""
            raise TrainingDiverged(
                f"iteration {progress.iteration}: NaN or infinite values in {', '.join(strange[:3])}{more}. No "
                "checkpoint of this iteration is published; the earlier ones stay. Lower outer_lr or inner_lr")
        return self._described(arrays, progress, progress.history)

    def leftover(self, name: str, progress: Progress, history: List[Dict[str, Any]]) -> Snapshot:
        """A ``Snapshot`` of the spool's checkpoint ``name`` that an earlier attempt could not deliver.

        It gets a name of this attempt: the old one may have been begun in the store. history: of the whole run so far,
        which decides whether it is the best one.
        """
        snapshot = self._described(None, progress, history)
        os.rename(os.path.join(self._workspace.spool, name), os.path.join(self._workspace.spool, snapshot.name))
        return snapshot

    def _described(self, arrays: Optional[Dict[str, Any]], progress: Progress,
                   history: List[Dict[str, Any]]) -> Snapshot:
        best = selection.best(self._config.interval.selection, history)
        is_best = progress.evaluated() and best["iteration"] == progress.iteration
        latest = progress.history[-1] if progress.history else {}
        return Snapshot(
            name=self._record.checkpoint_name(progress.iteration), attempt=1, arrays=arrays,
            progress=progress, best=is_best,
            kept=progress.evaluated() and is_kept_iteration(self._config.interval.keep_every, progress.iteration),
            metadata={"iteration": progress.iteration, "lineage": self._record.lineage,
                      "attempt": self._record.attempt["id"], "selection": self._config.interval.selection,
                      "score": latest.get("score"), "target_accuracy": latest.get("target_accuracy"),
                      "validation_accuracy": latest.get("validation_accuracy"), **self._record.written})

    def write_files(self, history: List[Dict[str, Any]]) -> None:
        """eva.txt, metrics.jsonl and run.json as they stand."""
        logs.write_eva(self._workspace.log("eva.txt"), history)
        logs.write_metrics(self._workspace.log("metrics.jsonl"), history)
        self._record.update(iteration=history[-1]["iteration"] if history else 0,
                            best=self._best(history), upload=self._publisher.state())
        self._record.write(self._workspace.log("run.json"))

    def _best(self, history: List[Dict[str, Any]]) -> Optional[Dict[str, Any]]:
        best = selection.best(self._config.interval.selection, history)
        return best and {key: best[key] for key in ("iteration", "target_accuracy", "validation_accuracy")}


# Each line fits a terminal of 80 columns behind its time.

def iteration_lines(iteration: int, scalars: Dict[str, float]) -> List[str]:
    """Lines about an iteration. scalars: as the trainer hands them over."""
    lines = [f"iteration {iteration}: loss {scalars['source_loss']:.4f} ({scalars['source_accuracy']:.1f} %), "
             f"global {scalars['global_loss']:.5f}, metric {scalars['metric_loss']:.5f}"]
    if scalars.get("skipped"):
        lines.append(f"  skipped: gradients overflowed (loss scale {scalars['loss_scale']:g})")
    return lines


def interval_lines(record: Dict[str, Any], history: Sequence[Dict[str, Any]], total: int,
                   interval: Interval) -> List[str]:
    """Lines about an interval.

    Args:
        record: its record in metrics.jsonl. history: all records so far. total: iterations of the run. interval: the
            settings of that group.
    """
    best = selection.best(interval.selection, history)
    left = total - record["iteration"]
    per_iteration = record["seconds_per_iteration"] or 0.0
    seconds_left = left * per_iteration + -(-left // interval.test_print_interval) * record["evaluation_seconds"]
    lines = [
        f"interval {record['iteration']}/{total}: {record['target_domain']} "
        f"{_number(record['target_accuracy']):.2f} %, validation {_number(record['validation_accuracy']):.2f} %",
        f"  source loss {_number(record['source_loss']):.4f} ({_number(record['source_accuracy']):.1f} %), "
        f"global {_number(record['global_loss']):.5f}, metric {_number(record['metric_loss']):.5f}",
        f"  best at {best['iteration']} ({interval.selection}); {per_iteration:.3f} s/iteration; "
        f"{duration(seconds_left)} left"]
    if record.get("skipped"):
        lines.append(f"  {plural(record['skipped'], 'iteration')} skipped (loss scale {record['loss_scale']:g})")
    return lines


def _number(value: Optional[float]) -> float:
    return float("nan") if value is None else value
