"""python -m job pack: a folder becomes a pack, and the job's inputs are the folder again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading

import pytest

from job import cli
from masf_core.data import miniature
from obs_sync import open_store, pull
from obs_sync.local.scratch import scratch_directory
from obs_sync.mock import Call, Faults, Latency, Rule, mock_obs
from tests.obs_sync.trees import read_tree, write_tree

URL = "obs://bucket/packed/"


@pytest.fixture
def obs():
    """The mocked OBS, with a bucket; the environment says where."""
    with mock_obs(buckets=["bucket"]) as server:
        yield server


@pytest.fixture
def folder(tmp_path):
    return write_tree(tmp_path / "folder", {"photo/dog/1.jpg": b"1" * 1000, "photo/cat/2.jpg": b"2" * 3000000})


def test_the_miniature_pacs_is_the_same_after_packing_and_pulling(obs, tmp_path, capsys):
    source = str(tmp_path / "pacs")
    miniature.write_miniature(source, images_per_class=2)
    assert cli.main(["pack", source, URL, "--shard-mb", "1"]) == 0
    told = capsys.readouterr()
    assert "obs://bucket/packed/: 68 files in" in told.out and "read: " in told.err and "store: " in told.err
    with open_store(URL, os.environ) as store:
        pull(store, str(tmp_path / "out"))
    assert read_tree(tmp_path / "out") == read_tree(source)


def test_packing_again_says_that_nothing_was_stored(obs, folder, capsys):
    cli.main(["pack", folder, URL])
    assert "shards: 1 stored (3.0 MB), 0 there already, 0 removed" in capsys.readouterr().out
    assert cli.main(["pack", folder, URL]) == 0
    told = capsys.readouterr().out
    assert "shards: 0 stored (0 B), 1 there already, 0 removed" in told and "the pack has not changed" in told


def test_a_dry_run_stores_nothing(obs, folder, capsys):
    assert cli.main(["pack", folder, URL, "--dry-run"]) == 0
    assert "1 to be stored (3.0 MB), 0 there already, 0 to be removed" in capsys.readouterr().out
    assert obs.keys("bucket") == []


def test_shards_out_of_use_are_removed_when_asked(obs, folder, capsys):
    cli.main(["pack", folder, URL])
    write_tree(folder, {"photo/dog/1.jpg": b"other"})
    assert cli.main(["pack", folder, URL, "--prune"]) == 0
    assert "1 stored (3.0 MB), 0 there already, 1 removed" in capsys.readouterr().out
    assert len(obs.keys("bucket")) == 2


def test_what_is_in_a_bucket_can_be_packed_into_another_folder(obs, folder, tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    obs.put("bucket", "loose/a/1.jpg", b"one")
    assert cli.main(["pack", "obs://bucket/loose/", URL]) == 0
    assert os.listdir(str(tmp_path / "tmp")) == []
    with open_store(URL, os.environ) as store:
        pull(store, str(tmp_path / "out"))
    assert read_tree(tmp_path / "out") == {"a/1.jpg": b"one"}


@pytest.mark.parametrize("arguments, code, told", [
    (["{folder}", "{folder}/packed"], 2, "lies in {folder}, so the next pack would contain this one"),
    (["{folder}", "{folder}"], 2, "lies in {folder}, so the next pack would contain this one"),
    (["{folder}", "elsewhere", "--shard-mb", "0"], 2, "--shard-mb=0: expected at least 1 and at most 1,048,576"),
    (["{folder}", "elsewhere", "--shard-mb", "1048577"], 2, "--shard-mb=1048577: expected at least 1 and at most"),
    (["{folder}", "elsewhere", "--shard-mb", "9" * 400], 2, "--shard-mb=99999999999999999999: expected at least 1"),
    (["file://{folder}", "{folder}/packed"], 2, "lies in {folder}, so the next pack would contain this one"),
    (["{folder}", "ftp://bucket/x"], 2, "scheme 'ftp'"),
    (["file:{folder}", "elsewhere"], 2, "scheme of a URL must be followed by two slashes"),
    (["{folder}/none", "elsewhere"], 4, "there is no folder {folder}/none to pack; check the path"),
    (["{folder}/empty", "elsewhere"], 4, "there are no files to pack: {folder}/empty"),
    (["{folder}"], 2, "the following arguments are required: DEST"),
])
def test_a_mistake_is_one_message(folder, capsys, arguments, code, told):
    os.mkdir(os.path.join(folder, "empty"))
    assert cli.main(["pack"] + [argument.format(folder=folder) for argument in arguments]) == code
    captured = capsys.readouterr()
    assert told.format(folder=folder) in captured.err and "Traceback" not in captured.err
    assert captured.out == ""


def test_a_local_folder_may_be_a_file_url(folder, tmp_path, capsys):
    assert cli.main(["pack", "file://" + folder, "file://" + str(tmp_path / "packed")]) == 0
    with open_store(str(tmp_path / "packed")) as store:
        pull(store, str(tmp_path / "out"))
    assert read_tree(tmp_path / "out") == read_tree(folder)


def run_with(stdout, folder, target):
    """The exit code, and what went to standard error."""
    process = subprocess.Popen([sys.executable, "-m", "job", "pack", folder, target], stdout=stdout,
                               stderr=subprocess.PIPE, universal_newlines=True)
    told = process.communicate(timeout=60)[1]
    return process.returncode, told


def test_who_reads_no_output_gets_the_pack_all_the_same(folder, tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    try:
        code, told = run_with(writer, folder, str(tmp_path / "packed"))
    finally:
        os.close(writer)
    assert code == 0 and "Broken" not in told and "Traceback" not in told, told
    with open_store(str(tmp_path / "packed")) as store:
        pull(store, str(tmp_path / "out"))
    assert read_tree(tmp_path / "out") == read_tree(folder)


def test_an_output_that_cannot_be_written_is_told_with_what_helps(folder, tmp_path):
    with open("/dev/full", "w") as full:
        code, told = run_with(full, folder, str(tmp_path / "packed"))
    assert code == 4 and "the output cannot be written (No space left on device): standard output" in told, told
    assert "work_dir" not in told and "Traceback" not in told


@pytest.fixture
def ended_while_it_stores(obs, tmp_path):
    """A function (source, signal) -> (exit code, standard error) of a pack that gets the signal at its first PUT."""
    (tmp_path / "tmp").mkdir()

    def run(source, number):
        arrived = threading.Event()
        obs.faults = Faults([Rule(Call(lambda request: arrived.set()), operation="PutObject,InitiateMultipartUpload"),
                             Rule(Latency(5.0), operation="PutObject,InitiateMultipartUpload")])
        process = subprocess.Popen([sys.executable, "-m", "job", "pack", source, URL], stderr=subprocess.PIPE,
                                   env=dict(obs.environment(), TMPDIR=str(tmp_path / "tmp")), universal_newlines=True)
        assert arrived.wait(60)
        process.send_signal(number)
        told = process.communicate(timeout=60)[1]
        obs.faults = Faults()
        return process.returncode, told

    return run


def test_sigterm_ends_it_and_leaves_nothing_in_the_temporary_folder(ended_while_it_stores, folder, tmp_path):
    code, told = ended_while_it_stores(folder, signal.SIGTERM)
    assert code == 143 and "Traceback" not in told, told
    assert os.listdir(str(tmp_path / "tmp")) == []


def test_what_a_killed_one_leaves_in_the_temporary_folder_the_next_one_removes(obs, ended_while_it_stores, folder,
                                                                               tmp_path, monkeypatch):
    obs.put("bucket", "loose/a/1.jpg", b"one")
    (tmp_path / "tmp" / "masf-pack-of-others").mkdir(parents=True)
    assert ended_while_it_stores("obs://bucket/loose/", signal.SIGKILL)[0] == -signal.SIGKILL
    assert len(os.listdir(str(tmp_path / "tmp"))) == 3  # the objects, and a shard of them
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    with scratch_directory("masf-pack-") as living:
        assert cli.main(["pack", folder, URL]) == 0
        assert os.path.isdir(living)
    assert os.listdir(str(tmp_path / "tmp")) == ["masf-pack-of-others"]
