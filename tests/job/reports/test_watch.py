"""Following a run by its folder alone: each thing is told once, and the end of the run is the end of following."""

from __future__ import annotations

import json
import os

import pytest

from job import cli
from job.exits import INTERRUPTED, UNEXPECTED
from job.reports import watch
from obs_sync import LocalStore, StoreUnavailable


class FlakyStore(LocalStore):
    """A directory that is unavailable while ``away``."""

    away = False

    def head(self, key):
        if self.away:
            raise StoreUnavailable("connection refused", key)
        return super().head(key)


class PlayedRun:
    """A run that goes on while its follower sleeps: each sleep does the next step of ``script``."""

    def __init__(self, path):
        self.path = path
        self.store = FlakyStore(str(path))
        self.script = []
        self.time = 0.0
        self.told = []

    def write(self, state="running", accuracies=(), lineage="a", **attempt):
        """run.json, and metrics.jsonl with an interval every 10 iterations."""
        os.makedirs(str(self.path), exist_ok=True)
        records = [{"iteration": 10 * (number + 1), "target_domain": "cartoon", "target_accuracy": accuracy,
                    "validation_accuracy": 50.0, "seconds_per_iteration": 2.0, "target_loss": float("nan")}
                   for number, accuracy in enumerate(accuracies)]
        (self.path / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
        attempts = [dict({"started": "2026-01-01T00:00:00Z", "outcome": None}, **attempt)]
        best = {"iteration": 10, "target_accuracy": 30.0, "validation_accuracy": 50.0} if accuracies else None
        (self.path / "run.json").write_text(json.dumps({
            "format": 1, "run_name": "masf", "state": state, "lineage": lineage, "attempts": attempts, "best": best,
            "iteration": 10 * len(accuracies),
            "config": {"interval": {"selection": "source_val"}, "training": {"train_iterations": 30},
                       "platform": {"lease_seconds": 60.0}}}))

    def sleep(self, seconds):
        self.time += seconds
        assert self.script, "nothing follows, and the follower still waits"
        step = self.script.pop(0)
        if step is not None:
            step()

    def follow(self, **options):
        return watch.follow_run(self.store, self.told.extend, sleep=self.sleep, clock=lambda: self.time, **options)

    @property
    def kinds(self):
        return [event.kind for event in self.told]

    @property
    def text(self):
        return "\n".join(line for event in self.told for line in event.lines)


@pytest.fixture
def run(tmp_path):
    return PlayedRun(tmp_path / "masf_cartoon")


def test_every_interval_is_told_once_and_the_end_of_the_run_ends_the_follower(run):
    run.write(accuracies=[30.0])
    run.script = [None, lambda: run.write(accuracies=[30.0, 40.0]), None,
                  lambda: run.write("done", [30.0, 40.0, 35.0], outcome="done", exit_code=0)]
    assert run.follow() == 0
    assert run.kinds == ["run", "attempt", "interval", "interval", "interval", "end"]
    assert [event.data["record"]["iteration"] for event in run.told if event.kind == "interval"] == [10, 20, 30]
    assert run.text.count("iteration  validation") == 1 and run.text.count("40.00 %") == 1
    assert "40 s left" in run.text and "20 s left" in run.text
    assert run.told[-1].lines == ["best: 30.00 % on the target at iteration 10 (validation 50.00 %)",
                                  "done at iteration 30"]


def test_a_run_that_failed_ends_with_its_own_exit_code_and_reason(run):
    run.write("failed", [30.0], outcome="failed", exit_code=5, reason="the loss is \x1b[31mNaN", to_iteration=14)
    assert run.follow() == 5
    assert run.told[-1].lines[-1] == ("failed at iteration 14, exit code 5 (training diverged, parity not met, or an "
                                          "export computes other numbers): the "
                                      "loss is \\x1b[31mNaN")


@pytest.mark.parametrize("state, recorded, code", [
    ("stopped", None, 143), ("failed", None, 1), ("failed", 0, 1), ("failed", "5", 1), ("done", 5, 0), ("odd", 7, 7)])
def test_an_exit_code_that_the_record_does_not_tell_is_taken_from_the_state(run, state, recorded, code):
    run.write(state, outcome=state, exit_code=recorded)
    assert run.follow() == code


def test_a_run_that_does_not_exist_yet_is_waited_for(run, caplog):
    os.makedirs(str(run.path))
    caplog.set_level("INFO", logger="job")
    run.script = [None, lambda: run.write("done", [30.0])]
    assert run.follow() == 0
    assert [record.getMessage() for record in caplog.records] == [
        f"there is no run at {run.store.url} yet (no run.json); waiting for it"]


def test_a_store_that_is_away_for_a_while_loses_and_repeats_nothing(run, caplog):
    caplog.set_level("INFO", logger="job")

    def leave():
        run.store.away = True
        run.write("done", [30.0, 40.0])

    def come_back():
        run.store.away = False

    run.write(accuracies=[30.0])
    run.script = [leave, None, None, come_back]
    assert run.follow() == 0
    assert run.kinds == ["run", "attempt", "interval", "interval", "end"]
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 2 and messages[0].startswith("the storage does not answer, retrying until it does")


def test_the_time_for_which_the_store_was_away_is_no_silence_of_the_run(run):
    def leave():
        run.store.away = True

    def come_back():
        run.store.away = False

    run.write(accuracies=[30.0])
    run.script = [leave] + [None] * 8 + [come_back, lambda: run.write("done", [30.0])]
    assert run.follow(patience=200.0) == 0 and run.time > 200.0


def test_the_store_may_be_away_for_any_number_of_looks(run):
    def leave():
        run.store.away = True

    def come_back():
        run.store.away = False
        run.write("done", [30.0])

    run.write(accuracies=[30.0])
    run.script = [leave] + [None] * 1100 + [come_back]
    assert run.follow() == 0


def test_a_store_that_does_not_answer_at_all_is_an_error(run):
    run.store.away = True
    with pytest.raises(StoreUnavailable):
        run.follow()


def test_a_fresh_start_under_the_same_name_tells_its_intervals_again(run):
    run.write(accuracies=[30.0, 40.0])
    run.script = [lambda: run.write(accuracies=[31.0], lineage="b"), lambda: run.write("done", [31.0], lineage="b")]
    assert run.follow() == 0
    assert [event.data["record"]["target_accuracy"] for event in run.told if event.kind == "interval"] == [
        30.0, 40.0, 31.0]


def test_a_late_write_that_takes_intervals_back_repeats_none_of_them(run):
    run.write(accuracies=[30.0, 40.0])
    run.script = [lambda: run.write(accuracies=[30.0]), lambda: run.write("done", [30.0, 40.0])]
    assert run.follow() == 0
    assert run.kinds.count("interval") == 2


def test_a_run_without_a_sign_of_life_is_warned_of_once_and_given_up_later(run, caplog):
    run.write(accuracies=[30.0])
    run.script = [None] * 60
    assert run.follow(patience=200.0) == UNEXPECTED
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 2
    assert messages[0].startswith("the run has not renewed its lease for 2 min 05 s. It may have been killed.")
    assert messages[1].startswith("the run has shown no sign of life for 3 min 25 s, so it was probably killed.")


def test_a_renewed_lease_is_a_sign_of_life(run):
    run.write(accuracies=[30.0])
    renewals = iter(range(100))

    def renew():
        run.store.write("lease/1.json", b"x" * next(renewals))

    run.script = [renew] * 60 + [lambda: run.write("done", [30.0])]
    assert run.follow(patience=200.0) == 0


def test_the_command_tells_an_event_in_each_line_of_json(run, capsys):
    run.write("failed", [30.0], outcome="failed", exit_code=3, reason="a\x7fb")
    assert cli.main(["show", str(run.path), "--follow", "--json"]) == 3
    out = capsys.readouterr().out
    assert "\x7f" not in out
    events = [json.loads(line, parse_constant=pytest.fail) for line in out.splitlines()]
    assert [event["event"] for event in events] == ["run", "attempt", "interval", "end"]
    assert events[0]["iterations"] == 30 and events[2]["record"]["target_loss"] is None
    assert events[3] == {"event": "end", "state": "failed", "exit_code": 3, "reason": "a\x7fb", "iteration": 10,
                         "best": {"iteration": 10, "target_accuracy": 30.0, "validation_accuracy": 50.0}}


def test_ctrl_c_ends_the_command_without_a_word_about_an_error(run, capsys, monkeypatch):
    run.write(accuracies=[30.0])

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(watch, "follow_run", interrupted)
    assert cli.main(["show", str(run.path), "-f"]) == INTERRUPTED
    assert capsys.readouterr().err == ""


def test_the_document_of_a_run_has_its_intervals_attempts_and_objects(run, capsys):
    run.write("done", [30.0, 40.0], outcome="done")
    assert cli.main(["show", str(run.path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert set(told) == {"url", "run_name", "state", "iteration", "best", "attempts", "intervals", "config", "objects"}
    assert [record["target_accuracy"] for record in told["intervals"]] == [30.0, 40.0]
    assert [item["key"] for item in told["objects"]] == ["metrics.jsonl", "run.json"]
    assert told["attempts"][0]["outcome"] == "done" and told["best"]["iteration"] == 10


def test_the_document_of_a_comparison_names_what_each_policy_chose(run, capsys):
    run.write("done", [30.0, 40.0])
    assert cli.main(["compare", str(run.path), str(run.path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)["runs"]
    assert [(each["name"], each["selection"], each["target_domain"]) for each in told] == [
        ("masf_cartoon", "source_val", "cartoon")] * 2
    assert told[0]["chosen"]["iteration"] == 10 and len(told[0]["intervals"]) == 2


@pytest.mark.parametrize("failures, seconds", [(1, 6.0), (2, 12.0), (5, 60.0), (5000, 60.0)])
def test_the_pause_grows_to_a_minute_and_an_outage_may_last_for_any_number_of_looks(failures, seconds):
    assert watch.pause_after(failures, 3.0) == seconds
