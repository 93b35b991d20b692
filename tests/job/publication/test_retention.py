"""The newest checkpoints and the best one stay, wherever the job dies."""
from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np
import pytest

from job.config.settings import config_of
from job.preparation import restore_or_begin
from job.publication import policy
from job.publication.publisher import Publisher
from job.publication.restore import Restored
from job.publication.retention import apply_retention, kept_told, name_best
from job.publication.snapshots import Snapshot
from job.workspace import prepare_workspace
from masf_core.records import checkpoints, selection
from obs_sync import StoreUnavailable, list_markers, publish_checkpoint, read_pointer, write_pointer
from obs_sync.checkpoints.collect import find_waste
from obs_sync.checkpoints.verify import verify_checkpoints
from tests.job.faulty_store import FaultyStore

SCORES = {10: 50.0, 20: 90.0, 30: 70.0, 40: 60.0, 50: 55.0}
POINTER = "checkpoints/best.json"


def history(to):
    return [{"iteration": iteration, "validation_accuracy": score, "target_accuracy": 0.0}
            for iteration, score in sorted(SCORES.items()) if iteration <= to]


def snapshot(iteration):
    best = selection.best("source_val", history(iteration))["iteration"] == iteration
    return Snapshot(
        name=f"ckpt-{iteration:06d}-aaaa", attempt=1, arrays={"a/weights": np.full(5, iteration, np.float32)},
        progress=checkpoints.Progress(iteration, history(iteration), [], {"lineage": "line"}), best=best,
        metadata={"iteration": iteration, "lineage": "line"})


@pytest.fixture
def store(tmp_path):
    return FaultyStore(tmp_path / "store")


@pytest.fixture
def attempt(tmp_path, store, monkeypatch):
    """Makes a publisher that keeps two; every one is closed at the end."""
    monkeypatch.setattr(policy, "FIRST_PAUSE", 0.02)
    (tmp_path / "logs").mkdir()
    made = []

    def make(name):
        (tmp_path / name).mkdir()
        made.append(Publisher(store, str(tmp_path / name), str(tmp_path / "logs"), 2, lambda: "{}\n"))
        return made[-1]

    yield make
    for publisher in made:
        publisher.close()


def deliver(publisher, *iterations):
    for iteration in iterations:
        publisher.submit(snapshot(iteration))
        publisher.drain(seconds=20)


def killed_before_the_pointer(store, publisher, iteration):
    """Deliver a checkpoint whose marker is the last thing that arrives."""
    there = threading.Event()

    def die(operation, key):
        if key == POINTER or there.is_set():
            there.set()
            raise StoreUnavailable("the process is dead", str(key))

    store.fail = die
    publisher.submit(snapshot(iteration))
    assert there.wait(20)
    publisher.close()
    store.fail = lambda operation, key: None


def names(store):
    return [marker.name for marker in list_markers(store)]


def test_the_best_is_named_and_stays_though_the_job_died_between_its_marker_and_the_pointer(store, attempt):
    first = attempt("first")
    deliver(first, 10)
    killed_before_the_pointer(store, first, 20)
    assert read_pointer(store, "best") == "ckpt-000010-aaaa" and "ckpt-000020-aaaa" in names(store)
    name_best(store, "line", "source_val", history(20))
    assert read_pointer(store, "best") == "ckpt-000020-aaaa"
    deliver(attempt("second"), 30, 40, 50)
    assert names(store) == ["ckpt-000020-aaaa", "ckpt-000040-aaaa", "ckpt-000050-aaaa"]
    assert read_pointer(store, "best") == "ckpt-000020-aaaa"


def test_retention_does_not_rely_on_the_pointer_alone(store, attempt):
    first = attempt("first")
    deliver(first, 10)
    killed_before_the_pointer(store, first, 20)
    deliver(attempt("second"), 30, 40, 50)
    assert names(store) == [f"ckpt-0000{i}0-aaaa" for i in (1, 2, 4, 5)]


def published(store, tmp_path, iteration, name, lineage="line"):
    (tmp_path / name).mkdir()
    (tmp_path / name / "network.npz").write_bytes(b"weights")
    publish_checkpoint(store, str(tmp_path / name), name, {"iteration": iteration, "lineage": lineage})


@pytest.mark.parametrize("pointer", [None, b"no pointer at all", b'{"format": "masf-pointer/1", "name": "removed"}'])
def test_a_pointer_that_leads_nowhere_is_written_again(store, tmp_path, pointer):
    for iteration in (10, 30):
        published(store, tmp_path, iteration, f"ckpt-{iteration:06d}-aaaa")
    if pointer is not None:
        store.write(POINTER, pointer)
    name_best(store, "line", "source_val", history(30))  # the checkpoint of 20, the best, was never published
    assert read_pointer(store, "best") == "ckpt-000010-aaaa"


def test_what_is_not_of_this_history_is_not_named(store, tmp_path):
    published(store, tmp_path, 20, "ckpt-000020-old", lineage="older")
    published(store, tmp_path, 10, "ckpt-000010-aaaa")
    published(store, tmp_path, 20, "ckpt-000020-aaaa")  # damaged, say: the run goes on from 10
    write_pointer(store, "best", "ckpt-000020-old")
    name_best(store, "line", "source_val", history(10))
    assert read_pointer(store, "best") == "ckpt-000010-aaaa"


def test_a_pointer_that_is_right_is_left_alone(store, attempt):
    deliver(attempt("first"), 10, 20, 30)
    store.changes.clear()
    name_best(store, "line", "source_val", history(30))
    assert store.changes == []


def test_nothing_published_of_a_lineage_leaves_the_pointer_of_another(store, tmp_path):
    published(store, tmp_path, 20, "ckpt-000020-old", lineage="older")
    write_pointer(store, "best", "ckpt-000020-old")
    name_best(store, "line", "source_val", history(20))
    apply_retention(store, "older", keep=1)
    assert read_pointer(store, "best") == "ckpt-000020-old" and names(store) == ["ckpt-000020-old"]


def test_a_checkpoint_whose_marker_is_damaged_stays(store, tmp_path):
    published(store, tmp_path, "10", "ckpt-000010-aaaa")
    for iteration in (20, 30, 40):
        published(store, tmp_path, iteration, f"ckpt-{iteration:06d}-aaaa")
    name_best(store, "line", "source_val", history(40))
    apply_retention(store, "line", keep=1)
    assert names(store) == ["ckpt-000010-aaaa", "ckpt-000020-aaaa", "ckpt-000040-aaaa"]


def test_what_an_attempt_keeps_for_good_stays_in_the_next_one_which_does_not(store, attempt):
    first = attempt("first")
    for iteration in (10, 20, 30):
        first.submit(snapshot(iteration)._replace(kept=iteration == 10))
        first.drain(seconds=20)
    deliver(attempt("second"), 40, 50)
    assert names(store) == [f"ckpt-0000{i}0-aaaa" for i in (1, 2, 4, 5)]
    (folder,) = verify_checkpoints(store)
    assert [(verdict.name, verdict.faults) for verdict in folder.verdicts] == [(name, ()) for name in names(store)]
    assert find_waste(store, lambda name: True) == []


@pytest.mark.parametrize("every, told", [
    (100, "keep_every=100 keeps 3 checkpoints of about 1.2 GB for good, besides the newest ones and the best: "
          "3.6 GB at the end of the run"),
    (300, "keep_every=300 keeps 1 checkpoint of about 1.2 GB for good, besides the newest ones and the best: "
          "1.2 GB at the end of the run"),
    (400, "keep_every=400 keeps no checkpoint, because train_iterations is 300")])
def test_what_keeping_costs_is_told(every, told):
    assert kept_told(every, 300, 1204500000) == told


def test_a_run_that_goes_on_names_the_best_before_it_trains(store, tmp_path):
    published(store, tmp_path, 10, "ckpt-000010-aaaa")
    published(store, tmp_path, 20, "ckpt-000020-aaaa")
    write_pointer(store, "best", "ckpt-000010-aaaa")
    workspace = prepare_workspace(str(tmp_path / "work"), "run")
    run = SimpleNamespace(
        store=store, workspace=workspace, config=config_of({}),
        console=SimpleNamespace(task=lambda *_: None, check_stop=lambda: None),
        times=SimpleNamespace(mark=lambda name: None),
        record=SimpleNamespace(lineage="line", update_attempt=lambda **_: None))
    restored = Restored({}, snapshot(20).progress, "ckpt-000020-aaaa")
    model = SimpleNamespace(shapes=dict, load=lambda arrays: None)
    restore_or_begin(run, model, None, None, SimpleNamespace(newest=lambda shapes, on_progress: restored))
    assert read_pointer(store, "best") == "ckpt-000020-aaaa"
