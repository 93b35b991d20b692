"""``python -m job sync verify`` and ``diff``: what they find, and how their exit codes tell."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import pytest

from benchmarks.soak import small_parts
from obs_sync import LocalStore, publish_checkpoint, write_pointer
from obs_sync.checkpoints.verify import checkpoint_folders
from obs_sync.mock import mock_obs
from obs_sync.packs.publish import pack
from obs_sync.transfer.compare import compare
from tests.job.sync.bucket import TREE, URL
from tests.obs_sync.trees import set_mtime, write_tree
from tests.obs_sync.wrapped_store import WrappedStore

FILES = {"network.npz": os.urandom(30000), "sub/metric.npz": b"m" * 500}


# -- a tree and its objects

@pytest.mark.parametrize("action", ["verify", "diff"])
def test_the_same_is_exit_code_0(sync, filled, source, action):
    assert sync(action, URL, source) == 0
    told = sync.document(action, source, URL)
    assert told["identical"] and told["same_files"] == 4
    assert told["differ"] == told["only_stored"] == told["only_local"] == told["size_only"] == []


@pytest.mark.parametrize("action", ["verify", "diff"])
def test_every_kind_of_difference_is_listed_and_exit_code_1(sync, filled, source, action):
    write_tree(source, {"notes.txt": b"NOTES\n", "photo/dog/1.jpg": b"1", "mine": b"12345"})
    os.remove(os.path.join(source, "art/a.tmp"))
    assert sync(action, URL, source) == 1
    lines = sync.out.splitlines()
    assert "only there                3  art/a.tmp" in lines and "only here                 5  mine" in lines
    assert "differs               2,000  photo/dog/1.jpg: 2,000 bytes there, 1 here" in lines
    assert "notes.txt: MD5 {} there, {} here".format(
        hashlib.md5(b"notes\n").hexdigest(), hashlib.md5(b"NOTES\n").hexdigest()) in sync.out
    told = sync.document(action, URL, source, code=1)
    assert not told["identical"] and told["same_files"] == 1
    assert [item["key"] for item in told["differ"]] == ["notes.txt", "photo/dog/1.jpg"]
    assert told["only_stored"] == [{"key": "art/a.tmp", "size": 3}]
    assert told["only_local"] == [{"key": "mine", "size": 5}]
    assert sync(action, URL, source, "--include", "photo/cat/") == 0


def test_diff_says_what_pull_and_push_would_do(sync, filled, source):
    write_tree(source, {"notes.txt": b"NOTES\n", "mine": b"12345"})
    assert sync("diff", URL, source) == 1
    assert sync.out.splitlines()[-1] == "pull would fetch 1 file, 6 B; push would store 2 files"


def test_diff_takes_what_was_pulled_as_it_is_and_verify_reads_it(sync, filled, tmp_path):
    out = tmp_path / "out"
    sync("pull", URL, out)
    path = os.path.join(str(out), "notes.txt")
    modified = os.stat(path).st_mtime
    with open(path, "wb") as stream:
        stream.write(b"NOTES\n")
    set_mtime(path, modified)  # as a disk does that loses bits
    assert sync("diff", URL, out) == 0
    assert sync("verify", URL, out) == 1


@pytest.mark.parametrize("full, differ", [(False, []), (True, ["notes.txt"])])
def test_only_a_full_comparison_finds_what_the_store_itself_has_damaged(filled, source, full, differ):
    """The store still tells the digest of what it was given."""
    class Rotten(WrappedStore):
        def read_range(self, info, offset, size, on_bytes=None):
            data = self.inner.read_range(info, offset, size, on_bytes)
            return data.upper() if info.key == "notes.txt" else data

    assert [item.info.key for item in compare(Rotten(filled), source, full=full).differ] == differ


def test_damaged_members_of_a_pack_are_differences_each_of_them(sync, source, tmp_path):
    bucket = str(tmp_path / "bucket")
    with LocalStore(bucket) as store:
        pack(store, source)
        shard, = [info.key for info in store.list() if info.key.endswith(".tar")]
        data = store.read(shard)
        for key in ("notes.txt", "photo/dog/1.jpg"):
            data = data.replace(TREE[key], bytes(len(TREE[key])))
        store.write(shard, data)
    told = sync.document("verify", bucket, source, "--full", code=1)
    assert [item["key"] for item in told["differ"]] == ["notes.txt", "photo/dog/1.jpg"]
    assert all("SHA-256" in item["why"] for item in told["differ"]) and told["same_files"] == len(TREE) - 2


def test_an_object_without_a_digest_is_told_and_read_with_full(sync, store, obs, source, monkeypatch):
    sync("push", source, URL)
    monkeypatch.setattr("obs_sync.esdk.store.plain_md5", lambda etag: None)
    monkeypatch.setattr("obs_sync.esdk.store.md5_of", lambda result: None)
    told = sync.document("verify", URL, source)
    assert told["identical"] and len(told["size_only"]) == 4
    assert len(sync.document("diff", URL, source)["size_only"]) == 4
    assert sync.document("verify", URL, source, "--full")["same_files"] == 4
    write_tree(source, {"notes.txt": b"NOTES\n"})
    assert sync.document("verify", URL, source)["identical"]
    told = sync.document("verify", URL, source, "--full", code=1)
    assert [item["key"] for item in told["differ"]] == ["notes.txt"]
    assert "SHA-256" in told["differ"][0]["why"]


@pytest.fixture(params=["MD5 of parts", "CRC-64"])
def weaker(request, obs, store, source, tmp_path):
    """Name of the only digest that is known of a large object, which others have stored or a checkpoint is."""
    data = os.urandom(300000)
    write_tree(source, {"large": data})
    if request.param == "CRC-64":
        from obs import ObsClient
        client = ObsClient(**obs.client_arguments())
        client.uploadFile("bucket", "base/large", os.path.join(source, "large"), partSize=102400, isAttachCrc64=True)
        client.close()
    else:
        with small_parts(102400):
            store.upload(os.path.join(source, "large"), "large", with_md5=False)
    return request.param


def test_an_object_is_compared_by_the_digest_that_is_known_be_it_a_weaker_one(sync, weaker, source):
    told = sync.document("verify", URL, source, "--include", "large")
    assert (told["same_files"], told["size_only"]) == (1, [])
    path = os.path.join(source, "large")
    with open(path, "r+b") as stream:
        stream.write(bytes(10))
    told = sync.document("verify", URL, source, "--include", "large", code=1)
    assert weaker in told["differ"][0]["why"]


def test_that_an_object_is_encrypted_is_told_as_the_reason_why_its_size_alone_counts(sync, source):
    with mock_obs(buckets=["bucket"], encryption="kms") as obs:
        obs.put("bucket", "base/notes.txt", TREE["notes.txt"])
        assert sync("verify", URL, source, "--include", "notes.txt") == 0
    assert "1 file by size only, the store knows no digest: 1 of them encrypted, with an ETag that is none (--full " \
           "reads them)" in sync.out


def test_nothing_to_compare_is_no_success(sync, filled, source, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "nothing to compare below" in sync.error("verify", "obs://bucket/none/", tmp_path / "empty", code=4)
    assert "the patterns leave nothing" in sync.error("diff", URL, source, "--include", "*.none", code=4)
    assert "there is no folder" in sync.error("verify", URL, tmp_path / "missing", code=4)


# -- published checkpoints

@pytest.fixture
def run(store, tmp_path):
    """Two checkpoints, the second one the best."""
    directory = write_tree(tmp_path / "made", FILES)
    for name in ("ckpt-000010-0a", "ckpt-000020-0a"):
        publish_checkpoint(store, directory, name, {"iteration": 10}, prefix="run/checkpoints/")
    write_pointer(store, "best", "ckpt-000020-0a", prefix="run/checkpoints/")
    store.write("run/run.json", b"{}")
    return URL + "run/"


@pytest.mark.parametrize("below", ["run/", "", "run/checkpoints/"])
def test_whole_checkpoints_are_told(sync, run, below):
    assert sync("verify", URL + below) == 0
    assert sync.out.splitlines()[0].startswith("whole    ") and sync.out.splitlines()[1].endswith("  (best)")
    assert sync.out.splitlines()[-1] == "2 of 2 checkpoints whole: 4 files, 61.0 kB read and correct"


def test_a_pulled_run_is_verified_like_a_published_one(sync, run, tmp_path):
    sync("pull", run, tmp_path / "out")
    assert sync("verify", tmp_path / "out") == 0
    (tmp_path / "out" / "checkpoints" / "ckpt-000010-0a" / "network.npz").unlink()
    assert sync("verify", tmp_path / "out") == 1


FIRST = "run/checkpoints/ckpt-000010-0a"


def test_a_checkpoint_that_no_run_resumes_from_is_not_whole(sync, store, tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "network.npz").write_bytes(b"x")
    for name, iteration in (("good", 10), ("bad", [10])):
        publish_checkpoint(store, str(tmp_path / "files"), name, {"lineage": "l", "iteration": iteration},
                           prefix="run/checkpoints/")
    assert sync("verify", URL + "run/") == 1
    assert [line.split()[:2] for line in sync.out.splitlines() if "checkpoints/" in line] == [
        ["DAMAGED", "checkpoints/bad"], ["whole", "checkpoints/good"]]
    assert "its marker: metadata.iteration" in sync.out


@pytest.mark.parametrize("damage, fault", [
    (lambda store: store.write(FIRST + "/network.npz", os.urandom(30000)), "network.npz has the SHA-256 "),
    (lambda store: store.write(FIRST + "/network.npz", b"x"), "network.npz has 1 bytes; the marker says 30,000"),
    (lambda store: store.delete([FIRST + "/sub/metric.npz"]), "sub/metric.npz is missing"),
    (lambda store: store.write(FIRST + ".json", b"{torn"), "its marker: it is not JSON"),
], ids=["bytes", "size", "missing", "marker"])
def test_a_damaged_checkpoint_is_named_with_its_fault(sync, run, store, damage, fault):
    damage(store)
    assert sync("verify", run) == 1
    lines = sync.out.splitlines()
    assert lines[0].startswith("DAMAGED  checkpoints/ckpt-000010-0a  ")
    assert lines[1].strip().startswith(fault) and lines[2].startswith("whole    checkpoints/ckpt-000020-0a")
    assert lines[-1].startswith("1 of 2 checkpoints whole")
    told = sync.document("verify", run, code=1)
    checkpoints = told["folders"][0]["checkpoints"]
    assert [each["whole"] for each in checkpoints] == [False, True] and fault in checkpoints[0]["faults"][0]
    assert told["folders"][0]["pointers"] == {"best": "ckpt-000020-0a"}


def test_what_is_unfinished_and_what_is_gone_is_noted(sync, run, store):
    store.delete(["run/checkpoints/ckpt-000020-0a.json"])
    assert sync("verify", run) == 0
    assert "best.json points at ckpt-000020-0a, which is not there" in sync.out
    assert "ckpt-000020-0a/ has no marker (2 files, 30.5 kB)" in sync.out


def test_where_nothing_is_published_verify_fails(sync, filled):
    assert "no published checkpoint below: obs://bucket/base/" in sync.error("verify", URL, code=4)
    assert "need a PATH" in sync.error("verify", URL, "--full", code=2)


def test_a_reader_that_has_had_enough_changes_no_exit_code(filled, source):
    write_tree(source, {"notes.txt": b"other"})
    for action in ("verify", "diff"):
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "wb") as closed:
            done = subprocess.run([sys.executable, "-m", "job", "sync", action, URL, source], stdout=closed,
                                  stderr=subprocess.PIPE)
        assert done.returncode == 1 and b"Traceback" not in done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")
@pytest.mark.parametrize("arguments", [["ls", URL], ["ls", URL, "--json"], ["gc", URL], ["diff", URL, "{folder}"],
                                       ["push", "{folder}", URL], ["push", "{folder}", URL, "--dry-run"]])
def test_an_output_that_cannot_be_written_is_one_message(filled, source, arguments):
    words = [word.format(folder=source) for word in arguments]
    with open("/dev/full", "wb") as full:
        done = subprocess.run([sys.executable, "-m", "job", "sync"] + words, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 4 and b"the output cannot be written (No space left on device)" in done.stderr
    assert b"Traceback" not in done.stderr and b"work_dir" not in done.stderr


def test_with_a_closed_output_all_is_done_as_well(filled, source):
    done = subprocess.run(["sh", "-c", '"$0" -m job sync "$@" >&-', sys.executable, "ls", URL], stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("command", [["sync", "ls", "{}"], ["sync", "gc", "{}"], ["pack", "{}", "{}-packed"]])
def test_a_folder_whose_name_is_not_text_is_printed_all_the_same(tmp_path, command):
    folder = os.fsencode(str(tmp_path)) + b"/\xff"
    write_tree(os.fsdecode(folder), TREE)
    words = [os.fsencode(word).replace(b"{}", folder) for word in command]
    done = subprocess.run([sys.executable, "-m", "job"] + words,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env=dict(os.environ, PYTHONIOENCODING="utf-8:strict"))
    assert done.returncode == 0 and b"\\udcff" in done.stdout, done.stderr


def test_folders_of_checkpoints_are_found_in_each_other(tmp_path):
    store = LocalStore(str(tmp_path))
    for key in ("checkpoints/run/checkpoints/a.json", "run/checkpoints/b.json"):
        store.write(key, b"{}")
    assert checkpoint_folders(store, store.list()) == [
        "checkpoints/", "checkpoints/run/checkpoints/", "run/checkpoints/"]


def test_an_age_beyond_all_bounds_is_a_mistake(sync):
    assert "expected an age" in sync.error("gc", URL, "--older-than", "9" * 400 + "d", code=2)
