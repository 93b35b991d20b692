"""Start the runs of a study that are left, as many at a time as the runner takes, and wait for them.

    look at every run in the store
    until no run is left:
        take note of the attempts that have ended; what failed for an outside reason is left again
        start runs in free places, unless another machine writes to them
        report progress

Nothing is remembered but what the store says. So this may be killed at any time and started again, also on several
machines at once: the lease of a run keeps a second process from running it, and a look at the lease keeps a machine
from trying.
"""
from __future__ import annotations

import logging
import time
from typing import Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence

from job.console import Console
from job.exits import CONFIGURATION, DATA, DIVERGED, STORAGE
from job.sweep.plan import PlannedRun
from job.sweep.runner import Ended, NotNow, Runner
from job.sweep.state import DAMAGED, DONE, FAILED, RUNNING, RunState
from masf_core.words import plural
from obs_sync import StoreUnavailable

log = logging.getLogger(__name__)

ATTEMPTS = 3  # of a run that fails for outside reasons
ALIKE = 3  # runs that fail in the same way, with no run done, after which no more are started
POLL = 1.0  # seconds between two looks at the runner
LOOK = 10.0  # seconds between two looks at the store for the progress of the runs that run here
TELL = 60.0  # seconds between two warnings about the storage, and until a place that takes no run is asked again
ELSEWHERE = 10.0  # seconds until a run that another process writes to is looked at again

Look = Callable[[PlannedRun], RunState]


class Outcome(NamedTuple):
    """What became of a run. state: as in the store. code: exit code; 0 if it is done, None if it was not started."""

    run: PlannedRun
    state: RunState
    code: Optional[int]


class Driver:
    """The loop.

    Args:
        runs: of the study. states: name → state of each, as the store says it now. runner: where they run.
        look: asks the store for the state of one run. again: start runs again whose training failed earlier.
        clock: monotonic seconds. sleep: waits so many seconds.
    """

    def __init__(self, runs: Sequence[PlannedRun], states: Mapping[str, RunState], runner: Runner, look: Look,
                 console: Console, again: bool = False, clock: Callable[[], float] = time.monotonic,
                 sleep: Callable[[float], None] = time.sleep) -> None:
        self._runs, self._runner, self._look, self._console = list(runs), runner, look, console
        self._clock, self._sleep = clock, sleep
        self._states: Dict[str, RunState] = dict(states)
        self._attempts: Dict[str, int] = {}
        self._not_before: Dict[str, float] = {}  # seconds of the clock
        self._codes: Dict[str, int] = {}  # name → exit code of a run that is settled
        self._ended: List[Ended] = []  # attempts that have ended while the store could not be asked
        self._hopeless = False
        self._no_start_before = self._looked = clock()
        self._tell_again = self._looked
        for run in self._runs:
            state = self._states[run.name]
            if state.state == DONE:
                self._codes[run.name] = 0
            elif state.state == FAILED and state.exit_code == DIVERGED and not again:
                log.warning("%s failed earlier (%s), and the same settings fail again: it is not started. "
                            "--retry-failed starts it", run.name, state.told or "training diverged")
                self._codes[run.name] = DIVERGED
        done = self._iterations()
        self._task = console.task("sweep", "iterations", start=done)

    def run(self) -> List[Outcome]:
        """Drive until every run is done or has failed, or until it is clear that all of them fail in the same way.

        Raises:
            Stopped: it was asked to stop; the runner has stopped its runs. StoreError: the store refuses.
        """
        try:
            adopted = {run.name for run in self._runner.adopt(self._left())}
            self._attempts.update(dict.fromkeys(adopted, 1))
            if adopted:
                log.info("%s under way already", plural(len(adopted), "run"))
            while True:
                self._settle()
                self._start()
                if len(self._codes) == len(self._runs) or (self._hopeless and not self._runner.running()):
                    break
                self._progress()
                self._console.check_stop()
                self._sleep(POLL)
            self._task.close()
            return [Outcome(run, self._states[run.name], self._codes.get(run.name)) for run in self._runs]
        finally:
            self._runner.close()

    def _left(self) -> List[PlannedRun]:
        """The runs that are neither settled nor running here."""
        here = {run.name for run in self._runner.running()} | {ended.run.name for ended in self._ended}
        return [run for run in self._runs if run.name not in self._codes and run.name not in here]

    def _settle(self) -> None:
        """Take note of the attempts that have ended. The store says whether a run is done, and not its exit code."""
        self._ended += self._runner.poll()
        waiting, self._ended = self._ended, []
        for ended in waiting:
            state = self._fresh(ended.run)
            if state is None:
                self._ended.append(ended)  # until the store can be asked
            elif state.state == DONE:
                self._settled(ended.run, 0)
            elif state.state == RUNNING and ended.code == CONFIGURATION:  # the lease of another process is alive
                self._postpone(ended.run, state)
            elif (ended.again or ended.code == 0) and self._attempts[ended.run.name] < ATTEMPTS:
                log.warning("%s ended with %s. It is started again: attempt %d of %d", ended.run.name, ended.reason(),
                            self._attempts[ended.run.name] + 1, ATTEMPTS)
            else:
                self._failed(ended, state)

    def _failed(self, ended: Ended, state: RunState) -> None:
        """Settle a run whose attempt failed for good. state: as the store says it."""
        log.error("%s failed with %s", ended.run.name, ended.reason())
        code = ended.code if ended.code else 1
        self._states[ended.run.name] = state if state.state == FAILED else state._replace(
            state=FAILED, told=state.told or ended.told, exit_code=ended.code)
        self._settled(ended.run, code)
        alike = list(self._codes.values()).count(code)
        if code in (CONFIGURATION, DATA) and alike >= ALIKE and not self._done() and not self._hopeless:
            self._hopeless = True
            log.error("the first %d runs failed in the same way, and no run is done: no more are started. Correct the "
                      "settings or the data, and start the same command again", alike)

    def _settled(self, run: PlannedRun, code: int) -> None:
        """Note that nothing more is to be done for a run. code: exit code, 0 if it is done."""
        self._codes[run.name] = code
        state = self._states[run.name]
        if code == 0:
            best = state.best or {}
            told = f": {best['target_accuracy']:.2f} % on {run.target} (validation " \
                   f"{best['validation_accuracy']:.2f} %)" if best else ""
            log.info("%s is done%s; %d of %d runs", run.name, told, self._done(), len(self._runs))

    def _start(self) -> None:
        """Start what can be started now."""
        if self._hopeless or self._clock() < self._no_start_before:
            return
        for run in self._left():
            if self._runner.free() < 1:
                return
            if self._not_before.get(run.name, 0.0) > self._clock():
                continue
            state = self._fresh(run)
            if state is None:
                return
            if state.state == DONE:  # on another machine
                self._settled(run, 0)
            elif state.state == RUNNING:
                self._postpone(run, state)
            elif state.state == DAMAGED:
                self._failed(Ended(run, STORAGE, told=state.told), state)
            else:
                log.info("%s starts%s", run.name, f" from iteration {state.iteration}" if state.iteration else "")
                try:
                    self._runner.start(run)
                except NotNow as reason:
                    log.warning("%s cannot start now: %s. The next attempt is in %.0f s", run.name, reason, TELL)
                    self._no_start_before = self._clock() + TELL
                    return
                self._attempts[run.name] = self._attempts.get(run.name, 0) + 1

    def _postpone(self, run: PlannedRun, state: RunState) -> None:
        if run.name not in self._not_before:
            log.info("%s is run by %s; it is looked at again later", run.name, state.owner or "another process")
        self._not_before[run.name] = self._clock() + ELSEWHERE

    def _fresh(self, run: PlannedRun) -> Optional[RunState]:
        """The state as the store says it now; None while the store is unavailable, which is told once a minute."""
        try:
            self._states[run.name] = self._look(run)
            return self._states[run.name]
        except StoreUnavailable as error:
            if self._clock() >= self._tell_again:
                log.warning("%s. The sweep waits", error)
                self._tell_again = self._clock() + TELL
            return None

    def _progress(self) -> None:
        if self._clock() - self._looked >= LOOK:
            for run in self._runner.running():
                self._fresh(run)
            self._looked = self._clock()
        total = sum(run.config.training.train_iterations for run in self._runs if not self._codes.get(run.name))
        self._task(self._iterations(), max(1, total))

    def _iterations(self) -> int:
        """Iterations that are completed, of the runs that have not failed."""
        return sum(run.config.training.train_iterations if self._codes.get(run.name) == 0
                   else min(self._states[run.name].iteration, run.config.training.train_iterations)
                   for run in self._runs if not self._codes.get(run.name))

    def _done(self) -> int:
        return sum(code == 0 for code in self._codes.values())
