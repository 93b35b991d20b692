"""Publication in the background: what is delivered, in which order, and what happens when the storage is away."""
from __future__ import annotations

import hashlib
import os
import sys
import threading
import weakref

import numpy as np
import pytest

from job.publication import delivery, policy, priority
from job.publication.delivery import NotDelivered
from job.publication.publisher import Publisher
from job.publication.snapshots import Snapshot
from masf_core.records import checkpoints
from obs_sync import AccessDenied, StoreUnavailable, list_markers, publish_checkpoint, read_pointer
from tests.job.faulty_store import FaultyStore, Gate, failing_with, outage
from tests.masf_core.records.samples import progress_at


def snapshot(iteration, best=False, lineage="line", kept=False):
    return Snapshot(
        name=f"ckpt-{iteration:06d}-aaaa", attempt=1, arrays={"a/weights": np.full(5, iteration, np.float32)},
        progress=progress_at(iteration, lineage=lineage), best=best, kept=kept,
        metadata={"iteration": iteration, "lineage": lineage})


@pytest.fixture
def parts(tmp_path, monkeypatch):
    """(publisher factory, store, spool, logs); every publisher is closed at the end."""
    monkeypatch.setattr(policy, "FIRST_PAUSE", 0.02)
    store, spool, logs = FaultyStore(tmp_path / "store"), tmp_path / "spool", tmp_path / "logs"
    spool.mkdir()
    logs.mkdir()
    (logs / "eva.txt").write_text("a line\n")
    made = []

    def make(keep=2):
        made.append(Publisher(store, str(spool), str(logs), keep, lambda: '{"state": "running"}\n'))
        return made[-1]

    yield make, store, spool, logs
    for publisher in made:
        publisher.close()


def names(store):
    return [marker.name for marker in list_markers(store)]


def test_a_snapshot_and_the_logs_arrive_and_the_spool_is_emptied(parts):
    make, store, spool, _ = parts
    publisher = make()
    publisher.submit(snapshot(20, best=True))
    publisher.drain(seconds=20)
    assert names(store) == ["ckpt-000020-aaaa"]
    assert read_pointer(store, "best") == "ckpt-000020-aaaa"
    assert store.read("eva.txt") == b"a line\n"
    assert store.read("run.json") == b'{"state": "running"}\n'
    assert os.listdir(str(spool)) == []
    assert publisher.state() == {"published": "ckpt-000020-aaaa", "waiting": [], "last_failure": None}


def test_the_marker_comes_after_the_files_and_before_the_pointer(parts):
    make, store, _, _ = parts
    publisher = make()
    publisher.submit(snapshot(20, best=True))
    publisher.drain(seconds=20)
    keys = [key for _, key in store.changes if isinstance(key, str) and key.startswith("checkpoints/")]
    assert keys[-2:] == ["checkpoints/ckpt-000020-aaaa.json", "checkpoints/best.json"]
    assert set(keys[:-2]) == {"checkpoints/ckpt-000020-aaaa/network.npz", "checkpoints/ckpt-000020-aaaa/progress.json"}


def test_retention_keeps_the_newest_the_best_and_other_lineages(parts):
    make, store, _, _ = parts
    publisher = make(keep=2)
    for item in (snapshot(5, lineage="older"), snapshot(10, best=True), snapshot(20), snapshot(30), snapshot(40)):
        publisher.submit(item)
        publisher.drain(seconds=20)
    assert names(store) == [f"ckpt-{i:06d}-aaaa" for i in (5, 10, 30, 40)]


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


@pytest.mark.parametrize("kind, told", [
    (AccessDenied, "old checkpoints are not deleted: this key has no permission to delete objects"),
    (StoreUnavailable, "old checkpoints could not be deleted, retrying after the next checkpoint"),
    (OSError, "old checkpoints could not be deleted, retrying after the next checkpoint"),
])
def test_where_nothing_can_be_deleted_everything_is_delivered_and_one_warning_says_so(parts, caplog, kind, told):
    make, store, spool, _ = parts
    publisher = make(keep=1)

    def fail(operation, key):
        if operation == "delete":
            raise kind("403 AccessDenied")

    store.fail = fail
    for item in (snapshot(10, best=True), snapshot(20), snapshot(30), snapshot(40)):
        publisher.submit(item)
        publisher.drain(seconds=20)
    assert len(names(store)) == 4 and os.listdir(str(spool)) == []
    assert publisher.state() == {"published": "ckpt-000040-aaaa", "waiting": [], "last_failure": None}
    warning, = warnings(caplog)
    assert warning.startswith(told)


def test_retention_that_hangs_fails_no_publication(parts, caplog):
    make, store, _, _ = parts
    gate, publisher = Gate(), make(keep=1)
    store.fail = lambda operation, key: gate(operation, key) if operation == "delete" else None
    try:
        publisher.submit(snapshot(10))
        publisher.drain(seconds=20)
        publisher.submit(snapshot(20))
        publisher.drain(seconds=1)
        assert len(names(store)) == 2 and warnings(caplog) == []
    finally:
        gate.open()


def test_log_files_that_are_refused_are_not_told_as_the_checkpoint_before_them(parts, caplog):
    make, store, _, _ = parts

    def fail(operation, key):
        if key == "run.json":
            raise AccessDenied("403 AccessDenied", key)

    store.fail = fail
    publisher = make()
    publisher.submit(snapshot(10))
    with pytest.raises(NotDelivered, match="not published: the log files"):
        publisher.drain()
    assert names(store) == ["ckpt-000010-aaaa"]
    assert all("ckpt-000010" not in warning for warning in warnings(caplog))


def test_a_slow_storage_makes_waiting_checkpoints_give_way_to_the_newest_and_the_best(parts):
    make, store, _, _ = parts
    store.fail = gate = Gate()
    publisher = make(keep=9)
    publisher.submit(snapshot(10))
    gate.wait()
    for item in (snapshot(20, best=True), snapshot(30), snapshot(40), snapshot(50)):
        publisher.submit(item)
    assert publisher.state()["waiting"] == ["ckpt-000010-aaaa", "ckpt-000020-aaaa", "ckpt-000050-aaaa"]
    gate.open()
    publisher.drain(seconds=20)
    assert names(store) == ["ckpt-000010-aaaa", "ckpt-000020-aaaa", "ckpt-000050-aaaa"]
    assert read_pointer(store, "best") == "ckpt-000020-aaaa"


def test_what_is_kept_for_good_waits_in_the_spool_and_takes_the_pointer_from_no_better_one(parts):
    make, store, spool, _ = parts
    store.fail = gate = Gate()
    publisher = make(keep=1)
    publisher.submit(snapshot(10))
    gate.wait()
    for item in (snapshot(20, best=True, kept=True), snapshot(30, best=True), snapshot(40, kept=True), snapshot(50)):
        publisher.submit(item)
    assert publisher.state()["waiting"] == [f"ckpt-0000{i}0-aaaa" for i in (1, 2, 3, 4, 5)]
    in_memory = [item.progress.iteration for item in publisher._worker.state.queue.waiting if item.arrays is not None]
    assert in_memory == [50]
    gate.open()
    publisher.drain(seconds=20)
    assert names(store) == [f"ckpt-0000{i}0-aaaa" for i in (2, 3, 4, 5)] and os.listdir(str(spool)) == []
    assert read_pointer(store, "best") == "ckpt-000030-aaaa"


def test_a_run_that_has_to_stop_saves_what_is_kept_for_good(parts):
    make, store, spool, _ = parts
    store.fail = gate = Gate()
    publisher = make()
    publisher.submit(snapshot(10))
    gate.wait()
    publisher.submit(snapshot(20, kept=True))
    with pytest.raises(NotDelivered):
        publisher.drain_within(0.2, snapshot(25))
    assert {f"ckpt-0000{i}-aaaa" for i in (10, 20, 25)} <= set(os.listdir(str(spool)))
    gate.open()


def test_an_outage_is_outlived_under_a_fresh_name(parts):
    make, store, spool, _ = parts
    failures = []

    def fail_three_times(operation, key):
        if len(failures) < 3 and operation == "upload":
            failures.append(key)
            outage(operation, key)

    store.fail = fail_three_times
    publisher = make()
    publisher.submit(snapshot(20))
    publisher._worker.join(0.3)  # let it fail before the drain counts its attempts
    publisher.drain(seconds=20)
    (name,) = names(store)
    assert name.startswith("ckpt-000020-aaaa-")
    assert os.listdir(str(spool)) == []


def test_what_cannot_be_delivered_is_kept_and_named(parts):
    make, store, spool, _ = parts
    store.fail = outage
    publisher = make()
    publisher.submit(snapshot(20))
    with pytest.raises(NotDelivered, match="ckpt-000020-aaaa .*the storage is away.*" + str(spool)):
        publisher.drain()
    arrays, progress = checkpoints.load(str(spool / "ckpt-000020-aaaa"))
    assert progress.iteration == 20 and arrays["a/weights"][0] == 20.0
    assert names(store) == []


def test_after_an_outage_the_spool_holds_the_newest_and_the_best_and_nothing_else(parts):
    make, store, spool, _ = parts
    store.fail = outage
    publisher = make()
    for item in (snapshot(10), snapshot(20, best=True), snapshot(30), snapshot(40), snapshot(50)):
        publisher.submit(item)
    with pytest.raises(NotDelivered, match="The same command delivers them") as caught:
        publisher.drain()
    publisher.close()
    kept = sorted(os.listdir(str(spool)))
    assert {"ckpt-000020-aaaa", "ckpt-000050-aaaa"} <= set(kept) <= {f"ckpt-0000{i}-aaaa" for i in (10, 20, 50)}
    for name in kept:
        assert checkpoints.load_progress(str(spool / name)).iteration == int(name[5:11])
    assert all(name in str(caught.value) for name in kept)


def test_the_newest_is_delivered_first(parts):
    make, store, _, _ = parts
    store.fail = gate = Gate()
    publisher = make(keep=9)
    publisher.submit(snapshot(10))
    gate.wait()
    publisher.submit(snapshot(20, best=True))
    publisher.submit(snapshot(30))
    gate.open()
    publisher.drain(seconds=20)
    markers = [key for operation, key in store.changes
               if operation == "write" and key.startswith("checkpoints/ckpt") and key.endswith(".json")]
    assert [key[len("checkpoints/ckpt-"):][:6] for key in markers] == ["000010", "000030", "000020"]


def test_an_older_best_that_failed_does_not_take_the_pointer_back(parts):
    make, store, _, _ = parts
    gate, failed = Gate(), []

    def fail_once(operation, key):
        if not failed:
            failed.append(key)
            gate(operation, key)
            outage(operation, key)

    store.fail = fail_once
    publisher = make(keep=9)
    publisher.submit(snapshot(10, best=True))
    gate.wait()
    publisher.submit(snapshot(20, best=True))
    gate.open()
    publisher.drain(seconds=20)
    assert read_pointer(store, "best") == "ckpt-000020-aaaa"
    assert names(store) == ["ckpt-000020-aaaa"]


def test_a_refusal_is_not_asked_again(parts):
    make, store, _, _ = parts

    store.fail = failing_with(AccessDenied, "wrong key")
    publisher = make()
    publisher.submit(snapshot(20))
    with pytest.raises(NotDelivered, match="wrong key"):
        publisher.drain()
    assert len([key for operation, key in store.changes if operation == "upload"]) <= 4  # two attempts of two files


def test_a_drain_with_a_deadline_ends(parts):
    make, store, _, _ = parts
    store.fail = gate = Gate()
    publisher = make()
    publisher.submit(snapshot(20))
    with pytest.raises(NotDelivered, match="the deadline passed"):
        publisher.drain(seconds=0.2)
    gate.open()


def test_a_failing_local_disk_does_not_stop_training_and_is_reported(parts):
    make, store, spool, _ = parts
    os.rmdir(str(spool))
    spool.write_text("a file where the spool should be")
    publisher = make()
    publisher.submit(snapshot(20))
    with pytest.raises(NotDelivered, match="cannot write checkpoint"):
        publisher.drain()


def test_a_log_that_grows_during_its_upload_is_no_failure(parts):
    make, store, _, logs = parts

    def grow(operation, key):
        if key == "eva.txt":
            with open(str(logs / "eva.txt"), "a") as stream:
                stream.write("another\n")

    store.fail = grow
    publisher = make()
    publisher.publish_logs()
    publisher.drain(seconds=20)
    assert store.read("eva.txt") == b"a line\n"


def test_nothing_grows_from_interval_to_interval(parts):
    make, store, spool, _ = parts
    publisher = make()
    held = []
    threads = None
    for iteration in range(10, 110, 10):
        item = snapshot(iteration)
        held.append(weakref.ref(item.arrays["a/weights"]))
        publisher.submit(item)
        del item
        publisher.drain(seconds=20)
        assert [reference() for reference in held] == [None] * len(held)  # not even the last one's is kept
        assert os.listdir(str(spool)) == []
        threads = threads or threading.active_count()
        assert threading.active_count() == threads


def test_arrays_are_let_go_once_they_are_in_the_spool(parts):
    make, store, spool, _ = parts
    store.fail = gate = Gate()
    publisher = make()
    item = snapshot(10)
    reference = weakref.ref(item.arrays["a/weights"])
    publisher.submit(item)
    del item
    gate.wait()  # the upload has begun, and takes its time
    assert reference() is None
    gate.open()
    publisher.drain(seconds=20)


def test_what_is_dropped_goes_from_memory_and_spool_and_the_log_says_why(parts, caplog):
    make, store, spool, _ = parts
    store.fail = gate = Gate()
    publisher = make(keep=9)
    publisher.submit(snapshot(10, best=True))
    gate.wait()
    dropped = []
    for iteration in range(20, 100, 10):
        item = snapshot(iteration)
        dropped.append(weakref.ref(item.arrays["a/weights"]))
        publisher.submit(item)
        del item
        assert len(publisher.state()["waiting"]) <= 3
    publisher.submit(snapshot(100))
    assert [reference() for reference in dropped] == [None] * len(dropped)
    assert os.listdir(str(spool)) == ["ckpt-000010-aaaa"]
    assert [record.getMessage() for record in caplog.records][:1] == [
        "uploads take longer than intervals: checkpoint ckpt-000020-aaaa is dropped, because ckpt-000030-aaaa is newer"]
    assert len(caplog.records) == 8
    gate.open()
    publisher.drain(seconds=20)
    assert names(store) == ["ckpt-000010-aaaa", "ckpt-000100-aaaa"]
    assert read_pointer(store, "best") == "ckpt-000010-aaaa"


def test_a_snapshot_is_read_for_its_digests_only_if_it_was_written_by_another_process(parts, monkeypatch):
    make, store, spool, _ = parts
    digests = {}

    def publish(store, directory, name, metadata, **options):
        digests[name] = options["digests"]
        return publish_checkpoint(store, directory, name, metadata, **options)

    monkeypatch.setattr(delivery, "publish_checkpoint", publish)
    publisher = make()
    publisher.submit(snapshot(10))
    publisher.drain(seconds=20)
    item = snapshot(20)
    checkpoints.save(str(spool / item.name), item.arrays, item.progress)
    publisher.submit(item._replace(arrays=None))
    publisher.drain(seconds=20)
    assert digests["ckpt-000020-aaaa"] is None
    for marker in list_markers(store):
        for file in marker.files:
            content = store.read(f"checkpoints/{marker.name}/{file.name}")
            assert file.sha256 == hashlib.sha256(content).hexdigest()
    assert set(digests["ckpt-000010-aaaa"]) == {"network.npz", "progress.json"}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only there has a thread its own niceness")
def test_publication_leaves_the_processor_to_training(parts):
    make, store, _, _ = parts
    before, seen = os.getpriority(os.PRIO_PROCESS, 0), []
    store.fail = lambda operation, key: seen.append(os.getpriority(os.PRIO_PROCESS, 0))
    publisher = make()
    publisher.submit(snapshot(10))
    publisher.drain(seconds=20)
    assert set(seen) == {priority.NICENESS}
    assert os.getpriority(os.PRIO_PROCESS, 0) == before
