"""The loop that starts the runs of a study, with a runner and a store in memory."""
from __future__ import annotations

import io
import logging

import pytest

from job.console import Console
from job.sweep.drive import ELSEWHERE, Driver
from job.sweep.runner import Ended, Runner
from job.sweep.state import DAMAGED, DONE, FAILED, KILLED, RUNNING, WAITING, RunState
from obs_sync import StoreUnavailable
from tests.job.sweep.studies import planned

STEPS = 3  # of a run, each of 10 iterations


class Killed(BaseException):
    """Ends a driver as SIGKILL does: nothing of it is done afterwards."""


class Stored:
    """The store: name → iteration, outcome, and who holds the lease. Two processes at one run are an error."""

    def __init__(self):
        self.iterations, self.failed, self.holders, self.done = {}, {}, {}, []

    def look(self, run):
        name = run.name
        if name in self.holders:
            return RunState(RUNNING, self.iterations.get(name, 0), owner=self.holders[name])
        if self.iterations.get(name) == 10 * STEPS:
            return RunState(DONE, 10 * STEPS)
        if name in self.failed:
            return RunState(FAILED, self.iterations.get(name, 0), "as told", self.failed[name])
        return RunState(KILLED, self.iterations[name]) if name in self.iterations else RunState(WAITING)

    def states(self, runs):
        return {run.name: self.look(run) for run in runs}


class FakeRunner(Runner):
    """Every call of ``poll`` is one step of each run.

    fates: name → what its attempts end with instead of 0, one an attempt. started: names, one for each attempt.
    """

    def __init__(self, store, places=2, fates=None, owner="here"):
        self.store, self.places, self.fates, self.owner = store, places, fates or {}, owner
        self.now, self.started, self.most, self.closed = {}, [], 0, False

    def adopt(self, runs):
        return []

    def free(self):
        return self.places - len(self.now)

    def start(self, run):
        assert run.name not in self.store.holders, "two processes at one run"
        self.store.holders[run.name] = self.owner
        self.now[run.name] = run
        self.started.append(run.name)
        self.most = max(self.most, len(self.now))

    def running(self):
        return list(self.now.values())

    def poll(self):
        ended = []
        for name, run in list(self.now.items()):
            fates = self.fates.get(name)
            if fates:
                ended.append(self._end(run, *fates.pop(0)))
                continue
            self.store.iterations[name] = self.store.iterations.get(name, 0) + 10
            if self.store.iterations[name] == 10 * STEPS:
                self.store.done.append(name)
                ended.append(self._end(run, 0, False))
        return ended

    def _end(self, run, code, again):
        del self.now[run.name], self.store.holders[run.name]
        if code:
            self.store.failed[run.name] = code
        return Ended(run, code, again, "its last line" if code else "")

    def close(self):
        self.closed = True
        self.die()

    def die(self):
        """The processes end, as they do when the sweep is killed."""
        for name in self.now:
            del self.store.holders[name]
        self.now = {}


class Clock:
    """Time that passes while the driver sleeps, until it is killed."""

    def __init__(self, kill_after=None):
        self.now, self.left = 0.0, kill_after

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Killed


@pytest.fixture
def runs(tmp_path):
    """Eight runs: two variants, two targets, two seeds."""
    return planned(tmp_path)[0]


def drive(runs, store, runner, clock=None, look=None, **options):
    """Drive to the end; name → outcome."""
    clock = clock or Clock()
    driver = Driver(runs, store.states(runs), runner, look or store.look, Console(stream=io.StringIO()), clock=clock,
                    sleep=clock.sleep, **options)
    return {outcome.run.name: outcome for outcome in driver.run()}


def test_every_run_is_run_once_and_so_many_at_a_time(runs):
    store = Stored()
    runner = FakeRunner(store, places=3)
    outcomes = drive(runs, store, runner)
    assert sorted(runner.started) == sorted(run.name for run in runs)
    assert runner.most == 3 and runner.closed
    assert {outcome.code for outcome in outcomes.values()} == {0}


def test_a_sweep_that_is_killed_at_any_moment_and_started_again_ends_as_an_undisturbed_one(runs):
    undisturbed = Stored()
    drive(runs, undisturbed, FakeRunner(undisturbed))
    for moment in range(12):
        store = Stored()
        for kill_after in (moment, moment // 2, 1):
            runner = FakeRunner(store)
            try:
                drive(runs, store, runner, Clock(kill_after))
            except Killed:
                runner.die()
        drive(runs, store, FakeRunner(store))
        assert store.iterations == undisturbed.iterations
        assert sorted(store.done) == sorted(undisturbed.done), "a run was done twice"


def test_a_failed_run_does_not_stop_the_others(runs):
    store = Stored()
    bad = runs[2].name
    outcomes = drive(runs, store, FakeRunner(store, fates={bad: [(3, False)]}))
    assert [(name, each.code, each.state.state) for name, each in outcomes.items() if each.code] == [(bad, 3, FAILED)]
    assert len(store.done) == 7


def test_no_more_runs_are_started_once_all_fail_in_the_same_way(runs, caplog):
    store = Stored()
    runner = FakeRunner(store, fates={run.name: [(3, False)] for run in runs})
    outcomes = drive(runs, store, runner)
    assert len(runner.started) == 4, "three that failed, and one that ran beside them"
    assert [outcomes[run.name].code for run in runs] == [3] * 4 + [None] * 4
    assert "the first 3 runs failed in the same way" in caplog.text


def test_what_failed_for_outside_reasons_is_tried_three_times(runs):
    store, lost, storage = Stored(), runs[0].name, runs[1].name
    runner = FakeRunner(store, fates={lost: [(None, True)], storage: [(4, True)] * 9})
    outcomes = drive(runs, store, runner)
    assert runner.started.count(lost) == 2 and outcomes[lost].code == 0
    assert runner.started.count(storage) == 3 and outcomes[storage].code == 4


def test_a_run_that_diverged_earlier_is_started_again_only_on_request(runs, caplog):
    store = Stored()
    store.failed[runs[0].name] = 5
    runner = FakeRunner(store)
    assert drive(runs, store, runner)[runs[0].name].code == 5
    assert runs[0].name not in runner.started and "--retry-failed starts it" in caplog.text
    assert drive(runs, store, FakeRunner(store), again=True)[runs[0].name].code == 0


def test_a_run_that_failed_earlier_for_another_reason_is_started_again(runs):
    store = Stored()
    store.failed[runs[0].name] = 3
    assert drive(runs, store, FakeRunner(store))[runs[0].name].code == 0


def test_a_run_of_another_machine_is_left_to_it_and_counts_when_it_is_done(runs, caplog):
    caplog.set_level(logging.INFO)
    store, clock = Stored(), Clock()
    theirs = runs[3].name
    store.holders[theirs] = "process 7 on elsewhere"

    def look(run):
        if clock() > 3 * ELSEWHERE and theirs in store.holders:
            del store.holders[theirs]
            store.iterations[theirs] = 10 * STEPS
        return store.look(run)

    runner = FakeRunner(store)
    assert drive(runs, store, runner, clock, look)[theirs].code == 0
    assert theirs not in runner.started
    assert caplog.text.count(f"{theirs} is run by process 7 on elsewhere") == 1


def test_a_run_is_taken_over_once_its_machine_is_dead(runs):
    store, clock = Stored(), Clock()
    theirs = runs[3].name
    store.holders[theirs], store.iterations[theirs] = "process 7 on elsewhere", 10

    def look(run):
        if clock() > 3 * ELSEWHERE:
            store.holders.pop(theirs, None) if runner.owner != store.holders.get(theirs) else None
        return store.look(run)

    runner = FakeRunner(store)
    assert drive(runs, store, runner, clock, look)[theirs].code == 0
    assert runner.started.count(theirs) == 1


def test_a_run_that_leaves_its_lease_behind_is_tried_three_times_and_not_for_ever(runs):
    """An aborted process cannot release its lease, which looks alive until it is not renewed for its time."""
    store, clock = Stored(), Clock()
    name = runs[0].name
    runner = FakeRunner(store, fates={name: [(134, True)] * 9})
    ended, since = runner._end, {}

    def aborted(run, code, again):
        found = ended(run, code, again)
        if code:
            store.holders[run.name], since[run.name] = "process 7 here", clock()
        return found

    def look(run):
        if run.name in since and clock() > since[run.name] + 60.0:
            store.holders.pop(run.name, None)
            del since[run.name]
        return store.look(run)

    runner._end = aborted
    assert drive(runs, store, runner, clock, look)[name].code == 134
    assert runner.started.count(name) == 3


def test_a_damaged_run_is_not_started(runs):
    store = Stored()

    def look(run):
        return RunState(DAMAGED, told="run.json is damaged") if run == runs[0] else store.look(run)

    runner = FakeRunner(store)
    outcome = drive(runs, store, runner, look=look)[runs[0].name]
    assert (outcome.code, outcome.state.told) == (4, "run.json is damaged") and runs[0].name not in runner.started


def test_two_machines_share_the_runs(runs):
    store, clock = Stored(), Clock()
    other = FakeRunner(store, places=1, owner="there")

    def look(run):
        if not other.now:
            waiting = [each for each in reversed(runs) if store.look(each).state == WAITING]
            if waiting:
                other.start(waiting[0])
        other.poll()
        return store.look(run)

    runner = FakeRunner(store, places=1)
    outcomes = drive(runs, store, runner, clock, look)
    assert {each.code for each in outcomes.values()} == {0}
    assert sorted(runner.started + other.started) == sorted(run.name for run in runs)
    assert runner.started and other.started


def test_a_run_that_another_process_took_first_is_not_counted_as_failed(runs):
    store, clock = Stored(), Clock()
    name = runs[0].name
    runner = FakeRunner(store, fates={name: [(2, False)]})
    ended = runner._end

    def lost_the_race(run, code, again):
        found = ended(run, code, again)
        if code == 2:
            del store.failed[name]
            store.iterations[name] = 10 * STEPS
        return found

    runner._end = lost_the_race
    assert drive(runs, store, runner, clock)[name].code == 0


def test_an_outage_of_the_storage_does_not_end_the_sweep(runs):
    store, troubles = Stored(), [StoreUnavailable("no answer", "obs://b")] * 3

    def look(run):
        if len(store.done) == 2 and troubles:
            raise troubles.pop()
        return store.look(run)

    drive(runs, store, FakeRunner(store), look=look)
    assert len(store.done) == 8 and not troubles


def test_a_run_that_ended_well_and_is_not_done_in_the_store_is_started_again(runs):
    """As after a write of run.json that the network held back."""
    store = Stored()
    name = runs[0].name
    runner = FakeRunner(store, fates={name: [(0, False)]})
    assert drive(runs, store, runner)[name].code == 0
    assert runner.started.count(name) == 2


def test_a_run_that_ended_well_while_the_storage_was_away_is_looked_at_again(runs):
    """Whether it is done is what the store says, not what its process said."""
    store = Stored()
    name = runs[0].name
    seen = []

    def look(run):
        if run.name == name and store.iterations.get(name) == 10 * STEPS and len(seen) < 2:
            seen.append(run)
            raise StoreUnavailable("no answer", "obs://b")
        return store.look(run)

    assert drive(runs, store, FakeRunner(store), look=look)[name].code == 0
    assert store.done.count(name) == 1
