from __future__ import annotations

import os
import threading

import pytest

from obs_sync import LocalStorageError, LocalStore, pull
from tests.obs_sync.trees import read_tree, set_mtime, write_tree
from tests.obs_sync.wrapped_store import WrappedStore


@pytest.fixture
def victim(tmp_path):
    """A directory of somebody else's, with files older than any that a sweep spares."""
    path = write_tree(tmp_path / "victim", {"partial/a": b"a", "resume/b": b"b", "incoming/c": b"c", "d": b"d"})
    for key in read_tree(path):
        set_mtime(os.path.join(path, key), 1e9)
    return path


@pytest.mark.parametrize("name", ["", "resume", "partial", "incoming", "lock", "index.jsonl", "index.jsonl.new",
                                  "resume/0123"])
def test_links_in_the_bookkeeping_are_refused(name, local_store, victim, tmp_path):
    local_store.write("file", b"x")
    out, before = str(tmp_path / "out"), read_tree(victim)
    link = os.path.join(out, ".obs_sync", name).rstrip("/")
    os.makedirs(os.path.dirname(link))
    os.symlink(os.path.join(victim, "d") if "." in name or name == "lock" else victim, link)
    with pytest.raises(LocalStorageError, match=f"symbolic link.*{link}. Remove the link"):
        pull(local_store, out)
    if name in ("", "incoming"):
        with pytest.raises(LocalStorageError, match="Remove the link"):
            LocalStore(out).write("file", b"x")
    assert read_tree(victim) == before
    os.remove(link)
    pull(local_store, out)
    assert read_tree(out) == {"file": b"x"}


def test_what_another_pull_brings_meanwhile_is_not_extra(local_store, tmp_path):
    """The other one begins as soon as everything is fetched here, before what is extra has been removed."""
    local_store.write("file", b"x")
    out = write_tree(tmp_path / "out", {"extra": b"x"})
    store = WrappedStore(local_store)
    other = threading.Thread(target=lambda: pull(local_store, out))

    def on_progress(done, total):
        if total == 0 and store.calls_of("download") and other.ident is None:
            local_store.write("new", b"new")
            other.start()
            other.join(0.5)

    assert pull(store, out, delete=True, on_progress=on_progress).removed_files == 1
    other.join()
    assert read_tree(out) == {"file": b"x", "new": b"new"}
