from __future__ import annotations

import pytest

from obs_sync import IntegrityError, ObjectNotFound, StoreUnavailable
from obs_sync.retry import Retry


class Flaky:
    def __init__(self, *errors):
        self.errors = list(errors)
        self.calls = 0

    def __call__(self):
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "result"


def down():
    return StoreUnavailable("503", "obs://bucket/key", "Try later")


def retry(slept, attempts=4):
    return Retry(attempts, first_delay=1.0, longest_delay=3.0, sleep=slept.append, uniform=lambda low, high: high)


def test_delays_double_up_to_the_longest():
    slept, flaky = [], Flaky(down(), down(), down())
    assert retry(slept).call(flaky) == "result"
    assert slept == [1.0, 2.0, 3.0] and flaky.calls == 4


def test_delays_are_drawn_from_the_upper_half():
    bounds = []
    retry = Retry(3, 1.0, 8.0, lambda _: None, lambda low, high: bounds.append((low, high)) or low)
    with pytest.raises(StoreUnavailable):
        retry.call(Flaky(*[down()] * 9))
    assert bounds == [(0.5, 1.0), (1.0, 2.0)]


def test_it_gives_up_and_says_how_often_it_tried():
    flaky = Flaky(*[down() for _ in range(9)])
    with pytest.raises(StoreUnavailable, match=r"503 \(tried 4 times in \d\.\d s\): obs://bucket/key. Try later"):
        retry([]).call(flaky)
    assert flaky.calls == 4


def test_what_will_not_mend_itself_is_not_tried_again():
    slept, flaky = [], Flaky(ObjectNotFound("nothing"))
    with pytest.raises(ObjectNotFound):
        retry(slept).call(flaky)
    assert slept == [] and flaky.calls == 1


def test_other_kinds_of_faults_say_so_too_and_keep_their_class():
    with pytest.raises(IntegrityError, match=r"^damaged \(tried 4 times in"):
        retry([]).call(Flaky(*[IntegrityError("damaged")] * 9), retried=(StoreUnavailable, IntegrityError))


class Clock:
    """Time that passes only while somebody sleeps, or an attempt takes its `seconds`."""

    def __init__(self):
        self.now = 1000.0
        self.slept = []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds

    def attempt(self, seconds=0.0, retry_after=None):
        def fails():
            self.now += seconds
            error = down()
            error.retry_after = retry_after
            raise error
        return fails

    def retry(self, attempts=100, deadline=60.0):
        return Retry(attempts, 1.0, 8.0, self.sleep, lambda low, high: high, deadline, self)


def test_no_attempt_begins_after_the_deadline():
    clock, began = Clock(), []

    def fails():
        began.append(clock.now - 1000.0)
        clock.attempt(seconds=5.0)()

    with pytest.raises(StoreUnavailable, match=r"tried 6 times in 53.0 s; the deadline is 60 s\)"):
        clock.retry().call(fails)
    assert began == [0.0, 6.0, 13.0, 22.0, 35.0, 48.0]
    assert clock.slept == [1.0, 2.0, 4.0, 8.0, 8.0]  # and no sleep for nothing


def test_the_wait_that_the_server_asks_for_comes_before_our_own():
    clock = Clock()
    with pytest.raises(StoreUnavailable, match="tried 3 times"):
        clock.retry(attempts=3).call(clock.attempt(retry_after=7.0))
    assert clock.slept == [8.0, 9.0]


def test_a_wait_that_is_longer_than_what_is_left_is_not_begun():
    clock = Clock()
    with pytest.raises(StoreUnavailable, match=r"tried once in 0.0 s; the deadline is 60 s, and the server asks us to "
                                               r"wait 120 s\)"):
        clock.retry().call(clock.attempt(retry_after=120.0))
    assert clock.slept == []


def test_what_a_callback_raises_is_not_touched():
    with pytest.raises(KeyError):
        retry([]).call(Flaky(KeyError("callback")))
