"""Stop a job, and say what it has saved.

The job gets SIGTERM and has about 15 s to publish a last checkpoint. Whether it did is seen in its run's folder:
run.json says how the attempt ended, and the newest marker names the checkpoint from which the next attempt resumes.
"""

from __future__ import annotations

import logging
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from job.exits import DONE, MODELARTS, STORAGE
from job.modelarts.follow import PAUSE, UNAVAILABLE
from job.modelarts.service import Job, JobService
from job.modelarts.submitted_run import OpenAt, RunReader, SubmittedRun
from job.printable import printable
from job.publication.late_writes import newest_checkpoint
from job.publication.run_record import read_published
from obs_sync import AccessDenied, StoreError

log = logging.getLogger(__name__)

TIMEOUT = 180.0  # seconds
RUNNING = "running"
SAVED = {True: "saved after this request", False: "saved before this request",
         None: "and it is not known whether it was saved before or after this request"}


class Look(NamedTuple):
    """What a run's folder tells.

    state: of run.json. left_undone: what the last attempt could not publish, "". checkpoint: name of the newest
    checkpoint, whose iteration is ``iteration``; None if there is none.
    """

    state: str
    left_undone: str
    checkpoint: Optional[str]
    iteration: int


class Outcome(NamedTuple):
    """How stopping went.

    job: as it is now. run: None if it is not known. look: None if there is no run yet. saved: the newest checkpoint was
    published after the request; None where nobody can tell, because the run could not be read before it. problem: what
    is not as it should be, "" if nothing. code: exit code.
    """

    job: Job
    run: Optional[SubmittedRun]
    look: Optional[Look]
    saved: Optional[bool]
    problem: str
    code: int


def stop_job(service: JobService, job: Job, open_at: OpenAt, timeout: float = TIMEOUT, pause: float = PAUSE,
             sleep: Callable[[float], None] = time.sleep, clock: Callable[[], float] = time.monotonic) -> Outcome:
    """Stop a job, and wait until it has ended and its run says how.

    Args:
        open_at: opens the store of the run. timeout: seconds for all of it. pause: seconds between two looks. sleep:
            waits so many seconds. clock: monotonic seconds.

    Raises:
        ModelArtsError: the job cannot be stopped.
    """
    run = RunReader(open_at).run_of(job)
    before, unreadable_before = _look(open_at, run)
    deadline = clock() + timeout
    if not job.is_final:
        job = service.stop(job.id)
        log.info("asked ModelArts to stop %s; waiting for its end", printable(job.name))
    while not job.is_final:
        if clock() >= deadline:
            return Outcome(job, run, before, False, f"the job has not ended within {timeout:.0f} s. ModelArts goes on "
                                                    "stopping it", MODELARTS)
        sleep(pause)
        try:
            job = service.get(job.id)
        except UNAVAILABLE as error:
            log.warning("ModelArts does not answer, retrying: %s", error)
    look, unreadable = _look(open_at, run)
    while clock() < deadline and (_may_become_readable(unreadable) or (look is not None and look.state == RUNNING)):
        sleep(pause)
        look, unreadable = _look(open_at, run)
    newest, older = look and look.checkpoint, before and before.checkpoint
    saved: Optional[bool] = newest is not None and newest != older
    if saved and unreadable_before:
        saved = None
    problem = _problem(look, unreadable)
    return Outcome(job, run, look, saved, problem, STORAGE if problem else DONE)


def _look(open_at: OpenAt, run: Optional[SubmittedRun]) -> Tuple[Optional[Look], Optional[StoreError]]:
    """(what the folder of a run tells, or None; why it cannot be read, or None)."""
    if run is None:
        return None, None
    try:
        with open_at(run.url) as store:
            content = read_published(store)
            if content is None:
                return None, None
            newest = newest_checkpoint(store, content)
    except StoreError as error:
        return None, error
    attempt: Dict[str, Any] = content["attempts"][-1] if content["attempts"] else {}
    return Look(content["state"], str(attempt.get("left_undone") or ""), newest and newest.marker.name,
                newest.progress.iteration if newest else 0), None


def _may_become_readable(error: Optional[StoreError]) -> bool:
    """Whether a run that could not be read may be readable later. A key that lacks the right does not get it."""
    return error is not None and not isinstance(error, AccessDenied)


def _problem(look: Optional[Look], unreadable: Optional[StoreError]) -> str:
    if unreadable:
        return f"what the job saved is not known: {unreadable}"
    if look is not None and look.state == RUNNING:
        return "the job ended without a record in run.json, so it was probably killed before it could save a checkpoint"
    return look.left_undone if look is not None else ""


def outcome_lines(outcome: Outcome) -> List[str]:
    """What people read."""
    job, run, look = outcome.job, outcome.run, outcome.look
    lines = [f"{printable(job.name)}: {printable(job.phase)}"]
    if run is None:
        return lines + ["the job does not say which run it trains, so it is not known what it saved"]
    if look is None:
        return lines + ([] if outcome.problem else ["the run had not begun, so there was nothing to save"])
    if look.checkpoint is None:
        lines.append("no checkpoint was saved")
    else:
        lines.append(f"newest checkpoint: {printable(look.checkpoint)}, iteration {look.iteration}, "
                     f"{SAVED[outcome.saved]}")
    told = f"run {printable(run.name)} at {printable(run.url)}"
    if not job.is_final:
        return lines + [f"{told} is still stopping"]
    return lines + [f"{told}: {printable(look.state)}"
                    + ("" if look.state == "done" else ". The same submission resumes it")]


def outcome_document(outcome: Outcome) -> Dict[str, Any]:
    """The same for programs."""
    job, look = outcome.job, outcome.look
    checkpoint = None
    if look is not None and look.checkpoint is not None:
        checkpoint = {"name": look.checkpoint, "iteration": look.iteration, "new": outcome.saved}
    return {"id": job.id, "name": job.name, "phase": job.phase, "run": outcome.run and outcome.run._asdict(),
            "state": look and look.state, "checkpoint": checkpoint, "problem": outcome.problem or None}
