"""Publication ends: uploads that hang, a deadline, the seconds that the platform leaves, a lease that was lost."""
from __future__ import annotations

import os
import threading
import time

import numpy as np
import pytest

from job.publication import delivery, policy
from job.publication.delivery import NotDelivered
from job.publication.policy import pause_after
from job.publication.publisher import Publisher
from masf_core.records import checkpoints
from obs_sync import AccessDenied, BucketNotFound, LeaseLost, LocalStorageError, list_markers, open_store
from obs_sync.mock import mock_obs
from tests.job.faulty_store import FaultyStore, Gate, failing_with, outage
from tests.job.publication.test_publisher import names, parts, snapshot  # noqa: F401  (parts is a fixture)


def large(iteration, megabytes=4.0):
    item = snapshot(iteration)
    values = np.random.RandomState(iteration).standard_normal(int(megabytes * 1e6 / 4)).astype(np.float32)
    return item._replace(arrays={"a/weights": values})


class SlowStore(FaultyStore):
    """Storing takes as long on the test's clock as the rate says."""

    def __init__(self, path):
        super().__init__(path)
        self.now, self.rate = 1000.0, 1e6

    def clock(self):
        return self.now

    def upload(self, path, key, on_bytes=None, with_md5=True):
        seconds = os.path.getsize(path) / self.rate
        with self._lock:  # a checkpoint's files are stored by several threads
            self.now += seconds
        return super().upload(path, key, on_bytes, with_md5)


@pytest.fixture
def slow(tmp_path):
    """(publisher, store, spool) on a clock that only uploads move: 1 MB a second."""
    store, spool, logs = SlowStore(tmp_path / "store"), tmp_path / "spool", tmp_path / "logs"
    spool.mkdir()
    logs.mkdir()
    (logs / "eva.txt").write_text("a line\n")
    publisher = Publisher(store, str(spool), str(logs), 2, lambda: "{}\n", clock=store.clock)
    yield publisher, store, spool
    publisher.close()


def test_pauses_between_attempts_grow_to_a_minute():
    assert [pause_after(failures) for failures in (1, 2, 3, 6, 7, 50)] == [1.0, 2.0, 4.0, 32.0, 60.0, 60.0]


def test_before_anything_is_uploaded_all_that_wait_are_in_the_spool(parts):  # noqa: F811
    make, store, spool, _ = parts
    gate, spooled = Gate(), []

    def look(operation, key):
        if operation == "upload" and key.startswith("checkpoints/ckpt-000030"):
            spooled.append(sorted(os.listdir(str(spool))))
        gate(operation, key)

    store.fail = look
    publisher = make(keep=9)
    publisher.submit(snapshot(10))
    gate.wait()
    publisher.submit(snapshot(20, best=True))
    publisher.submit(snapshot(30))
    gate.open()
    publisher.drain(seconds=20)
    assert spooled[0] == ["ckpt-000020-aaaa", "ckpt-000030-aaaa"]


def test_an_upload_of_which_no_byte_moves_has_failed_and_is_tried_again(parts, monkeypatch):  # noqa: F811
    make, store, spool, _ = parts
    monkeypatch.setattr(delivery, "STALL", 0.3)
    blocked, hung = threading.Event(), []

    def hang_once(operation, key):
        if key == "checkpoints/ckpt-000020-aaaa/network.npz":
            hung.append(key)
            blocked.wait(60)

    store.fail = hang_once
    publisher = make()
    publisher.submit(snapshot(20))
    deadline, failures = time.monotonic() + 30, set()
    while not names(store) and time.monotonic() < deadline:
        time.sleep(0.005)
        failures.add((publisher.state()["last_failure"] or "")[:13])
    assert failures == {"", "no byte moved"}
    assert names(store) == ["ckpt-000020-aaaa-2"] and len(hung) == 1
    blocked.set()


def test_small_things_that_hang_fail_and_do_not_keep_the_checkpoints_back(parts, monkeypatch):  # noqa: F811
    make, store, _, _ = parts
    monkeypatch.setattr(delivery, "SMALL_OPERATION", 0.2)
    blocked = threading.Event()
    store.fail = lambda operation, key: key == "eva.txt" and blocked.wait(60)
    publisher = make()
    publisher.submit(snapshot(20))
    with pytest.raises(NotDelivered, match="the log files .*did not end within"):
        publisher.drain()
    assert names(store) == ["ckpt-000020-aaaa"]
    blocked.set()


def test_log_files_that_were_still_under_way_at_the_deadline_are_not_taken_for_delivered(parts):  # noqa: F811
    make, store, _, _ = parts
    blocked = threading.Event()
    store.fail = lambda operation, key: blocked.wait(60)
    publisher = make()
    publisher.publish_logs()
    with pytest.raises(NotDelivered, match="the log files .the deadline passed"):
        publisher.drain(seconds=0.3)
    blocked.set()


def test_when_time_is_short_the_logs_go_first(slow):
    publisher, store, _ = slow
    publisher.submit(large(10))
    publisher.drain()
    del store.changes[:]
    publisher.drain_within(9.0, large(20))
    keys = [key for operation, key in store.changes if operation != "delete"]
    assert keys[:2] == ["eva.txt", "run.json"]
    assert [key for key in keys if key.endswith("20-aaaa.json")]
    assert names(store) == ["ckpt-000010-aaaa", "ckpt-000020-aaaa"]


def test_a_checkpoint_that_cannot_arrive_in_time_is_not_begun_and_lies_in_the_spool(slow, caplog):
    publisher, store, spool = slow
    publisher.submit(large(10))
    publisher.drain()
    begun = store.now
    with pytest.raises(NotDelivered, match="not published: ckpt-000020-aaaa .*take 4 s at 1.0 MB/s, and 3 s are left"):
        publisher.drain_within(3.0, large(20))
    assert names(store) == ["ckpt-000010-aaaa"]
    assert not [key for _, key in store.changes if "000020" in str(key)]
    assert store.now - begun < 1.0
    assert checkpoints.load_progress(str(spool / "ckpt-000020-aaaa")).iteration == 20
    (line,) = [message for message in caplog.messages if "is not uploaded" in message]
    assert str(spool) in line and "ckpt-000020-aaaa" in line


def test_as_many_as_fit_are_delivered_the_newest_first(slow):
    publisher, store, _ = slow
    publisher.submit(large(10))
    publisher.drain()
    with publisher._worker.changed:
        publisher.submit(large(20)._replace(best=True))
        publisher._change(lambda state: state.budget_begun(0.0))  # lest the worker is faster than the test
    with pytest.raises(NotDelivered, match="not published: ckpt-000020-aaaa"):
        publisher.drain_within(6.0, large(30))
    assert names(store)[-1] == "ckpt-000030-aaaa" and len(names(store)) == 2


def test_without_a_rate_to_go_by_it_is_tried_and_the_deadline_ends_it(parts):  # noqa: F811
    make, store, spool, _ = parts
    blocked = threading.Event()
    store.fail = lambda operation, key: str(key).startswith("checkpoints/") and blocked.wait(60)
    publisher = make()
    started = time.monotonic()
    with pytest.raises(NotDelivered, match="ckpt-000020-aaaa"):
        publisher.drain_within(0.5, snapshot(20))
    assert time.monotonic() - started < 10.0
    assert store.read("run.json") and checkpoints.load_progress(str(spool / "ckpt-000020-aaaa")).iteration == 20
    blocked.set()


def test_over_a_slow_link_the_logs_arrive_and_what_cannot_is_left(tmp_path):
    for name in ("spool", "logs"):
        (tmp_path / name).mkdir()
    (tmp_path / "logs" / "eva.txt").write_text("first\n")
    with mock_obs(buckets=["bucket"], link_bytes_per_second=2e6) as mock, \
            open_store("obs://bucket/run/", mock.environment()) as store:
        publisher = Publisher(store, str(tmp_path / "spool"), str(tmp_path / "logs"), 2, lambda: "{}\n")
        publisher.submit(large(10, megabytes=1.0))
        publisher.drain(seconds=60)
        (tmp_path / "logs" / "eva.txt").write_text("second\n")
        started = time.monotonic()
        with pytest.raises(NotDelivered, match="ckpt-000020-aaaa"):
            publisher.drain_within(5.0, large(20, megabytes=24.0))  # 12 s and more
        assert time.monotonic() - started < 12.0
        assert store.read("eva.txt") == b"second\n"
        assert [marker.name for marker in list_markers(store)] == ["ckpt-000010-aaaa"]
        publisher.close()


def test_a_lost_lease_ends_training_at_the_next_interval_and_is_no_matter_of_trying_again(parts):  # noqa: F811
    make, store, _, _ = parts
    store.fail = failing_with(LeaseLost, "the lease is lost")
    publisher = make()
    publisher.submit(snapshot(10))
    with pytest.raises(LeaseLost):
        publisher.drain()
    with pytest.raises(LeaseLost):
        publisher.submit(snapshot(20))
    assert names(store) == []


@pytest.fixture
def short_pauses(monkeypatch):
    monkeypatch.setattr(policy, "FIRST_PAUSE", 0.005)
    monkeypatch.setattr(policy, "LONGEST_PAUSE", 0.02)


def test_within_its_seconds_a_drain_outlives_any_number_of_failures(parts, short_pauses):  # noqa: F811
    make, store, _, _ = parts
    failures = []

    def away(operation, key):
        if operation == "upload" and len(failures) < 4 * policy.DRAIN_ATTEMPTS:
            failures.append(key)
            outage(operation, key)

    store.fail = away
    publisher = make()
    publisher.submit(snapshot(20))
    publisher.drain(seconds=20)
    (name,) = names(store)
    assert name.startswith("ckpt-000020-aaaa-") and publisher.state()["last_failure"] is None


def test_an_outage_that_outlasts_the_seconds_of_a_drain_is_its_reason(parts, short_pauses):  # noqa: F811
    make, store, _, _ = parts
    store.fail = outage
    publisher = make()
    publisher.submit(snapshot(20))
    started = time.monotonic()
    with pytest.raises(NotDelivered, match="ckpt-000020-aaaa .*the storage is away"):
        publisher.drain(seconds=0.3)
    assert time.monotonic() - started >= 0.3


@pytest.mark.parametrize("kind", [AccessDenied, BucketNotFound, LocalStorageError])
def test_what_no_attempt_can_mend_ends_a_drain_before_its_time(parts, kind):  # noqa: F811
    make, store, _, _ = parts
    store.fail = failing_with(kind, "of no use")
    publisher = make()
    publisher.submit(snapshot(20))
    started = time.monotonic()
    with pytest.raises(NotDelivered, match="of no use"):
        publisher.drain(seconds=600)
    assert time.monotonic() - started < 60.0


def test_a_drain_can_be_ended_while_no_byte_moves(parts):  # noqa: F811
    make, store, _, _ = parts
    store.fail = outage

    def stop(done, total):
        raise KeyboardInterrupt

    publisher = make()
    publisher.publish_logs()
    with pytest.raises(KeyboardInterrupt):
        publisher.drain(seconds=600, on_progress=stop)


def test_a_drain_that_begins_cuts_the_pause_of_the_one_before_short(parts, monkeypatch):  # noqa: F811
    make, store, _, _ = parts
    store.fail = outage
    publisher = make()
    monkeypatch.setattr(policy, "pause_after", lambda failures: 600.0)
    publisher.submit(snapshot(20))
    with pytest.raises(NotDelivered):
        publisher.drain(seconds=0.2)
    store.fail = lambda operation, key: None
    publisher.drain_within(60.0)
    assert names(store) == ["ckpt-000020-aaaa-2"]
