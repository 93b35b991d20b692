"""Which checkpoint a run goes on from."""
from __future__ import annotations

import collections
import functools
import gc
import os
import threading
import weakref

import numpy as np
import pytest

from job.errors import ConfigError
from job.publication.patience import Patience
from job.publication.restore import Restoring, clear_spool, refuse_changed, undelivered
from job.workspace import prepare_workspace, sole_user
from masf_core.records import checkpoints
from obs_sync import LocalStorageError, LocalStore, StoreUnavailable, publish_checkpoint
from tests.masf_core.records.samples import progress_at
from tests.obs_sync.wrapped_store import WrappedStore

SHAPES = {"a/weights": (3,)}


@pytest.fixture
def workspace(tmp_path):
    return prepare_workspace(str(tmp_path / "work"), "run")


@pytest.fixture
def store(tmp_path):
    return LocalStore(str(tmp_path / "store"))


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """A clock that only waiting for the storage moves."""
    now = [0.0]

    def sleep(seconds):
        now[0] += seconds

    monkeypatch.setattr("job.publication.restore.Patience",
                        functools.partial(Patience, clock=lambda: now[0], sleep=sleep))


def save(directory, iteration, lineage="line", size=3):
    checkpoints.save(directory, {"a/weights": np.full(size, iteration, np.float32)},
                     progress_at(iteration, lineage=lineage))


def newest(store, workspace):
    with Restoring(store, workspace, "line", lambda: None) as restoring:
        return restoring.newest(SHAPES, lambda done, total: None)


def publish(store, tmp_path, iteration, lineage="line", name=None, size=3):
    name = name or f"ckpt-{iteration:06d}-aa"
    save(str(tmp_path / name), iteration, lineage, size)
    publish_checkpoint(store, str(tmp_path / name), name, {"iteration": iteration, "lineage": lineage})


def test_nothing_published_is_nothing_to_restore(store, workspace):
    assert newest(store, workspace) is None


def test_the_newest_by_iteration_wins_not_by_name(store, workspace, tmp_path):
    publish(store, tmp_path, 100, name="ckpt-000100-zz")
    publish(store, tmp_path, 1000000, name="ckpt-1000000-aa")
    restored = newest(store, workspace)
    assert restored.progress.iteration == 1000000
    np.testing.assert_array_equal(restored.arrays["a/weights"], np.full(3, 1000000, np.float32))


def test_another_lineage_is_not_ours(store, workspace, tmp_path):
    publish(store, tmp_path, 10)
    publish(store, tmp_path, 20, lineage="older")
    assert newest(store, workspace).progress.iteration == 10


def test_a_checkpoint_left_in_the_spool_counts_when_it_is_newer(store, workspace, tmp_path):
    publish(store, tmp_path, 10)
    save(workspace.spool + "/ckpt-000020-aa", 20)
    save(workspace.spool + "/ckpt-000030-aa", 30, lineage="older")
    restored = newest(store, workspace)
    assert restored.progress.iteration == 20
    assert [name for name, _ in undelivered(store, workspace, "line", 20)] == ["ckpt-000020-aa"]


def test_everything_saved_and_not_delivered_is_kept_to_be_delivered(store, workspace, tmp_path):
    for iteration in (20, 30, 40, 50):
        save(workspace.spool + f"/ckpt-0000{iteration}-aa", iteration)
    save(workspace.spool + "/ckpt-000010-aa", 10, lineage="older")
    publish(store, tmp_path, 30)  # killed between its marker and the removal from the spool
    publish(store, tmp_path, 20, name="ckpt-000020-aa-2")  # the same, at the second attempt
    waiting = [name for name, _ in undelivered(store, workspace, "line", 40)]
    assert waiting == ["ckpt-000040-aa"]
    clear_spool(workspace, keep=waiting)
    assert os.listdir(workspace.spool) == waiting


def test_half_a_checkpoint_in_the_spool_is_passed_over_and_cleared(store, workspace, tmp_path):
    publish(store, tmp_path, 10)
    save(workspace.spool + "/ckpt-000020-aa.partial", 20)
    (tmp_path / "work" / "runs" / "run" / "spool" / "ckpt-000020-aa.partial" / "progress.json").unlink()
    (tmp_path / "work" / "runs" / "run" / "spool" / "eva.txt.upload").write_text("x")
    assert newest(store, workspace).progress.iteration == 10
    clear_spool(workspace)
    assert list((tmp_path / "work" / "runs" / "run" / "spool").iterdir()) == []


def test_one_that_does_not_fit_the_network_gives_way_to_an_older_one(store, workspace, tmp_path):
    publish(store, tmp_path, 10)
    publish(store, tmp_path, 20, size=4)
    assert newest(store, workspace).progress.iteration == 10


def test_a_damaged_file_gives_way_to_the_checkpoint_before(store, workspace, tmp_path):
    """Where files are linked instead of copied, reading them is what finds it out."""
    publish(store, tmp_path, 10)
    publish(store, tmp_path, 20)
    path = tmp_path / "store" / "checkpoints" / "ckpt-000020-aa" / "network.npz"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    assert newest(store, workspace).progress.iteration == 10


@pytest.mark.parametrize("metadata", [
    {"iteration": -1}, {"iteration": 10 ** 39}, {"iteration": "20"}, {"iteration": True}, {"iteration": None},
    {"best": "yes", "iteration": 20}, {}])
def test_a_checkpoint_whose_marker_has_no_iteration_gives_way_to_the_one_before(store, workspace, tmp_path, caplog,
                                                                                metadata):
    publish(store, tmp_path, 10)
    save(str(tmp_path / "bad"), 20)
    publish_checkpoint(store, str(tmp_path / "bad"), "ckpt-000020-aa", dict(metadata, lineage="line"))
    assert newest(store, workspace).progress.iteration == 10
    assert "checkpoint ckpt-000020-aa cannot be used (its marker is damaged: metadata." in caplog.text


def test_a_checkpoint_whose_progress_is_not_that_of_its_marker_gives_way(store, workspace, tmp_path, caplog):
    publish(store, tmp_path, 10)
    for name, iteration, lineage in (("ckpt-000030-aa", 10, "line"), ("ckpt-000040-aa", 40, "older")):
        save(str(tmp_path / name), iteration, lineage)
        publish_checkpoint(store, str(tmp_path / name), name, {"iteration": int(name[5:11]), "lineage": "line"})
    assert newest(store, workspace).progress.iteration == 10
    assert "its progress.json is of iteration 10; expected 30" in caplog.text
    assert "its progress.json is not of the lineage line" in caplog.text


@pytest.mark.parametrize("array", [np.full(3, np.nan, np.float32), np.zeros(3), np.zeros(3, np.complex64),
                                   np.zeros(3, np.int32), np.zeros(3, "S4")],
                         ids=["NaN", "float64", "complex", "integers", "bytes"])
def test_a_checkpoint_of_other_arrays_gives_way_to_the_one_before(store, workspace, tmp_path, array):
    publish(store, tmp_path, 10)
    checkpoints.save(str(tmp_path / "ckpt-000020-aa"), {"a/weights": array}, progress_at(20, lineage="line"))
    publish_checkpoint(store, str(tmp_path / "ckpt-000020-aa"), "ckpt-000020-aa", {"iteration": 20, "lineage": "line"})
    assert newest(store, workspace).progress.iteration == 10


def test_what_was_restored_is_held_by_nobody_else(store, workspace, tmp_path):
    publish(store, tmp_path, 10)
    with Restoring(store, workspace, "line", lambda: None) as restoring:
        array = weakref.ref(restoring.newest(SHAPES, lambda done, total: None).arrays["a/weights"])
        gc.collect()
        assert array() is None


def test_a_store_that_stays_away_is_an_error_and_not_an_empty_one(workspace, tmp_path):
    with pytest.raises(StoreUnavailable, match=r"listing the checkpoints failed for \d+ s: the server answered 503"):
        newest(Down(LocalStore(str(tmp_path / "store"))), workspace)


def test_an_outage_during_listing_or_fetching_is_waited_for(store, workspace, tmp_path, caplog):
    publish(store, tmp_path, 10)
    publish(store, tmp_path, 20, size=4)
    away = Away(store, {"list", "read", "download"}, failures=5)
    assert newest(away, workspace).progress.iteration == 10
    told = [message.partition(" failed")[0] for message in caplog.messages if "retrying for up to 300 s" in message]
    assert told == ["listing the checkpoints", "fetching checkpoint ckpt-000020-aa",
                    "fetching checkpoint ckpt-000010-aa"]


def test_a_request_to_stop_ends_the_wait_for_the_storage(store, workspace):
    class Enough(BaseException):
        pass

    def enough():
        raise Enough

    with pytest.raises(Enough):
        with Restoring(Down(store), workspace, "line", enough) as restoring:
            restoring.newest(SHAPES, lambda done, total: None)


def test_leaving_ends_the_wait_for_the_storage(store, workspace, monkeypatch):
    monkeypatch.setattr("job.publication.restore.Patience", Patience)  # with the true clock
    with Restoring(Down(store), workspace, "line", lambda: None):
        pass
    assert not [thread for thread in threading.enumerate() if thread.name == "restoring"]


def test_whoever_waits_is_told_of_the_progress_and_may_end_the_wait(store, workspace, tmp_path):
    class Enough(Exception):
        pass

    def enough(done, total):
        raise Enough

    publish(store, tmp_path, 10)
    gate = threading.Event()
    with pytest.raises(Enough):
        with Restoring(Gated(store, gate), workspace, "line", lambda: None) as restoring:
            try:
                restoring.newest(SHAPES, enough)
            finally:
                gate.set()
    assert not [thread for thread in threading.enumerate() if thread.name == "restoring"]


class Away(WrappedStore):
    """Is unavailable for the first so many calls about each key."""

    def __init__(self, inner, operations, failures):
        super().__init__(inner)
        self._operations, self._failures, self._counts = operations, failures, collections.Counter()

    def before(self, operation, key):
        self._counts[operation, key] += 1
        if operation in self._operations and self._counts[operation, key] <= self._failures:
            raise StoreUnavailable("the server answered 503", self.url)


class Down(WrappedStore):
    def before(self, operation, key):
        raise StoreUnavailable("the server answered 503", self.url)


class Gated(WrappedStore):
    """Answers once the gate is open."""

    def __init__(self, inner, gate):
        super().__init__(inner)
        self._gate = gate

    def before(self, operation, key):
        self._gate.wait(30)


def test_a_changed_configuration_names_every_key():
    refuse_changed("run", [])
    with pytest.raises(ConfigError, match="a was 1, is 2; b was 3, is 4.*--resume=never"):
        refuse_changed("run", [("a", 1, 2), ("b", 3, 4)])
    with pytest.raises(ConfigError, match="a was conv1,fc6, is nothing; b was nothing, is 1e-06; c was true, is false"):
        refuse_changed("run", [("a", ("conv1", "fc6"), ()), ("b", None, 1e-6), ("c", True, False)])


def test_a_workspace_that_cannot_be_written_names_the_setting(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LocalStorageError, match="--work_dir"):
        prepare_workspace(str(tmp_path / "file"), "run")
    with pytest.raises(LocalStorageError, match="--logdir"):
        prepare_workspace(str(tmp_path / "work"), "run", logdir=str(tmp_path / "file"))


def test_a_run_has_one_user_on_a_machine(workspace):
    with sole_user(workspace, "run"):
        with pytest.raises(ConfigError, match=f"in use by process {os.getpid()}"):
            with sole_user(workspace, "run"):
                pass
    with sole_user(workspace, "run"):
        pass


def test_distinct_urls_have_distinct_places(workspace):
    assert workspace.inputs("obs://a/pacs/") != workspace.inputs("obs://b/pacs/")
    assert workspace.inputs("obs://a/pacs/") == workspace.inputs("obs://a/pacs/")
