"""The story of a run.

    open the run      where its results go, what was there before, may it go on
    look              are the inputs there, and do the weights fit the network
    pull              data and weights to the local cache
    prepare           index and check the data, decode each image once
    restore           the newest published checkpoint, if there is one; fetched meanwhile
    train             interval by interval; checkpoints and logs are published in the background
    finish            report, drain the uploads, mark the run done

From pulling on, the story is in ``training``, which needs TensorFlow. TensorFlow takes seconds to load; what is wrong
with the run, its inputs or its weights has been told by then.
"""
from __future__ import annotations

import contextlib
import logging
import os
import time
from typing import NamedTuple

from job.config import loading
from job.environment import read_environment
from job.errors import ConfigError
from job.exits import STOPPED, exit_code
from job.publication.restore import candidates, refuse_changed
from job.publication.run_record import RunRecord, publish_record, read_published
from job.ranks.group import ALONE
from job.start_times import StartTimes
from job.stopping import Stopped
from job.workspace import prepare_workspace, sole_user
from obs_sync import Lease, StoreError, open_store, this_process

log = logging.getLogger(__name__)


class Run(NamedTuple):
    """An opened run: what every later step needs."""

    config: object
    workspace: object
    console: object
    store: object
    record: RunRecord
    times: StartTimes
    group: object  # ``rank_group.Alone`` or ``Group``, whose rank 0 this is

    def resumes(self):
        """Whether the run resumes: it needs no weights then, unless its checkpoints turn out to be damaged."""
        return self.record.content.get("data") is not None


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
    times.mark("imports")
    workspace = prepare_workspace(work_dir, run_name, config.platform.logdir)
    url = run_url(config, workspace, run_name)
    with sole_user(workspace, run_name), open_store(url, environ, backend=config.platform.storage) as unguarded, \
            lease_on(unguarded, config, console, environ) as lease:
        store = lease.guarded()
        previous = read_published(store)
        done = finished(previous, config)
        group.gather(done, "the opening of the run")
        if done:
            from job.preflight.unchanged import refuse_changed_data

            refuse_changed_data(config, environ, store, previous.get("data") or {}, workspace.root)
            log.info("run %s is done: %d iterations. Nothing is left to do (more with --train_iterations=…, afresh "
                     "with --resume=never).", run_name, previous["iteration"])
            return
        run = open_run(config, workspace, console, store, previous, run_name, times, group)
        times.mark("opening")
        with recorded(run):
            from job.inputs.check import check_inputs
            from job.inputs.early_weights import read_early

            check_inputs(config, environ)
            times.mark("inputs")
            early = None if run.resumes() else read_early(config, workspace, console, environ)
            times.mark("weights")
            from job.training import prepare_and_train  # brings TensorFlow

            prepare_and_train(run, environ, early)
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
            and not loading.differences(loading.from_dict(previous["config"]), config))


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
        raise ConfigError(f"resume=always, but there is no checkpoint at {store.url}")
    if not fresh:
        refuse_changed("run " + run_name,
                       loading.differences(loading.from_dict(previous["config"]), config))
    elif resumable:
        log.info("run %s existed; it begins afresh, its earlier checkpoints stay in the store", run_name)
    record = RunRecord(run_name, loading.to_dict(config), previous, fresh)
    if not fresh:
        record.update(data=previous.get("data"))
        if previous.get("initial_weights") is not None:
            record.update(initial_weights=previous["initial_weights"])
    run = Run(config, workspace, console, store, record, times, group)
    publish_record(run)
    return run


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
