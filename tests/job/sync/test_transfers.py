"""``python -m job sync pull`` and ``push``, against a mocked OBS and between folders."""

from __future__ import annotations

import os
import time

import pytest

from obs_sync import IntegrityError, LocalStore, push
from obs_sync.local.removing import extra_files
from obs_sync.packs.publish import pack
from tests.job.sync.bucket import TOTAL, TREE, URL, content
from tests.obs_sync.trees import leftovers, read_tree, write_tree
from tests.obs_sync.wrapped_store import WrappedStore


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


# -- both ways

@pytest.mark.parametrize("order", ["source first", "URL first"])
def test_a_tree_goes_there_and_back(sync, store, source, out, order):
    places = (source, URL) if order == "source first" else (URL, source)
    assert sync("push", *places) == 0
    assert sync.out.startswith("pushed 4 files, 5.0 kB in ")
    assert content(store) == TREE
    assert sync("pull", *((URL, out) if order == "source first" else (out, URL))) == 0
    assert sync.out.startswith("pulled 4 files, 5.0 kB in ") and sync.out.count("\n") == 1
    assert read_tree(out) == TREE and leftovers(out) == {}


def test_a_second_time_moves_nothing(sync, filled, source, out):
    told = sync.document("push", source, URL)
    assert (told["files"], told["present_files"], told["present_bytes"]) == (0, 4, TOTAL)
    sync("pull", URL, out)
    told = sync.document("pull", URL, out)
    assert (told["files"], told["bytes"], told["present_files"]) == (0, 0, 4)


def test_a_folder_is_a_store_too(sync, source, out, tmp_path):
    assert sync("push", source, tmp_path / "shelf") == 0
    assert sync("pull", "file://{}".format(tmp_path / "shelf"), out) == 0
    assert read_tree(out) == read_tree(tmp_path / "shelf") == TREE


def test_the_json_has_the_same_keys_whatever_is_done(sync, filled, source, out):
    documents = [sync.document(*arguments) for arguments in (
        ("pull", URL, out, "--dry-run"), ("pull", URL, out), ("push", source, URL, "--dry-run"), ("push", source, URL))]
    assert len({tuple(document) for document in documents}) == 1
    assert documents[0]["transfer"] == [{"key": key, "size": len(TREE[key])} for key in sorted(TREE)]
    assert [document["dry_run"] for document in documents] == [True, False, True, False]


@pytest.mark.parametrize("patterns, taken", [
    (["--include", "photo/**"], {"photo/dog/1.jpg", "photo/cat/2.jpg"}),
    (["--exclude", "*.tmp"], set(TREE) - {"art/a.tmp"}),
    (["--include", "photo/cat/", "--exclude", "photo/", "--exclude", "*.txt"], {"photo/cat/2.jpg", "art/a.tmp"}),
])
def test_patterns_choose_in_their_order(sync, filled, obs, source, out, patterns, taken):
    assert sync("pull", URL, out, *patterns) == 0
    assert set(read_tree(out)) == taken
    obs.reset()
    assert sync("push", source, URL, *patterns) == 0
    assert set(content(filled)) == taken


def test_a_pattern_of_no_consequence_is_told(sync, filled, out):
    assert sync("pull", URL, out, "--exclude", "*.tmpp") == 0
    assert "--exclude *.tmpp has no effect" in sync.err


def test_a_limit_is_kept(sync, source, obs, out):
    write_tree(source, {"large": bytes(400000)})
    for places in ((source, URL), (URL, out)):
        started = time.monotonic()
        assert sync("push" if places[1] == URL else "pull", *places, "--bandwidth", "0.8") == 0
        assert 0.4 < time.monotonic() - started < 5.0


# -- dry runs

def test_a_dry_run_does_nothing(sync, filled, source, out):
    assert sync("pull", URL, out, "--dry-run", "--delete") == 0
    assert sync.out.splitlines()[0] == "pull                  3  art/a.tmp"
    assert sync.out.splitlines()[-1] == "would pull 4 files, 5.0 kB; 0 files present already"
    assert not out.exists()
    write_tree(source, {"new": b"new"})
    os.remove(os.path.join(source, "notes.txt"))
    assert sync("push", source, URL, "--dry-run", "--delete") == 0
    assert sync.out.splitlines() == [
        "push                  3  new", "remove                6  notes.txt",
        "would push 1 file, 3 B; 3 files present already; would remove 1 file, 6 B"]
    assert content(filled) == TREE


# -- --delete

def test_pull_deletes_only_what_lies_below_the_folder_and_is_chosen(sync, filled, out, tmp_path):
    write_tree(out, {"old/deep/x": b"x", "mine.tmp": b"mine", "photo/dog/0.jpg": b"0"})
    write_tree(tmp_path / "elsewhere", {"far": b"far"})
    os.symlink(str(tmp_path / "elsewhere"), str(out / "linked"))
    os.symlink(str(tmp_path / "elsewhere" / "far"), str(out / "far"))
    told = sync.document("pull", URL, out, "--delete", "--exclude", "*.tmp")
    assert (told["removed_files"], told["removed_bytes"]) == (2, 2)
    assert read_tree(tmp_path / "elsewhere") == {"far": b"far"}
    kept = {key for key in TREE if not key.endswith(".tmp")} | {"mine.tmp", "far"}
    assert set(read_tree(out)) == kept and (out / "linked").is_symlink()
    assert not (out / "old").exists() and (out / ".obs_sync" / "index.jsonl").exists()


def test_a_listed_file_under_another_spelling_is_kept(tmp_path):
    """As on a file system where case does not count: there one file answers to both names."""
    out = write_tree(tmp_path / "out", {"Notes.txt": b"x", "other": b"y"})
    os.link(os.path.join(out, "Notes.txt"), os.path.join(out, "notes.txt"))
    assert [extra.key for extra in extra_files(out, {"notes.txt"}, lambda key: True)] == ["other"]


def test_a_current_directory_that_was_removed_hinders_no_deletion(sync, filled, out, tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert sync("pull", URL, out, "--delete") == 0


def test_push_deletes_only_what_lies_below_the_prefix_and_is_chosen(sync, store, obs, source):
    others = {"basement": b"x", "other/x": b"x"}
    for key, data in {**others, "base/old": b"x", "base/old.tmp": b"x", "base/folder/": b"",
                      "base/.obs_sync/x": b"x"}.items():
        obs.put("bucket", key, data)
    told = sync.document("push", source, URL, "--delete", "--exclude", "*.tmp")
    assert told["removed_files"] == 1
    expected = {"base/" + key for key in TREE if not key.endswith(".tmp")}
    assert set(obs.keys("bucket")) == expected | set(others) | {"base/old.tmp", "base/folder/", "base/.obs_sync/x"}


def test_nothing_is_deleted_without_being_asked(sync, filled, source, out):
    write_tree(out, {"mine": b"mine"})
    filled.write("theirs", b"theirs")
    assert sync("pull", URL, out) == sync("push", source, URL) == 0
    assert "mine" in read_tree(out) and "theirs" in content(filled)


def test_an_empty_source_deletes_nothing(sync, filled, obs, out, tmp_path):
    write_tree(out, {"mine": b"mine"})
    assert "nothing to fetch below: obs://bucket/none/" in sync.error(
        "pull", "obs://bucket/none/", out, "--delete", code=4)
    assert "the patterns select none of 4 objects" in sync.error(
        "pull", URL, out, "--delete", "--include", "*.none", code=4)
    assert read_tree(out) == {"mine": b"mine"}
    (tmp_path / "empty").mkdir()
    assert "nothing is deleted" in sync.error("push", tmp_path / "empty", URL, "--delete", code=4)
    assert "nothing is deleted" in sync.error("push", out, URL, "--delete", "--include", "*.none", code=4)
    assert "there is no folder" in sync.error("push", tmp_path / "missing", URL, "--delete", code=4)
    assert content(filled) == TREE


def test_a_place_that_is_far_too_large_is_not_cleaned_up(sync, filled, source, tmp_path, monkeypatch):
    for path in ("home/user", "work/here", "checkout/.git"):
        os.makedirs(str(tmp_path / path))
    monkeypatch.setenv("HOME", str(tmp_path / "home" / "user"))
    monkeypatch.chdir(tmp_path / "work" / "here")
    os.symlink("/usr", str(tmp_path / "link"))
    for place in ("/", "/etc", "/nowhere", tmp_path / "link", "~", tmp_path / "home", ".", tmp_path / "work",
                  tmp_path / "checkout"):
        for places in ((URL, place), (source, place)):
            action = "pull" if places[0] == URL else "push"
            told = sync.error(action, *places, "--delete", "--dry-run", code=2)
            assert "may hold other files (" in told
    assert sync("pull", URL, tmp_path / "work" / "here" / "own", "--delete") == 0


def test_a_pull_fills_no_home_no_root_and_no_checkout(sync, filled, tmp_path, monkeypatch):
    for path in ("home/user/data", "work/here", "checkout/.git", "checkout/data"):
        os.makedirs(str(tmp_path / path))
    monkeypatch.setenv("HOME", str(tmp_path / "home" / "user"))
    monkeypatch.chdir(tmp_path / "work" / "here")
    os.symlink(str(tmp_path / "checkout"), str(tmp_path / "link"))
    for place in ("/", "~", tmp_path / "home", tmp_path / "checkout", tmp_path / "link"):
        told = sync.error("pull", URL, place, code=2)
        assert "so a pull does not write there" in told and "data" in told
    assert os.listdir(str(tmp_path / "checkout" / "data")) == []
    for place in ("~/data", ".", tmp_path / "checkout" / "data"):
        assert sync("pull", URL, place) == 0


def test_push_to_a_folder_removes_no_link_and_nothing_behind_one(sync, source, out, tmp_path):
    write_tree(tmp_path / "elsewhere", {"far": b"far"})
    write_tree(out, {"old": b"old"})
    os.symlink(str(tmp_path / "elsewhere"), str(out / "folder"))
    os.symlink(str(tmp_path / "elsewhere" / "far"), str(out / "file"))
    for arguments in (("--dry-run",), ()):
        assert sync.document("push", source, out, "--delete", *arguments)["removed_files"] == 1
    assert (out / "folder").is_symlink() and (out / "file").is_symlink() and not (out / "old").exists()
    assert read_tree(tmp_path / "elsewhere") == {"far": b"far"}


# -- what cannot be

@pytest.mark.parametrize("key", ["../evil", "/etc/evil", "a//b", "back\\slash"])
def test_a_key_that_leads_out_of_the_folder_stops_everything(sync, filled, obs, out, tmp_path, key):
    obs.put("bucket", "base/" + key, b"evil")
    assert "base/" in sync.error("pull", URL, out, code=4)
    assert sync("pull", URL, out, "--dry-run") == 4
    assert read_tree(tmp_path) == {}


def test_a_name_that_is_file_and_folder_stops_everything(sync, filled, obs, source, out):
    obs.put("bucket", "base/photo", b"x")
    assert "'photo' cannot be both a file" in sync.error("pull", URL, out, code=4)
    assert "'photo' is a directory here and an object in the store" in sync.error("push", source, URL, code=4)
    obs.delete("bucket", "base/photo")
    obs.put("bucket", "base/notes.txt/x", b"x")
    assert "'notes.txt' is a file here and a folder there" in sync.error("push", source, URL, code=4)
    assert read_tree(out) == {}


def test_names_that_differ_in_case_only_are_refused_where_it_does_not_count(sync, store, out, monkeypatch):
    for key in ("Dog.jpg", "dog.jpg"):
        store.write(key, b"x")
    monkeypatch.setattr("obs_sync.transfer.pull._folds_case", lambda workspace: True)
    assert "are the same file on a file system that ignores case" in sync.error("pull", URL, out, code=4)
    assert read_tree(out) == {}


def test_a_link_in_the_way_is_not_followed(sync, filled, out, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    out.mkdir()
    os.symlink(str(tmp_path / "elsewhere"), str(out / "photo"))
    assert "symbolic link" in sync.error("pull", URL, out, code=4)
    assert os.listdir(str(tmp_path / "elsewhere")) == []


def test_a_file_name_that_can_be_no_key_stops_everything(sync, store, source):
    write_tree(source, {"back\\slash": b"x"})
    assert "backslash" in sync.error("push", source, URL, code=4)
    assert content(store) == {}


# -- no silent success

class Forgetful(WrappedStore):
    """Something else removes or overwrites what has just been stored."""

    def __init__(self, inner, overwrite):
        super().__init__(inner)
        self._overwrite = overwrite

    def before(self, operation, key):
        if operation == "list" and "list " in self.calls[:-1]:
            self._overwrite(self.inner)


@pytest.mark.parametrize("overwrite, told", [
    (lambda inner: inner.delete(["notes.txt"]), "'notes.txt' is not listed"),
    (lambda inner: inner.write("notes.txt", b"x"), "'notes.txt' has 1 bytes, 6 were stored"),
    (lambda inner: inner.write("notes.txt", b"NOTES\n"), "'notes.txt' is another version"),
    (lambda inner: inner.delete(TREE), "4 of 4 objects are not what was stored: .* and 1 more"),
])
@pytest.mark.parametrize("where", ["local", "esdk"])
def test_what_is_not_there_afterwards_was_not_pushed(request, source, tmp_path, where, overwrite, told):
    inner = LocalStore(str(tmp_path / "shelf")) if where == "local" else request.getfixturevalue("store")
    with pytest.raises(IntegrityError, match=told):
        push(Forgetful(inner, overwrite), source)


def test_a_file_that_changes_while_it_is_sent_is_no_success(source, tmp_path):
    class Meddled(WrappedStore):
        def upload(self, path, key, on_bytes=None, with_md5=True):
            def count(amount):
                with open(path, "r+b") as stream:
                    stream.write(os.urandom(4))
                os.utime(path, (1, 1))
                on_bytes(amount)

            return self.inner.upload(path, key, count, with_md5)

    with pytest.raises(IntegrityError, match="changed while it was being stored"):
        push(Meddled(LocalStore(str(tmp_path / "shelf"))), source)


def test_markers_are_sent_last_and_deleted_first(tmp_path):
    run = {"checkpoints/c1.json": b"{}", "checkpoints/c1/net.npz": b"n", "checkpoints/c1/z/z": b"z", "run.json": b"{}"}
    watched = WrappedStore(LocalStore(str(tmp_path / "shelf")))
    push(watched, write_tree(tmp_path / "run", run), workers=1)
    uploads = [call for call in watched.calls if call.startswith("upload ")]
    assert len(uploads) == 4 and uploads[-1] == "upload checkpoints/c1.json"
    push(watched, write_tree(tmp_path / "other", {"x": b"x"}), delete=True)
    deletes = [call for call in watched.calls if call.startswith("delete ")]
    assert len(deletes) == 4 and deletes[0] == "delete checkpoints/c1.json"


# -- packs

def test_a_pack_is_pulled_unpacked_and_not_pushed_over(sync, store, source, out):
    pack(store, source)
    told = sync.document("pull", URL, out, "--include", "photo/")
    assert told["files"] == 2 and set(read_tree(out)) == {"photo/dog/1.jpg", "photo/cat/2.jpg"}
    assert sync("pull", URL, out, "--delete", "--bandwidth", "10") == 0
    assert read_tree(out) == TREE
    assert "files are in the pack here already" in sync.error("push", source, URL, code=4)
    assert sync("diff", URL, out) == sync("verify", URL, out) == sync("verify", URL, out, "--full") == 0


# -- moxing

def test_moxing_does_it_too(sync, moxing, source, out):
    assert sync("push", source, URL, "--storage", "moxing") == 0
    assert sync("pull", URL, out, "--storage", "moxing", "--bandwidth", "10") == 0
    assert read_tree(out) == TREE
    told = sync.document("verify", URL, out, "--storage", "moxing")
    assert told["identical"] and told["same_files"] == 0 and set(told["size_only"]) == set(TREE)
    sync("verify", URL, out, "--storage", "moxing")
    assert "4 files by size only, the store knows no digest" in sync.out
    write_tree(out, {"notes.txt": b"NOTES\n"})
    assert sync("verify", URL, out, "--storage", "moxing") == 0
    assert sync("verify", URL, out, "--storage", "moxing", "--full") == 1
    assert sync("gc", URL, "--storage", "moxing") == sync("ls", URL, "--storage", "moxing") == 0
