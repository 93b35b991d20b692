"""Two jobs under one run name: one works, the other is refused; and the place of a dead one is taken at once."""
from __future__ import annotations

import os
import signal
import socket
import time

import pytest

from tests.end_to_end.conftest import Job, wait_for_line

pytestmark = pytest.mark.slow


def held(job, path):
    """The job, waiting before its first iteration until the file ``path`` is there."""
    process = job.start("-m", "tests.end_to_end.held_at", "masf_core.model:Model.step", str(path), lease_seconds=10)
    wait_for_line(process, "TensorFlow")
    return process


def elsewhere(job, tmp_path):
    """The same job as on another machine: with another working directory."""
    return Job(job.mock, tmp_path / "elsewhere", job.source)


def test_a_second_job_is_refused_and_the_first_goes_on_to_its_end(job, tmp_path, uninterrupted):
    first = held(job, tmp_path / "go")
    try:
        code, output = elsewhere(job, tmp_path).run(lease_seconds=10)
        assert code == 2, output
        for fragment in (f"process {first.pid} on {socket.gethostname()}", "renewed its lease",
                         "obs://bucket/output/run/lease/", "another --run_name"):
            assert fragment in output, output
        assert "Traceback" not in output
        assert first.poll() is None
    finally:
        (tmp_path / "go").touch()
        output, _ = first.communicate(timeout=240)
    assert first.returncode == 0, output
    assert job.result() == uninterrupted
    assert job.mock.keys("bucket", "output/run/lease/") == []


def test_the_place_of_a_killed_job_of_this_machine_is_taken_without_waiting(job, tmp_path, uninterrupted):
    first = held(job, tmp_path / "never")
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    assert len(job.mock.keys("bucket", "output/run/lease/")) == 1
    code, output = elsewhere(job, tmp_path).run(lease_seconds=3600)
    assert code == 0, output
    assert "taking it over" in output and "Waiting at most" not in output
    assert job.result() == uninterrupted


def test_a_job_that_finds_its_lease_removed_stops_writing_and_says_so(job, tmp_path):
    first = held(job, tmp_path / "go")
    (claim,) = job.mock.keys("bucket", "output/run/lease/")
    with job.store() as store:
        store.delete([claim])
    wait_for_line(first, "the lease is lost", seconds=60)
    before = job.mock.keys("bucket", "output/")
    (tmp_path / "go").touch()
    started = time.monotonic()
    output, _ = first.communicate(timeout=240)
    assert first.returncode == 4, output
    assert "another --run_name" in output and "Traceback" not in output
    assert time.monotonic() - started < 120.0
    assert job.mock.keys("bucket", "output/") == before
