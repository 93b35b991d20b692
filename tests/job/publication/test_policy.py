"""The publisher's decisions as tables: no thread, no clock, no store."""
from __future__ import annotations

import pytest

from job.publication import policy
from job.publication.policy import Ending, Failures, OutOfTime, State, Step
from job.publication.upload_queue import LOGS, Queue
from obs_sync import AccessDenied, BucketNotFound, LeaseLost, LocalStorageError, StoreUnavailable
from tests.job.publication.test_publisher import snapshot

ONE = Queue((snapshot(10),))
AWAY = StoreUnavailable("the storage is away")


@pytest.mark.parametrize("queue, logs_first, closing, step", [
    (Queue(), False, False, Step.WAIT),
    (Queue(logs_due=True), False, False, Step.UPLOAD),
    (ONE, False, False, Step.UPLOAD),
    (ONE, True, False, Step.WAIT),
    (Queue(logs_due=True), True, False, Step.WAIT),
    (ONE, False, True, Step.CLOSE),
    (Queue(), True, True, Step.CLOSE),
])
def test_what_the_worker_does_next(queue, logs_first, closing, step):
    assert policy.next_step(State(queue, ending=Ending(logs_first=logs_first), closing=closing)) is step


@pytest.mark.parametrize("queue, retention_due, failures, deadline, now, over", [
    (Queue(), False, Failures(), None, 0.0, True),
    (Queue(), True, Failures(), None, 0.0, False),
    (ONE, False, Failures(), None, 1e9, False),
    (ONE, False, Failures(in_a_row=policy.DRAIN_ATTEMPTS - 1), None, 0.0, False),
    (ONE, False, Failures(in_a_row=policy.DRAIN_ATTEMPTS), None, 0.0, True),
    (ONE, False, Failures(in_a_row=99), 10.0, 9.9, False),
    (ONE, False, Failures(), 10.0, 10.0, True),
    (ONE, False, Failures(in_a_row=1, final=True), 10.0, 0.0, True),
    (Queue(logs_due=True), False, Failures(), 10.0, 9.9, False),
    (Queue(under_way=LOGS), False, Failures(), 10.0, 9.9, False),
])
def test_when_a_drain_is_over(queue, retention_due, failures, deadline, now, over):
    state = State(queue, failures, Ending(drains=1, deadline=deadline))
    assert policy.drain_is_over(state, retention_due, now) is over


@pytest.mark.parametrize("before, failure, after", [
    (Failures(), AWAY, Failures(1, str(AWAY))),
    (Failures(1, "an outage"), AWAY, Failures(2, str(AWAY))),
    (Failures(2, "an outage", True), None, Failures()),
    (Failures(), OutOfTime("the deadline passed"), Failures(1, "the deadline passed")),
    (Failures(1, "an outage"), OutOfTime("the deadline passed"), Failures(2, "an outage")),
    (Failures(1, "refused", True), AWAY, Failures(2, str(AWAY))),
])
def test_what_a_delivery_changes(before, failure, after):
    assert before.after(failure) == after


@pytest.mark.parametrize("kind, final", [
    (AccessDenied, True), (BucketNotFound, True), (LocalStorageError, True), (LeaseLost, True),
    (StoreUnavailable, False), (OSError, False)])
def test_what_no_retry_can_mend_is_final(kind, final):
    failures = Failures().after(kind("told"))
    assert failures.final is final and (failures.lease_lost is not None) is (kind is LeaseLost)


def test_a_lost_lease_stays_lost_and_a_drain_counts_the_other_failures_anew():
    lost = LeaseLost("lost")
    state = State(failures=Failures().after(lost).after(AWAY)).drain_begun(deadline=5.0)
    assert state.failures == Failures(0, str(AWAY), False, lost)
    assert state.ending == Ending(drains=1, deadline=5.0)
    assert State(failures=Failures(lease_lost=lost)).failures.after(None).lease_lost is lost


@pytest.mark.parametrize("ending, failures, seconds", [
    (Ending(), 1, 1.0),
    (Ending(), 4, 8.0),
    (Ending(), 50, 60.0),
    (Ending(drains=1, deadline=100.0), 4, 8.0),
    (Ending(drains=1), 4, 1.0),
    (Ending(drains=1, deadline=100.0, budgeted=True), 4, 1.0),
])
def test_how_long_the_next_attempt_waits(ending, failures, seconds):
    assert policy.pause(State(failures=Failures(failures), ending=ending)) == seconds


@pytest.mark.parametrize("size, rate, left, why", [
    (4000000, 1e6, 4.0, None),
    (4000000, 1e6, 3.0, "4.0 MB take 4 s at 1.0 MB/s, and 3 s are left"),
    (4000000, 1e6, -1.0, "4.0 MB take 4 s at 1.0 MB/s, and 0 s are left"),
    (4000000, None, 0.0, None),
    (None, 1e6, -1.0, None),
])
def test_what_would_arrive_too_late(size, rate, left, why):
    assert policy.why_late(size, rate, left) == why


@pytest.mark.parametrize("queue, failures, reason", [
    (Queue(), Failures(), "the deadline passed"),
    (Queue(), Failures(1, "an outage."), "an outage"),
    (Queue(not_begun=(("a", "late"), ("b", "later"))), Failures(1, "an outage"), "late; later"),
])
def test_why_something_is_undelivered(queue, failures, reason):
    assert policy.drain_reason(State(queue, failures)) == reason


@pytest.mark.parametrize("drains, told", [(0, [1, 3]), (1, [1, 2, 3, 4, 5])])
def test_an_outage_is_told_once_while_training_goes_on(drains, told):
    states = [State(failures=Failures(count), ending=Ending(drains=drains)) for count in range(1, 6)]
    assert [state.failures.in_a_row for state in states if policy.failure_is_told(state)] == told


def test_a_budget_lets_the_log_files_go_first():
    state = State(ONE).budget_begun(7.0)
    assert state.ending == Ending(0, 7.0, True, True) and policy.next_step(state) is Step.WAIT
    assert policy.next_step(state.logs_gone()) is Step.UPLOAD
