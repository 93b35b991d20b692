"""Bytes per second, of all transfers together."""

from __future__ import annotations

import threading
import time

import pytest

from obs_sync import LocalStore, pull, push
from obs_sync.throttle import Throttle, ThrottledStore
from tests.obs_sync.trees import read_tree, write_tree


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self):
        self.now = 100.0
        self.slept = []
        self._lock = threading.Lock()

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        with self._lock:
            self.slept.append(seconds)
            self.now += seconds


@pytest.fixture
def clock():
    return Clock()


def test_bytes_take_their_time(clock):
    throttle = Throttle(1000.0, clock, clock.sleep)
    for _ in range(10):
        throttle.pay(500)
    assert clock.now == pytest.approx(105.0)


def test_a_quiet_time_is_no_credit(clock):
    throttle = Throttle(1000.0, clock, clock.sleep)
    clock.now += 60.0
    throttle.pay(1000)
    assert sum(clock.slept) == pytest.approx(1.0)


def test_who_waits_looks_up_often_and_can_be_called_off(clock):
    class Stop(Exception):
        pass

    def check():
        if clock.now > 101.0:
            raise Stop()

    with pytest.raises(Stop):
        Throttle(1.0, clock, clock.sleep).pay(1000, check)
    assert clock.now < 101.5 and max(clock.slept) <= 0.2


def test_few_transfers_share_a_low_rate():
    assert Throttle(1e5).workers(16) == 1
    assert Throttle(1e6).workers(16) == 9
    assert Throttle(1e9).workers(16) == 16
    with pytest.raises(ValueError):
        Throttle(0)


@pytest.mark.parametrize("transfer", ["pull", "push"])
def test_a_transfer_takes_as_long_as_its_bytes(tmp_path, clock, transfer):
    tree = {str(number): bytes(1000) for number in range(10)}
    source = write_tree(tmp_path / "source", tree)
    throttle = Throttle(500.0, clock, clock.sleep)
    if transfer == "pull":
        pull(ThrottledStore(LocalStore(source), throttle), str(tmp_path / "out"), workers=1)
    else:
        push(ThrottledStore(LocalStore(str(tmp_path / "out")), throttle), source, workers=1)
    assert read_tree(tmp_path / "out") == tree
    assert clock.now == pytest.approx(120.0)


def test_threads_share_the_rate_in_real_time(tmp_path):
    source = write_tree(tmp_path / "source", {str(number): bytes(50000) for number in range(10)})
    started = time.monotonic()
    pull(ThrottledStore(LocalStore(source), Throttle(1e6)), str(tmp_path / "out"), workers=4)
    assert 0.45 <= time.monotonic() - started < 3.0


def test_an_object_store_is_slowed_in_both_directions(esdk_store, tmp_path, clock):
    slow = ThrottledStore(esdk_store, Throttle(1e6, clock, clock.sleep))
    source = write_tree(tmp_path / "source", {"a": bytes(3000000)})
    push(slow, source)
    assert clock.now == pytest.approx(103.0)
    pull(slow, str(tmp_path / "out"))
    assert clock.now == pytest.approx(106.0)
    info = slow.head("a")
    slow.read_range(info, 0, 1000000)
    assert clock.now == pytest.approx(107.0)
