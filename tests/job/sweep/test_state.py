"""What the store says of a run."""
from __future__ import annotations

import json
import os
import socket
import time

import pytest

from job.config.loading import to_dict
from job.sweep.state import (
    DAMAGED, DONE, FAILED, KILLED, RUNNING, STOPPED, WAITING, counts, look_at, look_at_all, state_of,
)
from obs_sync import Lease, open_store, this_process
from obs_sync.lease.owner import Owner
from tests.job.sweep.studies import planned


@pytest.fixture
def run(tmp_path):
    return planned(tmp_path)[0][0]


def store(run, state, iteration=30, **attempt):
    """Write the run's run.json."""
    os.makedirs(run.url, exist_ok=True)
    with open(os.path.join(run.url, "run.json"), "w") as stream:
        json.dump({"format": 1, "run_name": run.name, "state": state, "lineage": "a", "iteration": iteration,
                   "attempts": [dict({"started": "x", "outcome": state}, **attempt)],
                   "best": {"iteration": 10, "target_accuracy": 50.0, "validation_accuracy": 60.0},
                   "config": to_dict(run.config)}, stream)


def held(run, owner, seconds=60.0):
    """A context manager in which ``owner`` holds the run's lease."""
    return Lease(open_store(run.url), owner, seconds)


def test_a_run_without_a_record_waits(run):
    assert look_at(run, open_store).state == WAITING


@pytest.mark.parametrize("state, iteration, expected", [
    ("done", 30, DONE), ("done", 20, WAITING), ("stopped", 10, STOPPED), ("failed", 10, FAILED),
    ("running", 10, KILLED)])
def test_the_record_decides_where_nobody_holds_the_lease(run, state, iteration, expected):
    store(run, state, iteration, exit_code=5, reason="the loss is not finite\nand more")
    found = look_at(run, open_store)
    assert (found.state, found.iteration) == (expected, iteration)
    if expected == FAILED:
        assert (found.exit_code, found.told) == (5, "the loss is not finite")


@pytest.mark.parametrize("attempts, expected", [
    ([{"from_iteration": 0, "to_iteration": 10}, {"from_iteration": 10}], 10),
    ([{"from_iteration": 0, "to_iteration": 10}, {}], 10), ([{}], 0)])
def test_a_run_that_resumes_does_not_go_back_to_the_first_iteration(run, attempts, expected):
    record = {"attempts": attempts, "state": "running", "config": to_dict(run.config)}
    assert state_of(run, record, True, None).iteration == expected
    assert state_of(run, dict(record, iteration=20), True, None).iteration == 20


def test_a_run_that_was_stopped_inside_an_interval_is_at_the_iteration_of_its_checkpoint(run):
    store(run, "stopped", iteration=0, from_iteration=0, to_iteration=17)
    assert look_at(run, open_store).iteration == 17


def test_a_run_whose_lease_is_held_runs_and_its_owner_is_named(run):
    store(run, "running", 10)
    with held(run, this_process()):
        found = look_at(run, open_store)
        assert (found.state, found.owner.pid) == (RUNNING, os.getpid())
    assert look_at(run, open_store).state == KILLED


def test_a_run_that_has_only_taken_its_lease_runs(run):
    with held(run, this_process()):
        assert look_at(run, open_store).state == RUNNING


def test_the_lease_of_a_process_of_this_machine_that_has_ended_does_not_count(run):
    ended = this_process()
    with held(run, Owner(socket.gethostname(), 2 ** 22 + 1, ended.machine, "1")):
        assert look_at(run, open_store).state == WAITING


def test_a_lease_that_was_not_renewed_for_its_time_does_not_count(run):
    with held(run, Owner("elsewhere", 7, "elsewhere", "1")):
        assert look_at(run, open_store).state == RUNNING
        for name in os.listdir(os.path.join(run.url, "lease")):
            past = time.time() - 70.0
            os.utime(os.path.join(run.url, "lease", name), (past, past))
        assert look_at(run, open_store).state == WAITING


def test_a_claim_that_another_process_has_closed_does_not_count(run):
    with held(run, Owner("elsewhere", 7, "elsewhere", "1")):
        claim, = os.listdir(os.path.join(run.url, "lease"))
        open(os.path.join(run.url, "lease", claim[:-len(".json")] + ".over"), "w").close()
        assert look_at(run, open_store).state == WAITING


def test_a_damaged_record_is_told_and_does_not_stop_the_look_at_the_others(tmp_path):
    runs, _ = planned(tmp_path)
    os.makedirs(runs[0].url)
    with open(os.path.join(runs[0].url, "run.json"), "w") as stream:
        stream.write('{"format": 1}')
    store(runs[1], "done")
    states = look_at_all(runs, open_store)
    assert "run.json is damaged" in states[runs[0].name].told
    assert counts(list(states.values())) == ["1 done", "6 waiting", f"1 {DAMAGED}"]
