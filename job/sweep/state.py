"""What the store says of a run: its run.json, and the lease of whoever writes to it. There is no other state."""
from __future__ import annotations

import concurrent.futures
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence

from job.errors import ConfigError
from job.publication.run_record import read_published
from job.run import finished
from job.sweep.plan import PlannedRun
from obs_sync import IntegrityError, Store
from obs_sync.lease.claims import PREFIX, is_claim, over, read_claim
from obs_sync.lease.owner import Owner

READERS = 8  # runs that are looked at at the same time

WAITING = "waiting"  # nothing of it is in the store
DONE = "done"
SUBMITTED = "submitted"  # nothing of it is in the store, and a job of ModelArts will train it
RUNNING = "running"  # a process holds its lease
KILLED = "interrupted"  # its run.json says that it runs, and nobody holds its lease
STOPPED = "stopped"
FAILED = "failed"
DAMAGED = "damaged"  # its run.json cannot be read

OpenAt = Callable[[str], Store]


class RunState(NamedTuple):
    """How far a run is.

    state: one of the above. iteration: completed and published. told: words about it, "" if there are none. exit_code:
    of its last attempt, None if not known. owner: who holds its lease; None with ``RUNNING`` where that is not known.
    best: ``best`` of its run.json.
    """

    state: str
    iteration: int = 0
    told: str = ""
    exit_code: Optional[int] = None
    owner: Optional[Owner] = None
    best: Optional[Mapping[str, Any]] = None


def look_at_all(runs: Sequence[PlannedRun], open_at: OpenAt) -> Dict[str, RunState]:
    """Name of each run → its state; several are looked at at the same time."""
    with concurrent.futures.ThreadPoolExecutor(READERS) as pool:
        return dict(zip([run.name for run in runs], pool.map(lambda run: look_at(run, open_at), runs)))


def look_at(run: PlannedRun, open_at: OpenAt) -> RunState:
    """The state of a run. Raises StoreError if the store cannot be read."""
    with open_at(run.url) as store:
        try:
            record = read_published(store)
        except IntegrityError as error:
            return RunState(DAMAGED, told=str(error))
        held, owner = holder(store, run.config.platform.lease_seconds)
    return state_of(run, record, held, owner)


def state_of(run: PlannedRun, record: Optional[Dict[str, Any]], held: bool, owner: Optional[Owner]) -> RunState:
    """The state of a run. record: its run.json, None without one. held: a process writes to it, ``owner`` if known."""
    if record is None:
        return RunState(RUNNING if held else WAITING, owner=owner)
    iteration = iteration_of(record)
    last = record["attempts"][-1] if record["attempts"] else {}
    code, best = last.get("exit_code"), record.get("best")
    code = code if isinstance(code, int) else None
    if held:
        return RunState(RUNNING, iteration, owner=owner, best=best)
    try:
        if finished(record, run.config):
            return RunState(DONE, iteration, exit_code=code, best=best)
    except ConfigError as error:
        return RunState(DAMAGED, iteration, str(error))
    if record["state"] == "done":
        return RunState(WAITING, iteration, "it continues, because train_iterations is larger now", best=best)
    reason = last.get("reason")
    told = reason.splitlines()[0] if isinstance(reason, str) and reason else ""
    state = {"failed": FAILED, "stopped": STOPPED, "running": KILLED}.get(record["state"], STOPPED)
    return RunState(state, iteration, told, code, best=best)


def iteration_of(record: Mapping[str, Any]) -> int:
    """How many iterations of a run are completed, by its run.json.

    Its own number is that of the last interval. An attempt that was stopped inside an interval has published a
    checkpoint of a later iteration, and an attempt that resumes has no interval until its first one ends.
    """
    told = [attempt.get("to_iteration", attempt.get("from_iteration")) for attempt in record["attempts"]]
    return max(record.get("iteration", 0), next((each for each in reversed(told) if each is not None), 0))


def holder(store: Store, seconds: float) -> tuple:
    """(whether a live process holds the lease of the run in ``store``, its ``Owner`` or None).

    One look decides, by the store's own times, so that two machines with different clocks agree. A process which is
    taken for alive by mistake is found to be dead by the next look.

    Args:
        seconds: of silence after which a claim is dead.
    """
    infos = {info.key: info for info in store.list(PREFIX)}
    claims = [key for key in sorted(infos) if is_claim(key) and over(key) not in infos]
    now = store.server_time() if claims else 0.0
    for key in claims:
        claim = read_claim(store, infos[key])
        if claim is None or now - (infos[key].modified or now) > seconds:
            continue
        if claim.owner is None or not claim.owner.has_ended():
            return True, claim.owner
    return False, None


def counts(states: Sequence[RunState]) -> List[str]:
    """``5 done``, ``2 running`` …: how many runs are in each state, in the order of a run's life."""
    order = (DONE, RUNNING, SUBMITTED, WAITING, KILLED, STOPPED, FAILED, DAMAGED)
    found = [state.state for state in states]
    return [f"{found.count(each)} {each}" for each in order if each in found]
