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
    with pytest.raises(StoreUnavailable, match=r"503 \(tried 4 times\): obs://bucket/key. Try later"):
        retry([]).call(flaky)
    assert flaky.calls == 4


def test_what_will_not_mend_itself_is_not_tried_again():
    slept, flaky = [], Flaky(ObjectNotFound("nothing"))
    with pytest.raises(ObjectNotFound):
        retry(slept).call(flaky)
    assert slept == [] and flaky.calls == 1


def test_the_last_exception_of_another_kind_is_left_as_it_is():
    with pytest.raises(IntegrityError, match="^damaged$"):
        retry([]).call(Flaky(*[IntegrityError("damaged")] * 9), retried=(StoreUnavailable, IntegrityError))
