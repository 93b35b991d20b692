"""The steps of a run.

    open the run      find where its results go, what exists already, and whether it may continue
    check the inputs  whether they exist, and whether the weights fit the network
    pull              data and weights to the local cache
    prepare           index and check the data, decode each image once
    restore           the newest published checkpoint, if there is one; it is fetched during the steps before
    train             interval by interval; checkpoints and logs are published in the background
    finish            report, drain the uploads, mark the run done

The first two steps are here, the others in ``training``, which needs TensorFlow. TensorFlow takes seconds to load, so
mistakes in the run, its inputs or its weights are reported before.
"""
from __future__ import annotations

import contextlib
import logging
import os
import time
from typing import Any, Dict, Iterator, Mapping, Optional

from job.cann_logs import upload_cann_logs
from job.config import loading
from job.config.settings import Config
from job.console import Console
from job.environment import read_environment
from job.errors import ConfigError, PeerFailed
from job.exits import STOPPED, UNEXPECTED, exit_code
from job.opened_run import Run
from job.publication.late_writes import newest_record, restore_records
from job.publication.patience import OPENING_SECONDS, Patience
from job.publication.restore import candidates, refuse_changed
from job.publication.run_record import NAME, RunRecord, publish_record, read_published
from job.ranks.group import ALONE, Alone
from job.start_times import StartTimes
from job.stopping import Stopped
from job.workspace import Workspace, prepare_workspace, sole_user
from obs_sync import AccessDenied, Lease, Store, StoreError, StoreUnavailable, open_store, this_process

log = logging.getLogger(__name__)

LAST_RECORD_SECONDS = 60.0  # that a run which failed waits for the storage, to store in run.json why


def run_job(config: Config, work_dir: str, run_name: str, console: Console,
            environ: Optional[Mapping[str, str]] = None, group: Alone = ALONE) -> None:
    """Do the whole job.

    Args:
        config: resolved. work_dir: local working directory. run_name: name below train_url.
        console: its tasks raise ``Stopped`` once the platform has asked to stop.
        environ: environment variables (credentials, endpoint). group: the processes of the job, of which this is
            rank 0; the others do ``follower.follow`` meanwhile.

    Raises:
        ConfigError, DataError, WeightsError, StoreError, TrainingDiverged, Stopped: see ``exits`` for their codes.
    """
    environ = os.environ if environ is None else environ
    times = StartTimes()
    times.mark("imports")
    workspace = prepare_workspace(work_dir, run_name, config.platform.logdir)
    url = run_url(config, workspace, run_name)
    warn_of_lost_results(config, url, environ)
    patience = Patience(OPENING_SECONDS, console.check_stop)
    with sole_user(workspace, run_name), open_store(url, environ, backend=config.platform.storage) as unguarded, \
            contextlib.ExitStack() as leaving:
        lease = patience.call("taking the lease", lambda: leaving.enter_context(
            lease_on(unguarded, config, console, environ)))
        store = lease.guarded()
        previous = patience.call("reading the run", lambda: newest_record(store, read_published(store)))
        done = finished(previous, config)
        group.gather(done, "the opening of the run")
        if done:
            from job.preflight.unchanged import refuse_changed_data

            refuse_changed_data(config, environ, store, previous.get("data") or {}, workspace.root)
            patience.call("comparing the records of the run", lambda: restore_records(store, previous))
            log.info("run %s is done: %d iterations. Nothing is left to do. A larger --train_iterations continues the "
                     "run; --resume=never starts it again from iteration 0.", run_name, previous["iteration"])
            return
        run = open_run(config, workspace, console, store, previous, run_name, times, group, patience)
        times.mark("opening")
        with recorded(run, environ):
            from job.inputs.check import check_inputs
            from job.inputs.early_weights import read_early

            patience.call("looking at the inputs", lambda: check_inputs(config, environ))
            times.mark("inputs")
            early = None if run.resumes() else patience.call(
                "reading the weights", lambda: read_early(config, workspace, console, environ))
            times.mark("weights")
            from job.training import prepare_and_train  # brings TensorFlow

            prepare_and_train(run, environ, early)
        log.info("done: %s", store.url)


def run_url(config: Config, workspace: Workspace, run_name: str) -> str:
    """Where the run's results go; below the working directory when there is no train_url."""
    parent = config.platform.train_url or os.path.join(workspace.root, "output")
    return parent.rstrip("/") + "/" + run_name


def warn_of_lost_results(config: Config, url: str, environ: Mapping[str, str]) -> None:
    """Warn where a job of ModelArts has no train_url: the machine's disk, and the results on it, go with the job."""
    if config.platform.train_url is None and read_environment(environ).on_modelarts:
        log.warning("train_url is not set, so the results are written to %s and are lost when ModelArts ends the job. "
                    "Set --train_url=obs://bucket/output/ to keep them", url)


def lease_on(store: Store, config: Config, console: Console, environ: Mapping[str, str]) -> Lease:
    """The right to write under the run's name; only one job has it at a time."""
    def sleep(seconds: float) -> None:
        time.sleep(seconds)
        console.check_stop()

    return Lease(store, this_process(read_environment(environ).job_name), config.platform.lease_seconds,
                 elsewhere="another --run_name", sleep=sleep)


def finished(previous: Optional[Dict[str, Any]], config: Config) -> bool:
    """Whether an earlier attempt has done everything that this one is asked for."""
    return (previous is not None and config.platform.resume != "never" and previous.get("state") == "done"
            and previous.get("iteration", 0) >= config.training.train_iterations
            and not loading.differences(loading.from_dict(previous["config"]), config))


def open_run(config: Config, workspace: Workspace, console: Console, store: Store, previous: Optional[Dict[str, Any]],
             run_name: str, times: StartTimes, group: Alone, patience: Patience) -> Run:
    """Decide whether to resume or to start from iteration 0, and record that in run.json before expensive work.

    Raises:
        ConfigError: the run exists with another configuration, or resume=always and it does not exist.
        StoreError: the store cannot be written.
    """
    # A run without a checkpoint has nothing that another configuration could spoil.
    resumable = previous is not None and bool(patience.call(
        "listing the checkpoints", lambda: candidates(store, workspace, previous["lineage"])))
    fresh = not resumable or config.platform.resume == "never"
    if not resumable and config.platform.resume == "always":
        raise ConfigError(f"resume=always, but there is no checkpoint at {store.url}. Check train_url and run_name, or "
                          "use --resume=auto")
    if not fresh:
        refuse_changed("run " + run_name,
                       loading.differences(loading.from_dict(previous["config"]), config))
    elif resumable:
        log.info("run %s exists already and starts again from iteration 0. Its earlier checkpoints stay in the store",
                 run_name)
    record = RunRecord(run_name, loading.to_dict(config), previous, fresh)
    if not fresh:
        record.update(data=previous.get("data"))
        if previous.get("initial_weights") is not None:
            record.update(initial_weights=previous["initial_weights"])
    run = Run(config, workspace, console, store, record, times, group)
    patience.call("the upload of run.json", lambda: publish_record(record, workspace.log(NAME), store))
    return run


@contextlib.contextmanager
def recorded(run: Run, environ: Mapping[str, str]) -> Iterator[None]:
    """Record in run.json whatever ends the run. If that fails, the reason for the end is still the one that is raised.

    A run that failed waits for a storage that is unavailable: up to ``LAST_RECORD_SECONDS``, or up to ``drain_seconds``
    if those are fewer. It tries only once if it was stopped, if another process failed, or if permission is missing.
    Where CANN may hold the reason, its logs are stored as well.
    """
    patient = min(LAST_RECORD_SECONDS, run.config.platform.drain_seconds)

    def say(state: str, code: int, seconds: float = 0.0, **fields: str) -> None:
        run.record.end(state, code, **fields)
        try:
            Patience(seconds, run.console.check_stop).call(
                "the upload of run.json", lambda: publish_record(run.record, run.workspace.log(NAME), run.store))
        except StoreUnavailable as error:
            log.warning("run.json in the store does not tell how this attempt ended: %s", error)
        except (StoreError, Stopped):  # the error that is raised tells more
            pass

    if run.console.stop is not None:
        # The watchdog calls it if the current iteration takes longer than the platform waits.
        run.console.stop.last_words = lambda: say(
            "stopped", STOPPED, left_undone="everything since the last published checkpoint")

    def lost(error: PeerFailed) -> None:
        say("failed", error.code, reason=str(error))
        upload_cann_logs(run.store, environ)

    run.group.on_loss(lost)
    try:
        yield
    except BaseException as error:
        waits = isinstance(error, Exception) and not isinstance(error, (AccessDenied, PeerFailed))
        say("stopped" if isinstance(error, Stopped) else "failed", exit_code(error),
            patient if waits else 0.0, reason=str(error) or type(error).__name__)
        if isinstance(error, PeerFailed) or exit_code(error) == UNEXPECTED:
            upload_cann_logs(run.store, environ)
        raise
