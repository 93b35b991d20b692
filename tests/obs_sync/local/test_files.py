from __future__ import annotations

import os
import socket

import pytest

from obs_sync import LocalStorageError, LocalStore, pull, pull_file, push
from obs_sync.local.files import files_below
from obs_sync.throttle import Throttle, ThrottledStore
from obs_sync.transfer.compare import compare
from obs_sync.transfer.trees import preview_pull
from tests.obs_sync.trees import write_tree


@pytest.fixture
def tree(tmp_path):
    return write_tree(tmp_path / "tree", {"a": b"a", "deep/b": b"b"})


@pytest.fixture
def without_x(monkeypatch):
    """Makes a directory one that can be listed, and in which nothing can be looked at: mode 644, even for root."""
    def forbid(directory):
        def stat(path, *args, **kwargs):
            if not isinstance(path, int) and os.path.dirname(path) == directory:
                raise PermissionError(13, "Permission denied", path)
            return looked_up(path, *args, **kwargs)

        looked_up = os.stat
        monkeypatch.setattr(os, "stat", stat)

    return forbid


def keys(directory):
    return [key for key, _ in files_below(str(directory))]


def test_what_cannot_be_looked_at_is_not_taken_for_missing(tree, without_x, local_store):
    push(local_store, tree)
    without_x(os.path.join(tree, "deep"))
    for attempt in (lambda: push(local_store, tree, delete=True), lambda: compare(local_store, tree)):
        with pytest.raises(LocalStorageError, match="cannot be read .*deep/b. Let this user read it.* r and x"):
            attempt()
    assert local_store.read("deep/b") == b"b"


def test_a_file_that_cannot_be_looked_at_is_not_a_missing_object(tree, without_x):
    without_x(os.path.join(tree, "deep"))
    with pytest.raises(LocalStorageError, match="cannot be read"):
        LocalStore(tree).read("deep/b")


def test_each_link_is_followed_and_a_loop_ends(tree, tmp_path):
    write_tree(tmp_path / "real", {"x": b"x"})
    for name in ("two", "one"):
        os.symlink(str(tmp_path / "real"), os.path.join(tree, name))
    os.symlink(tree, os.path.join(tree, "deep", "up"))
    assert keys(tree) == ["a", "deep/b", "one/x", "two/x"]


@pytest.mark.parametrize("kind", ["dangling link", "link to itself", "FIFO", "socket"])
def test_what_would_be_left_out_of_a_push_is_told(kind, tree, local_store, monkeypatch):
    odd = os.path.join(tree, "deep", "odd")
    if kind == "FIFO":
        os.mkfifo(odd)
    elif kind == "socket":
        monkeypatch.chdir(os.path.dirname(odd))  # the names of sockets are short
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind("odd")
    else:
        os.symlink("nowhere" if kind == "dangling link" else "odd", odd)
    for attempt in (lambda: push(local_store, tree), lambda: compare(local_store, tree)):
        with pytest.raises(LocalStorageError, match="deep/odd"):
            attempt()
    push(local_store, tree, selects=lambda key: key != "deep/odd")
    assert [info.key for info in LocalStore(tree).list()] == ["a", "deep/b"] == [i.key for i in local_store.list()]


def test_the_bookkeeping_of_a_destination_inside_stays_at_home(tree, local_store):
    write_tree(tree, {"deep/.obs_sync/index.jsonl": b"x"})
    push(local_store, tree)
    assert keys(tree) == ["a", "deep/b"] == [info.key for info in local_store.list()]


@pytest.mark.parametrize("kind", ["dangling link", "FIFO"])
def test_what_would_be_left_out_of_a_pull_from_a_folder_or_a_comparison_with_one_is_told(kind, tree, tmp_path):
    odd, out = os.path.join(tree, "deep", "odd"), str(tmp_path / "out")
    if kind == "FIFO":
        os.mkfifo(odd)
    else:
        os.symlink("nowhere", odd)
    os.mkdir(out)
    for attempt in (pull, preview_pull, compare):
        for store in (LocalStore(tree), ThrottledStore(LocalStore(tree), Throttle(1e9))):
            with pytest.raises(LocalStorageError, match="deep/odd"):
                attempt(store, out)
    assert len(compare(LocalStore(tree), out, selects=lambda key: key != "deep/odd").only_stored) == 2
    assert pull(LocalStore(tree), out, selects=lambda key: key != "deep/odd").files == 2
    assert pull(LocalStore(tree), out + "-a", "a").files == 1
    assert pull_file(LocalStore(tree), "deep/b", os.path.join(out + "-b", "b")).files == 1


def test_a_folder_that_is_pulled_from_is_walked_once(tree, tmp_path, monkeypatch):
    walked, scandir = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: walked.append(path) or scandir(path))
    pull(LocalStore(tree), str(tmp_path / "out"))
    assert walked.count(tree) == 1
