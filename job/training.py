"""What a run does once TensorFlow is there: pull, prepare, restore, train, finish. ``run`` tells how it begins."""
from __future__ import annotations

import logging
import platform

from job.inputs.fetch import fetch_inputs
from job.observer import JobObserver
from job.preparation import (
    InitialWeights, build_model, device_of, make_trainer, note_data, prepare_data, restore_or_begin,
)
from job.publication.publisher import NotDelivered, Publisher
from job.publication.restore import Restoring, clear_spool
from job.publication.run_record import publish_record
from job.ranks.group import WAIT_FOR_INPUTS
from job.reports.report import write_report
from job.stopping import GRACE, Stopped
from masf_core.records import logs
from masf_core.tf1 import IMPORT_SECONDS, VERSION
from obs_sync import LeaseLost

log = logging.getLogger(__name__)

# Seconds that a stopped run needs after its last upload: to write run.json, close the session and leave.
TIME_TO_EXIT = 3.0


def prepare_and_train(run, environ, early=None):
    """The whole run, from its inputs to its end.

    Args:
        run: ``run.Run``, opened. environ: environment variables. early: ``EarlyWeights``, read before TensorFlow was
            loaded, or None.

    Raises:
        As ``run.run_job``.
    """
    config, group = run.config, run.group
    run.times.mark("imports", tensorflow=IMPORT_SECONDS)
    run.record.update(versions={"tensorflow": VERSION, "python": platform.python_version()})
    here = device_of(config)  # first: what is wrong with it need not wait for the data
    group.check_device(here.name)
    with Restoring(run.store, run.workspace, run.record.lineage) as restoring:
        inputs = fetch_inputs(config, run.workspace, run.console, environ,
                              located=None if early is None else early.located)
        run.times.mark("inputs")
        weights = InitialWeights(config, inputs.weights, (inputs.origin or {}).get("classes"), early)
        index, images = prepare_data(run, inputs, None if run.resumes() else weights.read)
        note_data(run, index)
        group.gather(None, "the end of pulling and decoding", WAIT_FOR_INPUTS)
        group.check_same_data(index.fingerprint)
        with build_model(run, here, index, group) as model:
            start = restore_or_begin(run, model, inputs, index, restoring, weights)
            group.gather(start.progress[:3], "the start of training", WAIT_FOR_INPUTS)
            model.share()
            train(run, model, index, images, start)


def train(run, model, index, images, start):
    """Train from ``start`` to the end of the schedule, publishing on the way, and finish the run."""
    config, workspace, group = run.config, run.workspace, run.group
    publisher = Publisher(run.store, workspace.spool, workspace.logs, config.interval.keep_checkpoints, run.record.text)
    scalars = logs.ScalarWriter(workspace.logs)
    observer = JobObserver(config, run.console, workspace, model, run.record, publisher, scalars, run.times)
    trainer = make_trainer(run, model, index, images, start.progress, observer)
    try:
        for name, progress in start.undelivered:
            publisher.submit(observer.leftover(name, progress, start.progress.history))
        group.hold_stop()
        try:
            trainer.run()
        except Stopped:
            group.disband()
            leave(run, trainer.progress, observer, publisher, start)
            raise
        group.disband()
        finish(run, trainer.progress, index, observer, publisher)
    finally:
        scalars.close()
        publisher.close()


def leave(run, progress, observer, publisher, start):
    """The platform wants the machine back: publish the present state as far as the time allows."""
    run.console.stop_noted()
    run.record.update_attempt(to_iteration=progress.iteration)
    observer.write_files(progress.history)
    try:
        advanced = progress.iteration > start.progress.iteration
        snapshot = observer.snapshot(progress) if advanced else None
        publisher.drain_within(run.console.stop.seconds_left(GRACE) - TIME_TO_EXIT, snapshot)
        log.info("stopped at iteration %d; everything is published", progress.iteration)
    except (NotDelivered, LeaseLost) as error:
        run.record.update_attempt(left_undone=str(error))
        log.warning("stopped at iteration %d: %s", progress.iteration, error)


def finish(run, progress, index, observer, publisher):
    """Report, drain, mark done.

    Raises:
        NotDelivered: the store did not take everything, or not within ``drain_seconds``.
    """
    run.record.update_attempt(to_iteration=progress.iteration)
    write_report(run.workspace.log("report.html"), run.record.content, progress.history, index.classes)
    observer.write_files(progress.history)
    publisher.publish_logs()
    publisher.drain(run.config.platform.drain_seconds, on_progress=run.console.task("publish", "B"))
    run.record.end("done", 0)
    run.record.update(upload=publisher.state())
    publish_record(run)
    clear_spool(run.workspace)
