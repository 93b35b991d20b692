"""How long the beginning and the end of a run wait for the storage."""
from __future__ import annotations

import socket
import ssl

import pytest

from job.publication.patience import Patience
from obs_sync import AccessDenied, StoreUnavailable


class Time:
    """A clock that only sleeping moves."""

    def __init__(self):
        self.now = 100.0

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


class Outage:
    """A call that fails until a time; each takes a second."""

    def __init__(self, time, until, error=None):
        self.time, self.until = time, until
        self.error = StoreUnavailable("refused", "obs://bucket/", "Check the network") if error is None else error
        self.calls = []

    def __call__(self):
        self.calls.append(self.time.now)
        self.time.now += 1.0
        if self.time.now < self.until:
            raise self.error
        return "answer"


@pytest.fixture
def time():
    return Time()


def patience(time, seconds=300.0, check_stop=lambda: None):
    return Patience(seconds, check_stop, time.clock, time.sleep)


def test_an_outage_that_ends_in_time_is_waited_for_and_told_once(time, caplog):
    outage = Outage(time, until=390.0)
    assert patience(time).call("reading the run", outage) == "answer"
    assert caplog.messages == ["reading the run failed, retrying for up to 299 s: refused: obs://bucket/. Check the "
                               "network."]
    assert 20 < len(outage.calls) < 60


def test_the_first_pauses_grow(time):
    outage = Outage(time, until=120.0)
    patience(time).call("reading the run", outage)
    gaps = [later - earlier for earlier, later in zip(outage.calls, outage.calls[1:])]
    assert [round(gap) for gap in gaps][:4] == [2, 3, 5, 9]


def test_an_outage_that_outlasts_the_patience_says_how_long_and_what_to_do(time):
    with pytest.raises(StoreUnavailable, match="reading the run failed for 2.. s: refused: obs://bucket/. Check the "
                                               "network. When the storage answers, start the same command again"):
        patience(time).call("reading the run", Outage(time, until=1e9))
    assert 390.0 < time.now <= 402.0


def test_several_calls_share_one_deadline(time):
    shared = patience(time, 60.0)
    shared.call("taking the lease", Outage(time, until=150.0))
    with pytest.raises(StoreUnavailable):
        shared.call("reading the run", Outage(time, until=1e9))
    assert time.now <= 170.0


def test_a_call_of_hours_has_its_patience_when_it_fails(time):
    def pull():
        time.now += 7200.0
        return outage()

    outage = Outage(time, until=20000.0)
    assert Patience(7500.0, lambda: None, time.clock, time.sleep, from_failure=True).call("the pull", pull) == "answer"
    assert len(outage.calls) == 3


def caused_by(cause):
    error = StoreUnavailable("tried 6 times")
    error.__cause__ = StoreUnavailable("once")
    error.__cause__.__cause__ = cause
    return error


@pytest.mark.parametrize("error, calls", [
    (caused_by(socket.gaierror(socket.EAI_NONAME, "Name or service not known")), 1),
    (caused_by(ssl.SSLCertVerificationError("self signed certificate")), 1),
    (AccessDenied("403"), 1),
    (caused_by(socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")), 3),
])
def test_what_no_retry_can_mend_is_raised_at_once(time, error, calls):
    outage = Outage(time, until=1e9, error=error)
    with pytest.raises(type(error)):
        patience(time, seconds=7.0).call("reading the run", outage)
    assert len(outage.calls) == calls


def test_a_request_to_stop_ends_the_wait(time):
    def stop():
        if time.now > 110.0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        patience(time, check_stop=stop).call("reading the run", Outage(time, until=1e9))
    assert time.now < 112.0
