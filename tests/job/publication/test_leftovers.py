"""Files without a marker are named at the end of a run."""
from __future__ import annotations

from job.publication.leftovers import warn_of_leftovers
from obs_sync import LocalStore, StoreUnavailable, publish_checkpoint


def test_what_has_no_marker_is_named_with_the_command_that_deletes_it(tmp_path, caplog):
    store = LocalStore(str(tmp_path / "store"))
    (tmp_path / "network.npz").write_bytes(b"weights")
    (tmp_path / "files").mkdir()
    (tmp_path / "network.npz").rename(tmp_path / "files" / "network.npz")
    publish_checkpoint(store, str(tmp_path / "files"), "ckpt-000010-aaaa", {})
    warn_of_leftovers(store, [])
    assert caplog.messages == []
    store.write("checkpoints/ckpt-000020-aaaa/network.npz", bytes(1500000))
    warn_of_leftovers(store, [])
    assert len(caplog.messages) == 1
    assert "checkpoints/ckpt-000020-aaaa/ (1.5 MB)" in caplog.messages[0] and "000010" not in caplog.messages[0]
    assert f"python -m job sync gc {store.url} --older-than 1h --delete" in caplog.messages[0]


def test_where_the_store_cannot_be_listed_the_failed_uploads_are_named(tmp_path, caplog):
    class Away(LocalStore):
        def list(self, prefix=""):
            raise StoreUnavailable("away")

    store = Away(str(tmp_path))
    warn_of_leftovers(store, [])
    assert caplog.messages == []
    warn_of_leftovers(store, ["ckpt-000010-aaaa", "ckpt-000020-aaaa-2"])
    assert "may have left" in caplog.messages[0] and "ckpt-000010-aaaa, ckpt-000020-aaaa-2" in caplog.messages[0]
