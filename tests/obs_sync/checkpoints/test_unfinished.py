"""Uploads in parts that nobody will end: found below our prefix, and aborted by the server's clock."""

from __future__ import annotations

import pytest

from obs_sync import LocalStore, StoreError, open_store
from obs_sync.checkpoints.collect import find_waste, remove_waste
from obs_sync.store import UnfinishedUpload
from tests.obs_sync.scripted_server import reply, scripted_server, store_at


@pytest.fixture
def store(obs):
    with open_store("obs://bucket/runs/", obs.environment()) as store:
        yield store


def begin(obs, *keys):
    """Uploads begun and left, by the SDK itself."""
    from obs import ObsClient
    client = ObsClient(**obs.client_arguments())
    ids = [client.initiateMultipartUpload("bucket", key).body.uploadId for key in keys]
    client.close()
    return ids


def test_unfinished_uploads_below_the_prefix_are_found(obs, store):
    ids = begin(obs, "runs/a", "runs/b/c", "runs/line\nbreak", "runs2/x", "y")
    found = store.unfinished_uploads()
    assert sorted((upload.key, upload.upload_id) for upload in found) == \
        sorted([("a", ids[0]), ("b/c", ids[1]), ("line\nbreak", ids[2])])
    assert [upload.key for upload in store.unfinished_uploads("b/")] == ["b/c"]
    assert all(abs(upload.initiated - store.server_time()) < 60 for upload in found)


def test_an_upload_is_aborted_and_a_second_time_is_no_error(obs, store):
    begin(obs, "runs/a")
    upload, = store.unfinished_uploads()
    store.abort_upload(upload.key, upload.upload_id)
    store.abort_upload(upload.key, upload.upload_id)
    assert obs.uploads("bucket") == []


def test_only_what_is_ours_is_found_and_aborted(obs, store):
    begin(obs, "runs/a", "runs/b/c", "y")
    waste = find_waste(store, bool)
    assert sorted(item.key for item in waste) == ["a", "b/c"] and all(item.age < 60 for item in waste)
    assert [remove_waste(store, item) for item in waste if item.key == "b/c"] == [True]
    assert [key for key, _ in obs.uploads("bucket")] == ["runs/a", "y"]


def test_age_is_by_the_clock_of_the_storage_and_unknown_without_a_date():
    class Stopped(LocalStore):
        def list(self, prefix=""):
            return iter(())

        def unfinished_uploads(self, prefix=""):
            return [UnfinishedUpload("old", "1", 1000.0), UnfinishedUpload("new", "2", 1950.0),
                    UnfinishedUpload("undated", "3", None)]

        def server_time(self):
            return 2000.0

    assert [(item.key, item.age) for item in find_waste(Stopped("/nowhere"), bool)] == [
        ("old", 1000.0), ("new", 50.0), ("undated", None)]


def test_an_upload_that_is_gone_on_with_is_as_old_as_its_newest_part():
    newest = {"idle": 1100.0, "busy": 1950.0, "waking": 1100.0}
    aborted = []

    class Shelf(LocalStore):
        def list(self, prefix=""):
            return iter(())

        def unfinished_uploads(self, prefix=""):
            return [UnfinishedUpload(key, "id", 1000.0) for key in newest]

        def newest_part(self, key, upload_id):
            return newest[key]

        def abort_upload(self, key, upload_id):
            aborted.append(key)

        def server_time(self):
            return 2000.0

    store = Shelf("/nowhere")
    waste = find_waste(store, bool)
    assert {item.key: item.age for item in waste} == {"idle": 900.0, "waking": 900.0, "busy": 50.0}
    newest["waking"] = 1999.0
    assert [item.key for item in waste if item.age > 100 and remove_waste(store, item)] == ["idle"] == aborted


def test_the_newest_part_is_told_by_the_storage(obs, store):
    from obs import ObsClient
    upload_id, = begin(obs, "runs/a")
    assert store.newest_part("a", upload_id) is None and store.newest_part("gone", "1") is None
    client = ObsClient(**obs.client_arguments())
    assert client.uploadPart("bucket", "runs/a", 1, upload_id, content="part").status == 200
    client.close()
    assert abs(store.newest_part("a", upload_id) - store.server_time()) < 60


def test_a_directory_has_no_unfinished_uploads(local_store):
    assert local_store.unfinished_uploads() == [] and find_waste(local_store, bool) == []


def page(*entries, truncated=False):
    uploads = "".join("<Upload><Key>%s</Key><UploadId>%s</UploadId></Upload>" % entry for entry in entries)
    return reply(200, ("<R><Bucket>bucket</Bucket><IsTruncated>%s</IsTruncated>%s</R>"
                       % (str(truncated).lower(), uploads)).encode())


def test_a_list_of_uploads_is_read_to_its_end_or_refused():
    with scripted_server() as (server, url), store_at(url) as store:
        server.twist = lambda request: (page(("b", "2")) if request.query.get("key-marker") == "a"
                                        else page(("a", "1"), truncated=True))
        assert [(upload.key, upload.initiated) for upload in store.unfinished_uploads()] == [("a", None), ("b", None)]
        server.twist = lambda request: page(("a", "1"), truncated=True)
        with pytest.raises(StoreError, match="names no next page"):
            store.unfinished_uploads()
        server.twist = lambda request: page(("other", "1"))
        with pytest.raises(StoreError, match="not asked for"):
            store.unfinished_uploads("mine/")
