"""``python -m job sync ls`` and ``gc``; mistakes, and how they are told."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from obs_sync import LocalStore
from obs_sync.esdk.store import EsdkStore
from tests.job.sync.bucket import TREE, URL, content
from tests.obs_sync.trees import leftovers, read_tree, set_mtime, write_tree

DAY = 86400.0
REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


# -- ls

def test_ls_tells_time_size_key_and_totals(sync, filled):
    assert sync("ls", URL) == 0
    lines = sync.out.splitlines()
    assert len(lines) == 5 and lines[-1] == "4 files, 5.0 kB below obs://bucket/base/"
    assert lines[2].endswith("            3,000  photo/cat/2.jpg") and lines[2][:2] == "20"
    told = sync.document("ls", URL, "--include", "*.jpg")
    assert (told["files"], told["bytes"]) == (2, 5000)
    assert [item["key"] for item in told["objects"]] == ["photo/cat/2.jpg", "photo/dog/1.jpg"]


def test_a_key_moves_no_cursor(sync, obs):
    obs.put("bucket", "base/a\x1b[2Jb\n", b"x")
    assert sync("ls", URL) == 0
    assert "  a\\x1b[2Jb\\n\n" in sync.out


# -- gc

@pytest.fixture
def shelf(tmp_path):
    """A store with two unfinished checkpoints, a day and an hour old, a whole one, and what is not ours."""
    tree = {"run/checkpoints/ckpt-000010-0a0a0a0a/net.npz": b"12345",
            "run/checkpoints/ckpt-000020-0a0a0a0a/net.npz": b"1",
            "run/checkpoints/ckpt-000030-0a0a0a0a/net.npz": b"1", "run/checkpoints/ckpt-000030-0a0a0a0a.json": b"{}",
            "run/checkpoints/mine/net.npz": b"1", "data/ckpt-000010-0a0a0a0a/x": b"1"}
    root = write_tree(tmp_path / "shelf", tree)
    now = LocalStore(root).server_time()
    for key in tree:
        set_mtime(os.path.join(root, key), now - (3600 if "000020" in key else 2 * DAY))
    return LocalStore(root)


def test_gc_says_what_it_would_remove_and_removes_nothing(sync, shelf):
    before = content(shelf)
    assert sync("gc", shelf.url) == 0
    assert sync.out.splitlines() == [
        "would remove  checkpoint  run/checkpoints/ckpt-000010-0a0a0a0a/, 1 file, 5 B, 2.0 days old",
        "1 of 2 unfinished things would be removed; 1 younger than 24 h; run it with --delete to remove them"]
    assert content(shelf) == before


@pytest.mark.parametrize("word", ["--delete", "--yes"])
def test_gc_removes_by_age_what_has_no_marker_and_is_named_like_a_checkpoint(sync, shelf, word):
    before = set(content(shelf))
    told = sync.document("gc", shelf.url, word)
    assert [(item["key"], item["removed"]) for item in told["found"]] == [
        ("run/checkpoints/ckpt-000010-0a0a0a0a/", True)]
    assert [item["key"] for item in told["younger"]] == ["run/checkpoints/ckpt-000020-0a0a0a0a/"]
    assert before - set(content(shelf)) == {"run/checkpoints/ckpt-000010-0a0a0a0a/net.npz"}
    assert sync("gc", shelf.url + "/run/checkpoints", "--older-than", "1h", word) == 0
    assert sync.out.splitlines()[-1] == "1 of 1 unfinished things removed"
    assert sync("gc", shelf.url, word) == 0 and sync.out == f"nothing unfinished below {shelf.url}\n"


def test_gc_spares_what_was_finished_meanwhile(shelf):
    from obs_sync.checkpoints.collect import find_waste, remove_waste

    waste = find_waste(shelf, lambda name: name.startswith("ckpt-"))
    shelf.write("run/checkpoints/ckpt-000010-0a0a0a0a.json", b"{}")
    assert [remove_waste(shelf, item) for item in waste] == [False, True]


def test_gc_judges_by_the_clock_of_the_store(sync, store, obs, monkeypatch):
    store.write("checkpoints/ckpt-000010-0a0a0a0a/x", b"x")
    assert sync.document("gc", URL)["found"] == []
    later = store.server_time() + 2 * DAY
    monkeypatch.setattr(EsdkStore, "server_time", lambda self: later)
    assert [item["key"] for item in sync.document("gc", URL)["found"]] == ["checkpoints/ckpt-000010-0a0a0a0a/"]
    assert sync.document("gc", URL, "--older-than", "3d")["found"] == []


def test_gc_aborts_uploads_that_nobody_will_complete(sync, store, obs, monkeypatch):
    from obs import ObsClient

    client = ObsClient(**obs.client_arguments())
    for key in ("base/large", "elsewhere/large"):
        assert client.initiateMultipartUpload("bucket", key).status == 200
    assert sync.document("gc", URL, "--delete")["younger"][0]["kind"] == "upload"
    later = store.server_time() + 2 * DAY
    monkeypatch.setattr(EsdkStore, "server_time", lambda self: later)
    assert sync("gc", URL) == 0
    assert sync.out.startswith("would remove  upload      large, parts of an upload, 2.0 days old\n")
    assert sync("gc", URL, "--delete") == 0
    assert [key for key, _ in obs.uploads("bucket")] == ["elsewhere/large"]


def test_gc_removes_shards_that_no_pack_names(sync, tmp_path):
    from obs_sync.packs.publish import pack

    shelf = LocalStore(str(tmp_path / "shelf"))
    pack(shelf, write_tree(tmp_path / "one", {"a": b"a"}), prefix="p/")
    stale = "pack-" + 64 * "0" + ".tar"
    for prefix in ("p/", "unfinished/"):
        shelf.write(prefix + stale, b"x")
    for key in content(shelf):
        set_mtime(os.path.join(shelf.url, key), shelf.server_time() - 2 * DAY)
    assert sync("gc", shelf.url, "--delete") == 0
    assert sync.out.splitlines()[-1] == "2 of 2 unfinished things removed"
    assert stale not in " ".join(content(shelf)) and len(content(shelf)) == 2
    shelf.write("p/" + stale, b"x")
    shelf.write("p/masf-pack.json", b"{torn")
    for key in content(shelf):
        set_mtime(os.path.join(shelf.url, key), shelf.server_time() - 2 * DAY)
    assert sync("gc", shelf.url, "--delete") == 0 and len(content(shelf)) == 3  # nobody knows what it names


# -- mistakes

@pytest.mark.parametrize("arguments, told", [
    ([], "the following arguments are required: ACTION"),
    (["fetch"], "invalid choice: 'fetch'"),
    (["pull"], "the following arguments are required: URL, PATH"),
    (["pull", URL], "the following arguments are required: PATH"),
    (["pull", URL, "x", "y"], "unrecognized arguments: y"),
    (["pull", URL, "obs://bucket/b"], "sync does not copy from server to server"),
    (["pull", "obs:/bucket/x", "x"], "the scheme of a URL must be followed by two slashes"),
    (["pull", "http://bucket/x", "x"], "the scheme 'http' is not supported"),
    (["pull", URL, "{file}"], "notes.txt is a file; pull needs a folder"),
    (["push", "{file}", URL], "notes.txt is a file; push needs a folder"),
    (["push", "{folder}", "{folder}/photo"], "are the same folder, or one is in the other"),
    (["pull", "{folder}", "{folder}/photo/../new"], "are the same folder, or one is in the other"),
    (["ls", "{file}"], "notes.txt is a file; a folder or an obs:// URL is needed"),
    (["ls", "obs://bucket/base/notes.txt"],
     "obs://bucket/base/notes.txt is an object, not a folder; to take this object alone, give "
     "obs://bucket/base/ --include notes.txt"),
    (["pull", URL, "x", "--exclude", "[a"], "has a '[' without a ']'"),
    (["pull", URL, "x", "--workers", "0"], "expected a whole number from 1 to 256"),
    (["pull", URL, "x", "--bandwidth", "fast"], "expected MB per second"),
    (["pull", URL, "x", "--bandwidth", "0"], "expected MB per second"),
    (["gc", URL, "--older-than", "10m"], "at least 1h"),
    (["gc", URL, "--older-than", "yesterday"], "expected an age such as"),
    (["ls", URL, "--dry-run"], "unrecognized arguments: --dry-run"),
])
def test_a_mistake_is_one_message_and_exit_code_2(sync, filled, source, arguments, told):
    words = [word.format(file=os.path.join(source, "notes.txt"), folder=source) for word in arguments]
    assert told in sync.error(*words, code=2)
    assert read_tree(source) == TREE


@pytest.mark.parametrize("arguments, told", [
    (["pull", "bucket/base", "x"], "there is no folder "),
    (["push", "/nope", URL], "there is no folder /nope"),
    (["ls", "obs://missing/x"], "there is no bucket 'missing'"),
    (["pull", "obs://missing/x", "{folder}"], "there is no bucket 'missing'"),
    (["push", "{folder}", "obs://missing/x"], "there is no bucket 'missing'"),
    (["ls", "obs://bucket/none"], "there is nothing below: obs://bucket/none/"),
    (["ls", URL, "--include", "none"], "the patterns leave nothing of 4 files below"),
])
def test_what_the_storage_lacks_is_one_message_and_exit_code_4(sync, filled, source, arguments, told):
    assert told in sync.error(*[word.format(folder=source) for word in arguments], code=4)


def test_without_credentials_the_variables_are_named(sync, source):
    assert "OBS_ACCESS_KEY_ID" in sync.error("push", source, URL, "--storage", "esdk", code=4)


# -- stopped

CHILD = """
import os, signal, sys, threading, time
from job.cli import main

def signal_once_something_has_arrived():
    while not os.path.exists(sys.argv[3]) or not set(os.listdir(sys.argv[3])) - {".obs_sync"}:
        time.sleep(0.01)
    os.kill(os.getpid(), getattr(signal, sys.argv[1]))

signal.signal(signal.SIGINT, signal.default_int_handler)  # who started the tests may ignore it
threading.Thread(target=signal_once_something_has_arrived, daemon=True).start()
sys.exit(main(["sync", "pull", sys.argv[2], sys.argv[3], "--bandwidth", "0.1"]))
"""


@pytest.mark.parametrize("name, code", [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_ends_it_and_leaves_whole_files_only(tmp_path, name, code):
    tree = {str(number): bytes(60000) for number in range(20)}
    out = tmp_path / "out"
    child = subprocess.run([sys.executable, "-c", CHILD, name, write_tree(tmp_path / "shelf", tree), str(out)],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
                           cwd=REPOSITORY)
    assert child.returncode == code, child.stderr
    assert b"Traceback" not in child.stderr and child.stdout == b""
    assert 0 < len(read_tree(out)) < 20 and read_tree(out).items() <= tree.items() and leftovers(out) == {}


def test_a_reader_that_has_enough_is_no_failure(tmp_path):
    tree = {f"{number:0200d}": b"" for number in range(2000)}
    program = "import sys; from job.cli import main; sys.exit(main(['sync', 'ls', sys.argv[1]]))"
    child = subprocess.Popen([sys.executable, "-c", program, write_tree(tmp_path / "shelf", tree)],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             cwd=REPOSITORY)
    child.stdout.readline()
    child.stdout.close()
    assert (child.stderr.read(), child.wait(60)) == (b"", 0)
    child.stderr.close()
