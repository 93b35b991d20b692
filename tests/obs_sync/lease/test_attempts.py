"""A write that failed is not tried again once the lease has lapsed: by then another process may have written."""
from __future__ import annotations

import types

import pytest

from obs_sync import LeaseLost, LocalStore, StoreUnavailable, open_store
from obs_sync.esdk import upload
from obs_sync.lease.guarded_store import GuardedStore
from obs_sync.lease.lease import Lease
from obs_sync.lease.owner import Owner
from obs_sync.mock import Call, Faults, Rule, Status
from obs_sync.moxing_store import MoxingStore
from obs_sync.retry import Retry

T = 60.0
PART = 1 << 17


class Time:
    """A clock that sleeping moves, by T + 5 s when told to."""

    def __init__(self):
        self.now = 1000.0
        self.lapses = False
        self.then = lambda: None

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.now += T + 5.0 if self.lapses else seconds
        self.then()


@pytest.fixture
def fake():
    return Time()


@pytest.fixture
def store(obs, fake):
    retry = Retry(sleep=fake.sleep, clock=fake.clock, deadline=300.0)
    with open_store("obs://bucket/base/", obs.environment(), retry=retry) as store:
        yield store


@pytest.fixture
def lease(store, fake):
    lease = Lease(store, Owner("first", 1), T, clock=fake.clock, sleep=fake.sleep)
    lease.acquire()
    fake.lapses = True
    return lease


def changes(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * 2 * PART)
    return {"PutObject": lambda store: store.write("run.json", b"first"),
            "UploadPart": lambda store: store.upload(str(path), "run.json"),
            "CompleteMultipartUpload": lambda store: store.upload(str(path), "run.json", with_md5=False),
            "DeleteObjects": lambda store: store.delete(["run.json"])}


@pytest.mark.parametrize("operation", ["PutObject", "UploadPart", "CompleteMultipartUpload", "DeleteObjects"])
def test_what_failed_is_not_tried_again_after_the_lease_has_lapsed(obs, lease, tmp_path, monkeypatch, operation):
    monkeypatch.setattr(upload, "PART_SIZE", PART)
    monkeypatch.setattr(upload, "LARGEST_PUT", PART)
    obs.put("bucket", "base/run.json", b"second")
    asked = []
    obs.faults = Faults([Rule(Call(lambda request: asked.append(request)), operation=operation),
                         Rule(Status(503), operation=operation, first=1)])
    with pytest.raises(StoreUnavailable, match="the lease could not be renewed for 6[0-9] s"):
        changes(tmp_path)[operation](lease.guarded())
    assert len(asked) <= (2 if operation == "UploadPart" else 1)  # two parts go side by side
    assert obs.get("bucket", "base/run.json") == b"second"


def test_a_retry_that_would_land_on_a_successor_ends_with_the_loss_of_the_lease(obs, store, fake, lease):
    def succeed():
        fake.then = lambda: None
        Lease(store, Owner("second", 1), T, clock=fake.clock, sleep=fake.sleep).acquire()
        store.write("run.json", b"second")
        with pytest.raises(LeaseLost):
            lease.renew()

    fake.then = succeed
    obs.faults = Faults([Rule(Status(503), operation="PutObject", key="base/run.json", first=1)])
    with pytest.raises(LeaseLost):
        lease.guarded().write("run.json", b"first")
    assert obs.get("bucket", "base/run.json") == b"second"


def test_an_upload_in_parts_is_left_to_whoever_has_the_lease_now(obs, store, tmp_path, monkeypatch):
    monkeypatch.setattr(upload, "PART_SIZE", PART)
    monkeypatch.setattr(upload, "LARGEST_PUT", PART)
    (tmp_path / "file").write_bytes(b"x" * 2 * PART)
    lost, aborted = [], []

    def check():
        if lost:
            raise LeaseLost("lost", store.url)

    obs.faults = Faults([Rule(Call(lambda request: lost.append(1), "after"), operation="UploadPart", nth=2),
                         Rule(Call(lambda request: aborted.append(1)), operation="AbortMultipartUpload")])
    with pytest.raises(LeaseLost):
        GuardedStore(store, check).upload(str(tmp_path / "file"), "big")
    assert aborted == [] and len(store.unfinished_uploads("big")) == 1


def test_while_the_lease_holds_what_failed_is_tried_again(obs, fake, lease):
    fake.lapses = False
    obs.faults = Faults([Rule(Status(503), operation="PutObject", first=2)])
    lease.guarded().write("run.json", b"first")
    assert obs.get("bucket", "base/run.json") == b"first"


def test_reading_needs_no_lease_and_nor_does_renewing_it(obs, fake, lease):
    obs.put("bucket", "base/run.json", b"content")
    fake.now += T + 5.0
    fake.lapses = False
    obs.faults = Faults([Rule(Status(503), operation="GetObject,PutObject", first=2)])
    assert lease.guarded().read("run.json") == b"content"
    lease.renew()
    lease.guarded().write("run.json", b"again")


def test_moxing_is_not_asked_again_either(moxing_file, fake):
    asked = []

    def fail(url, *arguments, **options):
        asked.append(url)
        raise OSError("reset")

    api = types.SimpleNamespace(**{name: getattr(moxing_file, name) for name in dir(moxing_file)})
    store = MoxingStore(api, "obs://bucket/base/", Retry(sleep=fake.sleep, clock=fake.clock))
    lease = Lease(store, Owner("first", 1), T, clock=fake.clock, sleep=fake.sleep)
    lease.acquire()
    fake.lapses, api.write = True, fail
    with pytest.raises(StoreUnavailable, match="the lease could not be renewed"):
        lease.guarded().write("run.json", b"first")
    assert len(asked) == 1


def test_of_a_directory_no_further_file_is_removed(tmp_path):
    store = LocalStore(str(tmp_path))
    for key in ("a", "b", "c"):
        store.write(key, b"")
    asked = []

    def check():
        asked.append(1)
        if len(asked) == 2:
            raise LeaseLost("lost", store.url)

    with pytest.raises(LeaseLost):
        GuardedStore(store, check).delete(["a", "b", "c"])
    assert [info.key for info in store.list()] == ["b", "c"]


def test_a_key_that_was_refused_is_not_tried_again_with_another_one_after_the_lease_has_lapsed(obs, tmp_path):
    held = [True]

    def check():
        if not held[0]:
            raise LeaseLost("lost", "lease/")

    obs.put("bucket", "base/run.json", b"second")
    good = obs.environment()
    environ = dict(good, OBS_SECRET_ACCESS_KEY="wrong")
    with open_store("obs://bucket/base/", environ) as store:
        guarded = GuardedStore(store, check)

        def read_again():
            held[0] = False
            environ.update(good)

        obs.faults = Faults([Rule(Call(lambda request: read_again()), operation="PutObject", first=1)])
        with pytest.raises(LeaseLost):
            guarded.write("run.json", b"first")
    assert obs.get("bucket", "base/run.json") == b"second"
