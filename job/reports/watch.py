"""Follow a run by what it publishes: its state, its attempts and its intervals, each told once.

Only the store is asked, so nobody needs rights in ModelArts to follow a run. A look makes three small requests: about
run.json, metrics.jsonl and the lease. A file is read again only if it has changed.
"""
from __future__ import annotations

import logging
import time
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

from job.console import duration
from job.exits import DONE, STOPPED, UNEXPECTED, meaning_of
from job.printable import printable
from job.publication import history, run_record
from job.publication.late_writes import newest_records
from job.publication.patience import is_lasting
from job.reports.events import Event
from job.reports.show import accuracy_line, accuracy_title, best_line
from obs_sync import ObjectNotFound, Store, StoreUnavailable
from obs_sync.lease.claims import PREFIX, is_claim

log = logging.getLogger(__name__)

PAUSE = 5.0  # seconds between two looks
LONGEST_PAUSE = 60.0  # seconds between two looks while a server does not answer
PATIENCE = 1800.0  # seconds without a sign of life of a running run, after which nobody waits any longer
SILENCE = 2.0  # a run is silent if it has not renewed its lease for so many times `lease_seconds`
LEASE_SECONDS = 60.0  # where run.json does not say it
RUNNING = "running"
CODES = {"done": DONE, "stopped": STOPPED}  # exit codes of runs whose records name none


class RunWatch:
    """What is new in a run since the last look.

    Args:
        store: of the run. clock: monotonic seconds.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._versions: Dict[str, Any] = {}  # key → the version that the last look saw
        self._life = clock()
        self._run: Optional[Dict[str, Any]] = None
        self._attempts = 0  # that were told
        self._iteration = 0  # of the last interval that was told
        self.exit_code: Optional[int] = None  # of the run, once its end has been told

    @property
    def begun(self) -> bool:
        """Whether a look has found a run."""
        return self._run is not None

    @property
    def silent(self) -> float:
        """Seconds since a look saw a change of the run, which renews its lease."""
        return self._clock() - self._life

    @property
    def longest_silence(self) -> float:
        """Seconds of silence after which the run was probably killed."""
        config = self._run["config"] if self._run else {}
        seconds = config.get("platform", {}).get("lease_seconds")
        known = isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and seconds > 0
        return SILENCE * (float(seconds) if known else LEASE_SECONDS)

    def forgive(self) -> None:
        """Count the silence from now on, because the store could not be looked at."""
        self._life = self._clock()

    def look(self) -> List[Event]:
        """Everything that is new; nothing where there is no run yet.

        Raises:
            StoreError: the store cannot be read. The next look tells what this one did not.
        """
        seen = {name: self._version(name) for name in (run_record.NAME, history.NAME)}
        seen[PREFIX] = sorted((info.key, info.etag, info.modified) for info in self._store.list(PREFIX)
                              if is_claim(info.key))
        run = self._run
        if run is None or seen[run_record.NAME] != self._versions.get(run_record.NAME):
            run = run_record.read_published(self._store)
        if run is None:
            return []
        ended = run["state"] != RUNNING
        records: List[Dict[str, Any]] = []
        if ended or seen[history.NAME] != self._versions.get(history.NAME):
            records = history.read_history(self._store)
        if ended:  # only now: the records of a running run are often older than its newest checkpoint
            run, records = newest_records(self._store, run, records)
            ended = run["state"] != RUNNING
        if seen != self._versions:
            self._life = self._clock()
        self._versions = seen
        return self._news(run, records, ended)

    def _version(self, name: str) -> Any:
        try:
            info = self._store.head(name)
        except ObjectNotFound:
            return None
        return info.etag, info.modified, info.size

    def _news(self, run: Dict[str, Any], records: Sequence[Mapping[str, Any]], ended: bool) -> List[Event]:
        """The events that make up the difference. Nothing fails from here on."""
        before, self._run = self._run, run
        events = [] if before is not None else [run_event(self._store.url, run)]
        if before is not None and before["lineage"] != run["lineage"]:
            self._iteration = 0  # a fresh start: its iterations are told, although they have the same numbers
        attempts = run["attempts"]
        events += [attempt_event(number, attempts[number - 1]) for number in range(self._attempts + 1,
                                                                                   len(attempts) + 1)]
        self._attempts = max(self._attempts, len(attempts))
        new = [record for record in records if record["iteration"] > self._iteration]
        for record in new:
            title = [] if self._iteration else [accuracy_title(record)]
            left = None if ended or record is not new[-1] else seconds_left(record, iterations_of(run))
            events.append(interval_event(record, title, left))
            self._iteration = record["iteration"]
        if ended:
            events.append(end_event(run))
            self.exit_code = events[-1].data["exit_code"]
        return events


def follow_run(store: Store, tell: Callable[[Sequence[Event]], None], patience: float = PATIENCE, pause: float = PAUSE,
               sleep: Callable[[float], None] = time.sleep, clock: Callable[[], float] = time.monotonic) -> int:
    """Tell what happens in the run in ``store`` until it has ended, and return its exit code.

    A run that does not exist yet is waited for. Once the store has answered, it may be unavailable for any time.

    Args:
        tell: called with the events of each look. patience: seconds without a sign of life of a running run, after
            which the result is ``UNEXPECTED``. pause: seconds between two looks. sleep: waits so many seconds. clock:
            monotonic seconds.

    Raises:
        StoreError: the store does not answer the first look, or it refuses one.
    """
    watch = RunWatch(store, clock)
    answered, failures, warned = False, 0, False
    while True:
        try:
            events = watch.look()
        except StoreUnavailable as error:
            if not answered or is_lasting(error):
                raise
            failures += 1
            if failures == 1:
                log.warning("the storage does not answer, retrying until it does: %s", error)
            sleep(pause_after(failures, pause))
            continue
        if failures:
            log.info("the storage answers again")
            failures = 0
            watch.forgive()
        tell(events)
        if watch.exit_code is not None:
            return watch.exit_code
        if not answered and not watch.begun:
            log.info("there is no run at %s yet (no run.json); waiting for it", store.url)
        answered = True
        if watch.begun and watch.silent > patience:
            log.error("the run has shown no sign of life for %s, so it was probably killed. Start the same command "
                      "again: it resumes", duration(watch.silent))
            return UNEXPECTED
        silent = watch.begun and watch.silent > watch.longest_silence
        if silent and not warned:
            log.warning("the run has not renewed its lease for %s. It may have been killed. Waiting up to %s for a "
                        "sign of life", duration(watch.silent), duration(patience))
        warned = silent
        sleep(pause)


def pause_after(failures: int, pause: float) -> float:
    """Seconds until the next look after so many failures in a row. pause: seconds between two looks without one."""
    return min(LONGEST_PAUSE, pause * 2.0 ** min(failures, 10))


def run_event(url: str, run: Mapping[str, Any]) -> Event:
    """The first event: what is followed."""
    data = {"url": url, "run_name": run.get("run_name"), "state": run["state"], "iteration": run.get("iteration", 0),
            "iterations": iterations_of(run)}
    return Event("run", data, [f"{printable(url)}  {printable(run['state'])}"])


def attempt_event(number: int, attempt: Mapping[str, Any]) -> Event:
    """An attempt has begun. number: from 1."""
    outcome = attempt.get("outcome")
    data = {"number": number, "started": attempt["started"], "outcome": outcome}
    return Event("attempt", data, [f"attempt {number} started {printable(attempt['started'])}"
                                   + (f": {printable(outcome)}" if outcome else "")])


def interval_event(record: Mapping[str, Any], title: List[str], left: Optional[float]) -> Event:
    """An interval was completed. title: lines above it. left: seconds until the end of the training, if known."""
    line = accuracy_line(record) + ("" if left is None else f"  {duration(left)} left")
    return Event("interval", {"record": dict(record), "seconds_left": left}, title + [line])


def end_event(run: Mapping[str, Any]) -> Event:
    """The run has ended."""
    attempt: Mapping[str, Any] = run["attempts"][-1] if run["attempts"] else {}
    state, reason = run["state"], attempt.get("reason")
    code = attempt.get("exit_code")
    if not isinstance(code, int) or not 0 <= code < 256 or (code == DONE) != (state == "done"):
        code = CODES.get(state, UNEXPECTED)
    reason = reason if isinstance(reason, str) else None
    iteration = max(run.get("iteration", 0), attempt.get("to_iteration", 0))  # of an evaluation; of the last checkpoint
    line = f"{printable(state)} at iteration {iteration}"
    if code != DONE:
        line += f", exit code {code} ({meaning_of(code)})"
        line += f": {printable(reason)}" if reason else ""
    data = {"state": state, "exit_code": code, "reason": reason, "iteration": iteration, "best": run.get("best")}
    return Event("end", data, best_line(run) + [line])


def iterations_of(run: Mapping[str, Any]) -> Optional[int]:
    """The iterations that the run is to have, from its configuration."""
    total = run["config"].get("training", {}).get("train_iterations")
    return total if isinstance(total, int) and not isinstance(total, bool) else None


def seconds_left(record: Mapping[str, Any], total: Optional[int]) -> Optional[float]:
    """Seconds that the iterations after ``record`` will take, without the evaluations; None if that is not known."""
    if total is None or not record["seconds_per_iteration"] or total <= record["iteration"]:
        return None
    return (total - record["iteration"]) * record["seconds_per_iteration"]
