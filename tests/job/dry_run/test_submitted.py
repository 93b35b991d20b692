"""What a dry run shows of its request, and how it ends with the job."""
from __future__ import annotations

import os
import signal
import threading

import pytest

from job.dry_run import submitted
from job.modelarts.errors import RequestRefused
from job.modelarts.request import JobRequest
from job.modelarts.service import COMPLETED, FAILED, RUNNING, TERMINATED
from tests.job.modelarts.memory_service import MemoryJobService

REQUEST = JobRequest(
    "cartoon-1", "obs://bucket/masf-code/masf-12/", "boot_modelarts.py", "modelarts.vm.cpu.8u",
    parameters=(("data_url", "obs://bucket/my pacs/"), ("seed", "3")), log_url="obs://bucket/masf-logs/", retries=3,
    environment=(("OMP_NUM_THREADS", "1"),))


def submitted_job():
    service = MemoryJobService()
    return service, service.create(REQUEST)


def test_the_request_is_a_few_lines_that_fit_a_terminal():
    many = tuple((f"a_setting_of_some_length_{number}", "value") for number in range(20))
    lines = submitted.described(REQUEST._replace(parameters=REQUEST.parameters + many), 300)
    text = "\n".join(lines)
    for told in ("cartoon-1", "/bucket/masf-code/masf-12/ (300 files)", "modelarts.vm.cpu.8u, 1 node", "up to 3",
                 "OMP_NUM_THREADS=1", "'data_url=obs://bucket/my pacs/'", "seed=3", "/bucket/masf-logs/"):
        assert told in text
    assert len(lines) < 20 and max(map(len, lines)) <= 118


@pytest.mark.parametrize("end, code", [((0, COMPLETED), 0), ((5, FAILED), 5), ((143, TERMINATED), 143)])
def test_the_phases_and_the_log_are_printed_and_the_exit_code_is_the_jobs(monkeypatch, capsys, end, code):
    monkeypatch.setattr(submitted, "QUIET", 0.0)
    monkeypatch.setattr(submitted, "PAUSE", 0.01)
    service, job = submitted_job()
    service.logs[job.id] += ["first line", "second line"]
    service.end(job.id, *end)
    assert submitted.attend(service, job, patient=False) == code
    output = capsys.readouterr().out
    assert output.splitlines()[:2] == ["first line", "second line"] and f"== cartoon-1: {end[1]}" in output


@pytest.mark.parametrize("signum, code", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_stops_the_job_once_and_its_end_is_awaited(monkeypatch, capsys, signum, code):
    monkeypatch.setattr(submitted, "QUIET", 0.0)
    monkeypatch.setattr(submitted, "PAUSE", 0.01)
    service, job = submitted_job()
    service.move(job.id, RUNNING)
    stops = []

    def stop(job_id):
        stops.append(job_id)
        threading.Timer(0.1, lambda: service.end(job_id, 143, TERMINATED)).start()

    service.stop = stop
    get, asked = service.get, []

    def get_and_signal(job_id):
        if not asked:
            asked.append(os.kill(os.getpid(), signum))
        return get(job_id)

    service.get = get_and_signal
    assert submitted.attend(service, job, patient=False) == code
    assert stops == [job.id] and "stopping the job" in capsys.readouterr().out


def test_a_job_that_ends_while_it_is_being_stopped_ends_as_it_did(monkeypatch):
    monkeypatch.setattr(submitted, "QUIET", 0.0)
    monkeypatch.setattr(submitted, "PAUSE", 0.01)
    service, job = submitted_job()
    service.move(job.id, RUNNING)

    def refused(job_id):
        service.end(job_id)
        raise RequestRefused("the training job is Completed and cannot be terminated", job_id)

    service.stop = refused
    threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    assert submitted.attend(service, job, patient=False) == 0
