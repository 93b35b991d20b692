"""The steps of a run after TensorFlow is loaded: pull, prepare, restore, train, finish. ``run`` has the others."""
from __future__ import annotations

import logging
import platform
from typing import Dict, Mapping, Optional

import numpy as np

from job.card_paths import ascend_settings, place_of
from job.compilation import compile_early
from job.final_report import final_report, has_report
from job.inputs.early_weights import EarlyWeights
from job.inputs.fetch import fetch_inputs_patiently
from job.observer import JobObserver
from job.opened_run import Run
from job.preparation import (
    InitialWeights, Start, device_of, make_trainer, note_data, open_model, prepare_data, restore_or_begin,
)
from job.publication.delivery import NotDelivered
from job.publication.leftovers import warn_of_leftovers
from job.publication.patience import Patience
from job.publication.publisher import Publisher
from job.publication.restore import Restoring, clear_spool
from job.publication.retention import kept_told
from job.publication.run_record import NAME, publish_record
from job.ranks.group import WAIT_FOR_INPUTS
from job.stopping import GRACE, Stopped
from masf_core.data.index import DatasetIndex
from masf_core.devices.device import Device
from masf_core.errors import TrainingDiverged
from masf_core.model import Model
from masf_core.records import logs
from masf_core.records.checkpoints import Progress
from masf_core.tf1 import IMPORT_SECONDS, VERSION
from obs_sync import LeaseLost

log = logging.getLogger(__name__)

# Seconds that a stopped run needs after its last upload: to write run.json, close the session and leave.
TIME_TO_EXIT = 3.0


def prepare_and_train(run: Run, environ: Mapping[str, str], early: Optional[EarlyWeights] = None) -> None:
    """The whole run, from its inputs to its end.

    Args:
        environ: environment variables. early: the weights, where they were read before TensorFlow was loaded.

    Raises:
        As ``run.run_job``.
    """
    config, group = run.config, run.group
    run.times.mark("imports", tensorflow=IMPORT_SECONDS)
    run.record.update(versions={"tensorflow": VERSION, "python": platform.python_version(), "numpy": np.__version__})
    place = place_of(run.workspace, group)
    # First: what is wrong with the device need not wait for the data.
    here = device_of(config, ascend_settings(config.ascend, place))
    run.record.update_attempt(device=here.describe())
    group.check_device(here.name)
    with Restoring(run.store, run.workspace, run.record.lineage, run.console.check_stop) as restoring:
        inputs = fetch_inputs_patiently(config, run.workspace, run.console, environ,
                                        None if early is None else early.located)
        run.times.mark("inputs")
        weights = InitialWeights(config, inputs.weights, (inputs.origin or {}).get("classes"), early)
        resumes = run.resumes()
        index, images = prepare_data(run, inputs, None if resumes else weights.read)
        note_data(run, index)
        group.gather(None, "the end of pulling and decoding", WAIT_FOR_INPUTS)
        group.check_same_data(index.fingerprint)
        with open_model(run, here, place, index, group, environ, resumes) as model:
            start = restore_or_begin(run, model, inputs, index, restoring, weights)
            group.gather(start.progress[:3], "the start of training", WAIT_FOR_INPUTS)
            model.share()
            train(run, model, here, index, images, start)


def train(run: Run, model: Model, here: Device, index: DatasetIndex, images: Dict[str, np.ndarray],
          start: Start) -> None:
    """Train from ``start`` to the end of the schedule, publishing on the way, and finish the run."""
    config, workspace, group = run.config, run.workspace, run.group
    publisher = Publisher(run.store, workspace.spool, workspace.logs, config.interval.keep_checkpoints, run.record.text)
    if config.interval.keep_every:
        size = sum(4 * int(np.prod(shape)) for shape in model.shapes().values())
        log.info("%s", kept_told(config.interval.keep_every, config.training.train_iterations, size))
    scalars = logs.ScalarWriter(workspace.logs)
    observer = JobObserver(config, run.console, workspace, model, run.record, publisher, scalars, run.times)
    trainer = make_trainer(run, model, index, images, start.progress, observer)
    try:
        for name, progress in start.undelivered:
            publisher.submit(observer.leftover(name, progress, start.progress.history))
        try:
            compile_early(run, model, here, group, start.progress.iteration)
            if here.compiles:
                run.times.mark("compilation")
            trainer.run()
        except Stopped:
            group.disband()
            leave(run, trainer.progress, observer, publisher, start)
            raise
        except TrainingDiverged:
            group.disband()
            deliver_last_good(publisher)
            raise
        group.disband()
        if trainer.progress.iteration > start.progress.iteration or not has_report(run.store):
            final_report(run, model, here, index, images, trainer.progress, observer.best_interval).write(
                workspace.logs)
        finish(run, trainer.progress, observer, publisher)
        warn_of_leftovers(run.store, publisher.failed_uploads())
    except NotDelivered:
        warn_of_leftovers(run.store, publisher.failed_uploads())
        raise
    finally:
        scalars.close()
        publisher.close()


def deliver_last_good(publisher: Publisher) -> None:
    """After training has diverged, deliver the checkpoints that still wait for their upload. All of them are good."""
    try:
        publisher.drain()
    except (NotDelivered, LeaseLost) as error:
        log.warning("%s", error)


def leave(run: Run, progress: Progress, observer: JobObserver, publisher: Publisher, start: Start) -> None:
    """After a request to stop, publish the current state as far as the time allows."""
    run.console.stop_noted()
    run.record.update_attempt(to_iteration=progress.iteration)
    observer.write_files(progress.history)
    try:
        advanced = progress.iteration > start.progress.iteration
        snapshot = observer.snapshot(progress) if advanced else None
    except TrainingDiverged as error:
        log.warning("%s", error)
        snapshot = None
    try:
        publisher.drain_within(run.console.stop.seconds_left(GRACE) - TIME_TO_EXIT, snapshot)
        log.info("stopped at iteration %d; everything is published", progress.iteration)
    except (NotDelivered, LeaseLost) as error:
        run.record.update_attempt(left_undone=str(error))
        log.warning("stopped at iteration %d: %s", progress.iteration, error)


def finish(run: Run, progress: Progress, observer: JobObserver, publisher: Publisher) -> None:
    """Drain, mark done.

    Raises:
        NotDelivered, StoreUnavailable: the store did not take everything within ``drain_seconds``.
    """
    patience = Patience(run.config.platform.drain_seconds, run.console.check_stop)
    run.record.update_attempt(to_iteration=progress.iteration)
    observer.write_files(progress.history)
    publisher.publish_logs()
    publisher.drain(run.config.platform.drain_seconds, on_progress=run.console.task("publish", "B"))
    run.record.end("done", 0)
    run.record.update(upload=publisher.state())
    patience.call("the last upload of run.json", lambda: publish_record(
        run.record, run.workspace.log(NAME), run.store))
    clear_spool(run.workspace)
