"""How a run that ends early records why."""
from __future__ import annotations

import functools
import json
import logging
import signal
from types import SimpleNamespace

import pytest

from job.config.settings import config_of
from job.errors import PeerFailed
from job.publication.patience import Patience
from job.publication.run_record import NAME, RunRecord
from job.ranks.group import ALONE
from job.run import recorded, warn_of_lost_results
from job.stopping import Stopped
from job.workspace import prepare_workspace
from masf_core.errors import DataError
from obs_sync import AccessDenied, StoreUnavailable
from tests.job.faulty_store import FaultyStore


class Case:
    """A run whose storage is away for some seconds of a clock that only waiting moves."""

    def __init__(self, tmp_path, away, drain_seconds=1800.0):
        self.now, self.away, self.writes = 0.0, away, 0
        self.store = FaultyStore(tmp_path / "store")
        self.store.fail = self.fail
        self.run = SimpleNamespace(
            config=config_of({"drain_seconds": drain_seconds}),
            workspace=prepare_workspace(str(tmp_path / "work"), "run"),
            console=SimpleNamespace(stop=None, check_stop=lambda: None), store=self.store,
            record=RunRecord("run", {}, None, fresh=False), group=ALONE)

    def fail(self, operation, key):
        self.writes += 1
        if self.now < self.away:
            raise StoreUnavailable("the server answered 503", key)

    def sleep(self, seconds):
        self.now += seconds

    def end_with(self, error):
        with pytest.raises(type(error)) as raised:
            with recorded(self.run, {}):
                raise error
        assert raised.value is error

    def published(self):
        return json.loads(self.store.read(NAME).decode("utf-8")) if self.store.exists(NAME) else None


@pytest.fixture
def case(tmp_path, monkeypatch):
    def make(*arguments, **options):
        made = Case(tmp_path, *arguments, **options)
        monkeypatch.setattr("job.run.Patience",
                            functools.partial(Patience, clock=lambda: made.now, sleep=made.sleep))
        return made
    return make


@pytest.mark.parametrize("error", [DataError("no images"), ZeroDivisionError("a mistake"),
                                   StoreUnavailable("no answer", "obs://bucket/")])
def test_a_run_that_failed_waits_for_the_storage_to_record_why(case, error):
    made = case(away=45.0)
    made.end_with(error)
    content = made.published()
    assert content["state"] == "failed" and content["attempts"][-1]["reason"] == str(error)


@pytest.mark.parametrize("drain_seconds, waited", [(1800.0, 60.0), (5.0, 5.0)])
def test_the_wait_ends_and_the_reason_of_the_failure_stays(case, caplog, drain_seconds, waited):
    made = case(away=1e9, drain_seconds=drain_seconds)
    made.end_with(DataError("no images"))
    assert 0.4 * waited < made.now <= waited
    assert "run.json in the store does not tell how this attempt ended: " in caplog.messages[-1]


@pytest.mark.parametrize("error", [
    Stopped(signal.SIGTERM), KeyboardInterrupt(), AccessDenied("403", "obs://bucket/"), PeerFailed("rank 1 ended", 3)])
def test_whoever_has_to_leave_or_may_not_write_tries_once(case, error):
    made = case(away=1e9)
    made.end_with(error)
    assert (made.now, made.writes) == (0.0, 1)


def test_a_request_to_stop_ends_the_wait_and_the_reason_of_the_failure_stays(case):
    def check_stop():
        if made.now > 10.0:
            raise Stopped(signal.SIGTERM)

    made = case(away=1e9)
    made.run.console.check_stop = check_stop
    made.end_with(DataError("no images"))
    assert made.now < 11.0


def test_a_refused_write_is_not_retried_or_told_twice(case, caplog):
    made = case(away=0.0)

    def refuse(operation, key):
        made.writes += 1
        raise AccessDenied("403", key)

    made.store.fail = refuse
    with caplog.at_level(logging.INFO):
        made.end_with(DataError("no images"))
    assert (made.now, made.writes, caplog.messages) == (0.0, 1, [])


@pytest.mark.parametrize("environ, train_url, warned", [
    ({"MA_JOB_DIR": "/home/work/user-job-dir"}, None, True),
    ({"MA_JOB_DIR": "/home/work/user-job-dir"}, "obs://bucket/output/", False),
    ({}, None, False),
])
def test_a_job_of_modelarts_whose_results_would_be_lost_is_warned(caplog, environ, train_url, warned):
    warn_of_lost_results(config_of({"train_url": train_url}), "/cache/masf/output/masf_photo", environ)
    assert ("results are written to /cache/masf/output/masf_photo and are lost" in caplog.text) is warned
