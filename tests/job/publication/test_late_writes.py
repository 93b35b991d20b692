"""A write that arrives after its writer's death and its successor's end: noticed, and made good from a checkpoint."""
from __future__ import annotations

import json

import numpy as np
import pytest

from job.publication import late_writes
from job.publication.late_writes import LOST, newest_record, newest_records, restore_records
from job.publication.run_record import RunRecord, read_published
from masf_core.records import checkpoints
from masf_core.records.texts import eva_text, metrics_text
from obs_sync import LocalStore, publish_checkpoint, read_pointer, write_pointer
from tests.masf_core.records.samples import record

CONFIG = {"interval": {"selection": "source_val"}}


def history(to):
    return [record(iteration, target_loss=1.0 / iteration, target_accuracy=10.0 * iteration,
                   validation_accuracy=10.0 * iteration) for iteration in range(1, to + 1)]


class Bucket:
    """A store, and the attempts that write to it."""

    def __init__(self, directory):
        self.directory = directory
        self.store = LocalStore(str(directory / "store"))

    def attempt(self, to, fresh=False, done=False):
        """An attempt that trains to an iteration; returns run.json as it was at its beginning."""
        made = RunRecord("run", CONFIG, read_published(self.store), fresh)
        early = made.text()
        name = made.checkpoint_name(to)
        metadata = {"iteration": to, "lineage": made.lineage, "attempt": made.attempt["id"], **made.written}
        checkpoints.save(str(self.directory / name), {"fc8/weights": np.ones(2, np.float32)}, checkpoints.Progress(
            to, history(to), [], {"lineage": made.lineage, "config": CONFIG}))
        publish_checkpoint(self.store, str(self.directory / name), name, metadata)
        write_pointer(self.store, "best", name)
        self.write(metrics_text(history(to)), eva_text(history(to)))
        made.update(iteration=to)
        if done:
            made.end("done", 0)
        self.store.write("run.json", made.text().encode())
        return early, name

    def write(self, metrics, eva):
        self.store.write("metrics.jsonl", metrics.encode())
        self.store.write("eva.txt", eva.encode())

    def shown(self):
        """run.json and the history as whoever shows the run has them."""
        lines = self.store.read("metrics.jsonl").decode().splitlines()
        return newest_records(self.store, read_published(self.store), [json.loads(line) for line in lines])

    def texts(self):
        return self.store.read("metrics.jsonl").decode(), self.store.read("eva.txt").decode()


@pytest.fixture
def bucket(tmp_path):
    return Bucket(tmp_path)


def test_records_that_agree_with_the_newest_checkpoint_are_left_alone(bucket, caplog):
    bucket.attempt(2)
    bucket.attempt(4, done=True)
    published, texts = read_published(bucket.store), bucket.texts()
    assert bucket.shown() == (published, history(4))
    assert newest_record(bucket.store, published) == published
    restore_records(bucket.store, published)
    assert bucket.texts() == texts and caplog.messages == []


def test_metrics_of_a_killed_attempt_that_arrive_late_are_noticed_and_written_again(bucket, caplog):
    bucket.attempt(2)
    old_metrics, old_eva = bucket.texts()
    bucket.attempt(4, done=True)
    bucket.write(old_metrics, old_eva)
    assert bucket.shown()[1] == history(4)
    assert "metrics.jsonl is older than checkpoint ckpt-000004" in caplog.messages[0]
    caplog.clear()
    restore_records(bucket.store, read_published(bucket.store))
    assert bucket.texts() == (metrics_text(history(4)), eva_text(history(4)))
    assert [message.split(" is older")[0] for message in caplog.messages] == ["metrics.jsonl", "eva.txt"]


def test_a_pointer_that_arrives_late_is_written_again(bucket):
    _, first = bucket.attempt(2)
    _, second = bucket.attempt(4, done=True)
    write_pointer(bucket.store, "best", first)
    restore_records(bucket.store, read_published(bucket.store))
    assert read_pointer(bucket.store, "best") == second


def test_a_run_json_of_an_earlier_attempt_does_not_make_the_run_end_before_its_checkpoint(bucket, caplog):
    bucket.attempt(1)
    early, _ = bucket.attempt(2)
    _, newest = bucket.attempt(4, done=True)
    bucket.store.write("run.json", early.encode())
    run = newest_record(bucket.store, read_published(bucket.store))
    assert run["iteration"] == 4 and [attempt["outcome"] for attempt in run["attempts"]][1:] == [None, LOST]
    assert f"attempt 2, but checkpoint {newest} of attempt 3" in caplog.messages[0]
    following = RunRecord("run", CONFIG, run, fresh=False)
    assert following.written["attempt_number"] == 4
    caplog.clear()
    assert bucket.shown()[0]["iteration"] == 4 and f"run.json is older than checkpoint {newest}" in caplog.messages[0]


def test_a_run_json_of_an_earlier_lineage_does_not_bring_the_lineage_back(bucket):
    early, _ = bucket.attempt(5)
    bucket.attempt(3, fresh=True, done=True)
    lineage = read_published(bucket.store)["lineage"]
    bucket.store.write("run.json", early.encode())
    run = newest_record(bucket.store, read_published(bucket.store))
    assert (run["lineage"], run["iteration"]) == (lineage, 3)


def test_a_run_json_of_the_same_attempt_that_is_older_than_its_checkpoint_is_noted_but_not_replaced(bucket, caplog):
    early, _ = bucket.attempt(4, done=True)
    record = json.loads(early)
    record["written"]["sequence"] = 0
    bucket.store.write("run.json", json.dumps(record).encode())
    bucket.shown()
    assert "run.json is older" in caplog.messages[0]
    assert newest_record(bucket.store, record) == record


def test_checkpoints_of_another_lineage_tell_nothing_about_the_run(bucket, caplog):
    bucket.attempt(5)
    bucket.attempt(3, fresh=True, done=True)
    assert bucket.shown()[1] == history(3) and caplog.messages == []


def test_a_checkpoint_that_cannot_be_read_tells_nothing(bucket, caplog):
    _, name = bucket.attempt(4, done=True)
    bucket.store.write(f"checkpoints/{name}/progress.json", b"{}")
    bucket.write("", "")
    assert bucket.shown()[1] == [] and caplog.messages == []


def test_where_there_is_no_run_there_is_no_record(bucket):
    assert newest_record(bucket.store, None) is None


def test_records_that_are_larger_than_a_run_writes_are_not_read_and_written_again(bucket, monkeypatch):
    bucket.attempt(2, done=True)
    texts = bucket.texts()
    monkeypatch.setattr(late_writes, "LARGEST", 20000)
    monkeypatch.setattr(bucket.store, "read", lambda key: pytest.fail(f"{key} was read") if "metrics" in key
                        else LocalStore.read(bucket.store, key))
    bucket.store.write("metrics.jsonl", texts[0].encode() + b"x" * 20000)
    restore_records(bucket.store, read_published(bucket.store))
    monkeypatch.undo()
    assert bucket.texts() == texts


@pytest.mark.parametrize("damage", [{"iteration": -1}, {"iteration": True}, {"lineage": 1}, {"best": 2}])
def test_a_checkpoint_whose_marker_is_damaged_is_not_the_newest(bucket, damage):
    bucket.attempt(2)
    published = read_published(bucket.store)
    _, name = bucket.attempt(4)
    key = f"checkpoints/{name}.json"
    content = json.loads(bucket.store.read(key).decode())
    content["metadata"].update(damage)
    bucket.store.write(key, json.dumps(content).encode())
    assert newest_records(bucket.store, published, history(2)) == (published, history(2))
