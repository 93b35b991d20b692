"""The story of a run.

    open the run      where its results go, what was there before, may it go on
    pull              data and weights to the local cache
    prepare           index and check the data, decode each image once
    restore           the newest published checkpoint, if there is one; fetched meanwhile
    train             interval by interval; checkpoints and logs are published in the background
    finish            report, drain the uploads, mark the run done
"""
from __future__ import annotations

import contextlib
import logging
import os
import platform
import time
from typing import NamedTuple

from job import config_load
from job.environment import read_environment
from job.errors import ConfigError
from job.exits import STOPPED, exit_code
from job.inputs import fetch_inputs
from job.observer import JobObserver
from job.preparation import build_model, make_trainer, note_data, prepare_data, restore_or_begin
from job.rank_group import ALONE, WAIT_FOR_INPUTS
from job.publication import NotDelivered, Publisher
from job.report import write_report
from job.restore import Restoring, candidates, clear_spool, refuse_changed
from job.run_record import RunRecord, read_published
from job.start_times import StartTimes
from job.stopping import GRACE, Stopped
from job.time_limit import within
from job.workspace import prepare_workspace, sole_user
from masf_core import records
from masf_core.tf1 import IMPORT_SECONDS, VERSION
from obs_sync import Lease, LeaseLost, StoreError, open_store, this_process

log = logging.getLogger(__name__)

# Seconds that a stopped run needs after its last upload: to write run.json, close the session and leave.
TIME_TO_EXIT = 3.0
LAST_WRITE = 60.0  # seconds that the last run.json may take


class Run(NamedTuple):
    """An opened run: what every later step needs."""

    config: object
    workspace: object
    console: object
    store: object
    record: RunRecord
    times: StartTimes
    group: object  # ``rank_group.Alone`` or ``Group``, whose rank 0 this is


def run_job(config, work_dir, run_name, console, environ=None, group=ALONE):
    """Do the whole job.

    Args:
        config: ``Config``, resolved. work_dir: local working directory. run_name: name below train_url.
        console: ``Console``; its tasks raise ``Stopped`` once the platform has asked to stop.
        environ: environment variables (credentials, endpoint). group: the processes of the job, of which this is
            rank 0; the others do ``rank_follower.follow`` meanwhile.

    Raises:
        ConfigError, DataError, WeightsError, StoreError, TrainingDiverged, Stopped: see ``exits`` for their codes.
    """
    environ = os.environ if environ is None else environ
    times = StartTimes()
    times.mark("imports", tensorflow=IMPORT_SECONDS)
    workspace = prepare_workspace(work_dir, run_name, config.platform.logdir)
    url = run_url(config, workspace, run_name)
    with sole_user(workspace, run_name), open_store(url, environ, backend=config.platform.storage) as unguarded, \
            lease_on(unguarded, config, console, environ) as lease:
        store = lease.guarded()
        previous = read_published(store)
        done = finished(previous, config)
        group.gather(done, "the opening of the run")
        if done:
            log.info("run %s is done: %d iterations. Nothing is left to do (more with --train_iterations=…, afresh "
                     "with --resume=never).", run_name, previous["iteration"])
            return
        run = open_run(config, workspace, console, store, previous, run_name, times, group)
        times.mark("opening")
        with recorded(run), Restoring(store, workspace, run.record.lineage) as restoring:
            inputs = fetch_inputs(config, workspace, console, environ)
            times.mark("inputs")
            index, images = prepare_data(run, inputs)
            note_data(run, index)
            group.gather(None, "the end of pulling and decoding", WAIT_FOR_INPUTS)
            group.check_same_data(index.fingerprint)
            with build_model(run, index, group) as model:
                start = restore_or_begin(run, model, inputs, index, restoring)
                group.gather(start.progress[:3], "the start of training", WAIT_FOR_INPUTS)
                model.share()
                train(run, model, index, images, start)
        log.info("done: %s", store.url)


def run_url(config, workspace, run_name):
    """Where the run's results go; below the working directory when there is no train_url."""
    parent = config.platform.train_url or os.path.join(workspace.root, "output")
    return parent.rstrip("/") + "/" + run_name


def lease_on(store, config, console, environ):
    """The right to write under the run's name, which no other job has meanwhile."""
    def sleep(seconds):
        time.sleep(seconds)
        console.check_stop()

    return Lease(store, this_process(read_environment(environ).job_name), config.platform.lease_seconds,
                 elsewhere="another --run_name", sleep=sleep)


def finished(previous, config):
    """Has an earlier attempt done everything that this one is asked for?"""
    return (previous is not None and config.platform.resume != "never" and previous.get("state") == "done"
            and previous.get("iteration", 0) >= config.training.train_iterations
            and not config_load.differences(config_load.from_dict(previous["config"]), config))


def open_run(config, workspace, console, store, previous, run_name, times, group=ALONE):
    """Decide whether to go on or to begin, and say so in run.json before anything expensive starts.

    Raises:
        ConfigError: the run exists with another configuration, or was to be resumed and does not exist.
        StoreError: the store cannot be written.
    """
    # A run without a checkpoint has nothing that another configuration could spoil.
    resumable = previous is not None and bool(candidates(store, workspace, previous["lineage"]))
    fresh = not resumable or config.platform.resume == "never"
    if not resumable and config.platform.resume == "always":
        raise ConfigError("resume=always, but there is no checkpoint at {}".format(store.url))
    if not fresh:
        refuse_changed("run " + run_name,
                       config_load.differences(config_load.from_dict(previous["config"]), config))
    elif resumable:
        log.info("run %s existed; it begins afresh, its earlier checkpoints stay in the store", run_name)
    record = RunRecord(run_name, config_load.to_dict(config), previous, fresh)
    if not fresh:
        record.update(data=previous.get("data"))
    record.update(versions={"tensorflow": VERSION, "python": platform.python_version()})
    run = Run(config, workspace, console, store, record, times, group)
    publish_record(run)
    return run


def publish_record(run):
    """Write run.json, locally and in the store."""
    run.record.write(run.workspace.log("run.json"))
    within(LAST_WRITE, "the upload of run.json",
           lambda: run.store.write("run.json", run.record.text().encode("utf-8")))


@contextlib.contextmanager
def recorded(run):
    """Whatever ends the run, run.json says so; a failure to say so does not hide what went wrong."""
    def say(state, code, **fields):
        run.record.end(state, code, **fields)
        with contextlib.suppress(StoreError):
            publish_record(run)

    if run.console.stop is not None:
        # Said by the watchdog if the running iteration outlasts the platform's patience.
        run.console.stop.last_words = lambda: say(
            "stopped", STOPPED, left_undone="everything since the last published checkpoint")
    run.group.on_loss(lambda error: say("failed", error.code, reason=str(error)))
    try:
        yield
    except BaseException as error:
        say("stopped" if isinstance(error, Stopped) else "failed", exit_code(error),
            reason=str(error) or type(error).__name__)
        raise


def train(run, model, index, images, start):
    """Train from ``start`` to the end of the schedule, publishing on the way, and finish the run."""
    config, workspace, group = run.config, run.workspace, run.group
    publisher = Publisher(run.store, workspace.spool, workspace.logs, config.interval.keep_checkpoints, run.record.text)
    scalars = records.ScalarWriter(workspace.logs)
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
