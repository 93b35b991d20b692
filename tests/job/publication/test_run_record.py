"""run.json: lineages and attempts."""
from __future__ import annotations

import contextlib
import json
import random

import pytest

from job.config import loading
from job.errors import ConfigError
from job.publication import run_record
from job.publication.run_record import RunRecord, read_published
from obs_sync import IntegrityError, LocalStore
from tests.mutations import changed_bytes


def test_a_continued_run_keeps_its_lineage_and_closes_attempts_that_were_killed():
    first = RunRecord("r", {"a": 1}, None, fresh=True)
    second = RunRecord("r", {"a": 1}, json.loads(first.text()), fresh=False)
    assert second.lineage == first.lineage
    assert second.content["attempts"][0]["outcome"] == "ended without a record"
    assert second.content["attempts"][1]["outcome"] is None
    assert second.checkpoint_name(7) != first.checkpoint_name(7)
    assert second.checkpoint_name(7).startswith("ckpt-000007-")
    assert len({second.checkpoint_name(7) for _ in range(3)}) == 3


def test_a_fresh_start_begins_a_lineage_and_keeps_the_history_of_attempts():
    first = RunRecord("r", {}, None, fresh=True)
    second = RunRecord("r", {}, json.loads(first.text()), fresh=True)
    assert second.lineage != first.lineage
    assert len(second.content["attempts"]) == 2


def test_the_end_of_an_attempt_says_how(tmp_path):
    record = RunRecord("r", {}, None, fresh=True)
    record.end("stopped", 143, left_undone="nothing")
    store = LocalStore(str(tmp_path))
    assert read_published(store) is None
    store.write("run.json", record.text().encode())
    content = read_published(store)
    assert content["state"] == "stopped"
    assert content["attempts"][0]["exit_code"] == 143


GOOD = {
    "format": 1, "run_name": "r", "state": "stopped", "lineage": "0a1b", "iteration": 20,
    "config": {"training": {"outer_lr": 1e-4, "target": None}, "data": {"domains": ["photo", "sketch"]}},
    "attempts": [{"id": "a", "started": "2026-01-31T12:00:00Z", "outcome": None, "from_iteration": 0}],
    "best": {"iteration": 20, "target_accuracy": 40.0, "validation_accuracy": 50.0},
    "data": {"fingerprint": "f", "classes": ["cat"], "images": {"photo": 1670}, "split": "lists", "lists": ["a.txt"],
             "left_out": [], "use": {"train": 1, "validation": 2, "target": 3}},
    "initial_weights": {"source": "obs://b/w", "classes": ["cat"], "sha256": "0"}, "versions": {"python": "3.7"}}


@pytest.mark.parametrize("text", [b"not json", b"[]", b'{"format": 99}', b'{"format": 1}', b"[" * 100000, b"\xff", b""])
def test_a_run_json_of_somebody_else_is_not_overwritten(tmp_path, text):
    store = LocalStore(str(tmp_path))
    store.write("run.json", text)
    with pytest.raises(IntegrityError, match="--run_name"):
        read_published(store)


@pytest.mark.parametrize("change, told", [
    ({"config": [1]}, "config: expected an object, found a list of 1"),
    ({"config": {"training": 1}}, "config.training: expected an object, found 1"),
    ({"config": {"training": {"outer_lr": [[[1]]]}}}, "config.training.outer_lr nests deeper than 2 levels"),
    ({"iteration": "x"}, "iteration: expected a whole number"),
    ({"iteration": -1}, "iteration: expected a whole number"),
    ({"iteration": 10 ** 30}, "iteration: expected a whole number"),
    ({"attempts": {}}, "attempts: expected a list"),
    ({"attempts": ["x"]}, "attempts[0]: expected an object, found 'x'"),
    ({"attempts": [{"started": "now", "outcome": {}}]}, "attempts[0].outcome: expected text, found an object"),
    ({"attempts": [{"outcome": "done"}]}, "attempts[0].started is missing"),
    ({"data": "x"}, "data: expected an object, found 'x'"),
    ({"data": {"fingerprint": 7}}, "data.fingerprint: expected text, found 7"),
    ({"data": {"images": {"photo": "many"}}}, "data.images.photo: expected a whole number"),
    ({"best": {"iteration": 20}}, "best.target_accuracy is missing"),
    ({"lineage": None}, "lineage: expected text, found null"),
    ({"state": 1}, "state: expected text, found 1"),
])
def test_a_damaged_run_json_is_one_error_that_says_how_to_go_on(tmp_path, change, told):
    store = LocalStore(str(tmp_path))
    store.write("run.json", json.dumps(dict(GOOD, **change)).encode())
    with pytest.raises(IntegrityError) as caught:
        read_published(store)
    assert told in str(caught.value) and "run.json. Repair it, choose another --run_name, or" in str(caught.value)


def test_a_run_json_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    store = LocalStore(str(tmp_path))
    store.write("run.json", json.dumps(GOOD).encode())
    assert read_published(store) == GOOD
    monkeypatch.setattr(run_record, "LARGEST", 100)
    with pytest.raises(IntegrityError, match="bytes; at most 100 are read.*--run_name"):
        read_published(store)


def test_what_stands_in_a_run_json_never_ends_a_command_in_a_trace(tmp_path):
    """Whatever is read is a record that a new attempt can go on from, and whose configuration is one or is refused."""
    store, chosen, refused = LocalStore(str(tmp_path)), random.Random(3), 0
    for _ in range(400):
        store.write("run.json", changed_bytes(GOOD, chosen))
        try:
            read = read_published(store)
        except IntegrityError:
            refused += 1
            continue
        RunRecord("r", {}, read, fresh=False).end("done", 0)
        with contextlib.suppress(ConfigError):
            loading.from_dict(read["config"])
    assert 150 < refused < 400


def test_a_configuration_that_another_version_wrote_says_where_it_is_and_what_to_do():
    with pytest.raises(ConfigError, match="^config in run.json: unknown setting 'x'.*or give another --run_name$"):
        loading.from_dict({"training": {"x": 1}})
