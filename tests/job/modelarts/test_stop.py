"""Stopping a job: the command waits for the job and for the record of its run, and says what was saved."""

from __future__ import annotations

import json

import pytest

from job.exits import DONE, MODELARTS, STORAGE
from job.modelarts.request import JobRequest
from job.modelarts.service import COMPLETED, RUNNING, TERMINATED
from job.modelarts.stop import outcome_document, outcome_lines, stop_job
from masf_core.records.progress import Progress, progress_text
from obs_sync import AccessDenied, LocalStore, publish_checkpoint
from tests.job.modelarts.memory_service import MemoryJobService


class Training:
    """A job that trains, and its run's folder; each sleep of whoever stops it does the next step of ``script``."""

    def __init__(self, tmp_path):
        self.folder = tmp_path / "output" / "masf_cartoon"
        self.folder.mkdir(parents=True)
        self.path = tmp_path
        self.store = LocalStore(str(self.folder))
        self.service = MemoryJobService()
        self.script, self.time = [], 0.0
        self.job = self.service.create(JobRequest(
            "masf", "obs://b/code/", "boot_modelarts.py", "f",
            parameters=(("train_url", "obs://b/output/"), ("target_domain", "cartoon"))))
        self.service.move(self.job.id, RUNNING)

    def write_run(self, state="running", **attempt):
        (self.folder / "run.json").write_text(json.dumps({
            "format": 1, "run_name": "masf_cartoon", "state": state, "lineage": "a", "config": {},
            "attempts": [dict({"started": "2026-01-01T00:00:00Z", "id": "x"}, **attempt)]}))

    def publish(self, iteration):
        source = self.path / f"checkpoint-{iteration}"
        source.mkdir()
        scalars = {"source_loss": 1.0, "source_accuracy": 1.0, "global_loss": 1.0, "metric_loss": 1.0, "seconds": 1.0}
        (source / "progress.json").write_text(progress_text(Progress(iteration, [], [scalars] * iteration, {})))
        publish_checkpoint(self.store, str(source), f"ckpt-{iteration:06d}-x", {
            "iteration": iteration, "lineage": "a", "attempt": "x", "attempt_number": 1, "sequence": 0})

    def sleep(self, seconds):
        self.time += seconds
        if self.script:
            self.script.pop(0)()

    def stop(self, timeout=100.0):
        def open_at(url):
            assert url == "obs://b/output/masf_cartoon"
            return self.store

        return stop_job(self.service, self.service.table[self.job.id], open_at, timeout, sleep=self.sleep,
                        clock=lambda: self.time)


@pytest.fixture
def training(tmp_path):
    return Training(tmp_path)


def test_the_final_checkpoint_and_the_record_of_the_run_are_waited_for(training):
    training.write_run()
    training.publish(3)
    training.script = [lambda: training.service.end(training.job.id, 143, TERMINATED), lambda: training.publish(5),
                       lambda: training.write_run("stopped", outcome="stopped", exit_code=143)]
    outcome = training.stop()
    assert outcome.code == DONE and training.time == 9.0
    assert outcome_lines(outcome) == [
        "masf: Terminated", "newest checkpoint: ckpt-000005-x, iteration 5, saved after this request",
        "run masf_cartoon at obs://b/output/masf_cartoon: stopped. The same submission resumes it"]
    assert outcome_document(outcome)["checkpoint"] == {"name": "ckpt-000005-x", "iteration": 5, "new": True}


def test_a_job_that_was_killed_before_it_saved_is_an_error_that_names_the_older_checkpoint(training):
    training.write_run()
    training.publish(3)
    training.script = [lambda: training.service.end(training.job.id, 137, TERMINATED)]
    outcome = training.stop(timeout=20.0)
    assert outcome.code == STORAGE and outcome.problem.startswith("the job ended without a record in run.json")
    assert "newest checkpoint: ckpt-000003-x, iteration 3, saved before this request" in outcome_lines(outcome)


def test_what_the_job_could_not_publish_is_told(training):
    training.write_run()
    training.script = [lambda: training.write_run("stopped", left_undone="1 checkpoint is not stored"),
                       lambda: training.service.end(training.job.id, 143, TERMINATED)]
    outcome = training.stop()
    assert (outcome.code, outcome.problem) == (STORAGE, "1 checkpoint is not stored")
    assert "no checkpoint was saved" in outcome_lines(outcome)


def test_a_job_that_does_not_end_in_time_is_left_to_modelarts(training):
    training.write_run()
    outcome = training.stop(timeout=30.0)
    assert outcome.code == MODELARTS and 30.0 <= training.time <= 33.0
    assert outcome.problem == "the job has not ended within 30 s. ModelArts goes on stopping it"
    assert outcome_lines(outcome)[-1] == "run masf_cartoon at obs://b/output/masf_cartoon is still stopping"


def test_a_job_that_has_not_begun_has_nothing_to_save(training):
    training.script = [lambda: training.service.end(training.job.id, 143, TERMINATED)]
    outcome = training.stop()
    assert outcome.code == DONE and "the run had not begun, so there was nothing to save" in outcome_lines(outcome)


def test_a_job_that_has_ended_is_not_stopped_again(training):
    training.write_run("done", outcome="done")
    training.publish(3)
    training.service.end(training.job.id, 0, COMPLETED)
    outcome = training.stop()
    assert outcome.code == DONE and training.time == 0.0 and not outcome.saved
    assert outcome_lines(outcome)[-1] == "run masf_cartoon at obs://b/output/masf_cartoon: done"


def test_a_run_that_cannot_be_read_is_told_after_the_end_of_the_job(training):
    def refused(key):
        raise AccessDenied("the access key may not do this", key)

    training.store.head = refused
    training.script = [lambda: training.service.end(training.job.id, 143, TERMINATED)]
    outcome = training.stop(timeout=20.0)
    assert outcome.job.phase == TERMINATED and outcome.code == STORAGE
    assert outcome.problem.startswith("what the job saved is not known: the access key may not do this")
    assert training.time == 3.0  # only the end of the job was awaited


def test_an_older_checkpoint_is_not_told_as_new_because_the_run_could_not_be_read_before(training):
    training.write_run("stopped", outcome="stopped", exit_code=143)
    training.publish(3)
    head, answers = training.store.head, [AccessDenied("the access key may not do this", "run.json")]

    def head_that_fails_once(key):
        if answers:
            raise answers.pop()
        return head(key)

    training.store.head = head_that_fails_once
    training.script = [lambda: training.service.end(training.job.id, 143, TERMINATED)]
    outcome = training.stop()
    assert outcome.code == DONE and outcome_document(outcome)["checkpoint"]["new"] is None
    assert outcome_lines(outcome)[1] == ("newest checkpoint: ckpt-000003-x, iteration 3, and it is not known whether "
                                         "it was saved before or after this request")


def test_modelarts_may_be_away_while_the_job_ends(training):
    def away():
        training.service.outages = 2
        training.service.end(training.job.id, 143, TERMINATED)

    training.script = [away]
    assert training.stop().job.phase == TERMINATED
