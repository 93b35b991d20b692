"""What `sync gc` would remove: a publication that is under way is left alone, by every sign that there is of it."""

from __future__ import annotations

import os
import threading

import pytest

from benchmarks.soak import small_parts
from obs_sync import IntegrityError, LocalStore, list_markers, open_store, publish_checkpoint
from obs_sync.checkpoints.collect import CHECKPOINT, UPLOAD, find_waste, remove_waste
from obs_sync.mock import Call, Faults, Rule
from obs_sync.store import UnfinishedUpload
from tests.obs_sync.trees import set_mtime, write_tree

NOW, PART = 10000.0, 100 * 1024
LARGE = "checkpoints/one/large"


class Shelf(LocalStore):
    """A directory with unfinished uploads as well: the last sign of each, by key."""

    def __init__(self, root):
        super().__init__(root)
        self.signs = {}

    def unfinished_uploads(self, prefix=""):
        return [UnfinishedUpload(key, "id", sign) for key, sign in self.signs.items() if key.startswith(prefix)]

    def abort_upload(self, key, upload_id):
        del self.signs[key]

    def server_time(self):
        return NOW


@pytest.fixture
def shelf(tmp_path):
    """With one file of a publication, which came long ago."""
    root = write_tree(tmp_path / "shelf", {"checkpoints/one/small": b"12345"})
    set_mtime(os.path.join(root, "checkpoints", "one", "small"), 1000)
    return Shelf(root)


def found(store):
    return {(waste.kind, waste.key): waste.age for waste in find_waste(store, bool)}


def test_a_checkpoint_is_as_old_as_the_newest_sign_of_an_upload_below_it(shelf):
    assert found(shelf) == {(CHECKPOINT, "checkpoints/one/"): 9000.0}
    shelf.signs = {LARGE: 9950.0, "checkpoints/one/other": 500.0, "checkpoints/one2/large": 9999.0}
    assert found(shelf)[CHECKPOINT, "checkpoints/one/"] == 50.0
    assert found(shelf)[UPLOAD, LARGE] == 50.0
    shelf.signs = {LARGE: 500.0}
    assert found(shelf)[CHECKPOINT, "checkpoints/one/"] == 9000.0


def test_of_a_checkpoint_with_an_upload_of_unknown_age_the_age_is_unknown(shelf):
    shelf.signs = {LARGE: None}
    waste = find_waste(shelf, bool)
    assert {item.age for item in waste} == {None}
    assert not remove_waste(shelf, next(item for item in waste if item.kind == CHECKPOINT))
    assert shelf.exists("checkpoints/one/small")


@pytest.mark.parametrize("sign", ["a part", "a file", "nothing"])
def test_a_checkpoint_that_was_continued_after_it_was_found_is_kept(shelf, sign):
    waste, = find_waste(shelf, bool)
    if sign == "a part":
        shelf.signs = {LARGE: 9950.0}
    if sign == "a file":
        shelf.write(LARGE, b"large")
        set_mtime(os.path.join(shelf.url, *LARGE.split("/")), 9950)
    assert remove_waste(shelf, waste) == (sign == "nothing")
    assert shelf.exists("checkpoints/one/small") == (sign != "nothing")


def test_an_upload_that_is_completed_between_two_listings_is_no_missing_sign(shelf):
    """It is in both of them, not in neither."""
    waste, = find_waste(shelf, bool)

    class Completing(Shelf):
        def list(self, prefix=""):
            if self.signs:
                self.signs = {}
                self.write(LARGE, b"large")
                set_mtime(os.path.join(self.url, *LARGE.split("/")), 9950)
            return super().list(prefix)

        def unfinished_uploads(self, prefix=""):
            uploads = super().unfinished_uploads(prefix)
            next(iter(self.list(prefix)), None)
            return uploads

    store = Completing(shelf.url)
    store.signs = {LARGE: 9950.0}
    assert not remove_waste(store, waste)


def test_a_publication_whose_large_file_is_being_sent_is_spared_over_http(obs, tmp_path, monkeypatch):
    """Its small file looks old meanwhile."""
    source = write_tree(tmp_path / "source", {"a": b"small", "z": os.urandom(4 * PART)})
    told, once = [], threading.Lock()

    def collect(request):
        if not once.acquire(blocking=False):
            return
        with open_store("obs://bucket/base/", obs.environment()) as store:
            waste = [item for item in find_waste(store, bool) if item.kind == CHECKPOINT]
            told.extend((item.key, remove_waste(store, item)) for item in waste if item.age > 1800)

    obs.put("bucket", "base/checkpoints/dead/a", b"small")
    base = LocalStore.server_time(None)
    monkeypatch.setattr("obs_sync.esdk.store.EsdkStore.server_time", lambda self: base + 3600)
    monkeypatch.setattr("obs_sync.esdk.store.EsdkStore.newest_part", lambda self, key, upload_id: base + 3590)
    obs.faults = Faults([Rule(Call(collect), operation="CompleteMultipartUpload")])
    with small_parts(PART), open_store("obs://bucket/base/", obs.environment()) as store:
        publish_checkpoint(store, source, "one", {})
        assert told == [("checkpoints/dead/", True)]
        assert [marker.name for marker in list_markers(store)] == ["one"]


def test_a_publication_of_which_a_file_was_removed_writes_no_marker_over_http(obs, tmp_path):
    source = write_tree(tmp_path / "source", {"a": b"small", "z": os.urandom(4 * PART)})

    def remove(request):
        if "base/checkpoints/one/z" in obs.keys("bucket"):
            obs.delete("bucket", "base/checkpoints/one/a")

    obs.faults = Faults([Rule(Call(remove), operation="ListObjects")])
    with small_parts(PART), open_store("obs://bucket/base/", obs.environment()) as store:
        with pytest.raises(IntegrityError, match="was deleted while.*checkpoints/one/a"):
            publish_checkpoint(store, source, "one", {})
    assert "base/checkpoints/one.json" not in obs.keys("bucket")
