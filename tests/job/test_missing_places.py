"""A path that does not exist has one exit code, whatever it was given to; a reader who leaves is no failure."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

from job import cli
from masf_core.data import miniature
from obs_sync.mock import mock_obs
from tests.job.reports.test_compare import write_run

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@pytest.mark.parametrize("words", [
    "show {nope}", "compare {nope} {nope}", "sync ls {nope}", "sync pull {nope} {here}/x", "sync push {nope} {here}/x",
    "sync verify {nope}", "sync diff {nope} {here}", "sync gc {nope}", "pack {nope} {here}/x", "parity {nope}",
    "config --config={nope}", "bench --json={nope}/a.json", "dry-run --root={here}/dry --pacs_root={nope}",
    "dry-run --root={here}/dry --weights={nope}", "dry-run --config={nope}",
    "run --data_url={nope} --weights_path=none --train_url={here}/out --work_dir={here}/work",
    "run --data_url={here} --weights_path={nope} --train_url={here}/out --work_dir={here}/work",
    "run --dataroot={nope} --weights_path=none --train_url={here}/out --work_dir={here}/work",
])
def test_a_path_that_does_not_exist_ends_with_the_same_code_everywhere(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    nope = str(tmp_path / "nope")
    assert cli.main([word.format(nope=nope, here=tmp_path) for word in words.split()]) == 4
    told = capsys.readouterr().err
    assert "nope" in told and "Traceback" not in told
    assert f"{nope} and {nope}" not in told and f"{nope} and no {nope}" not in told


# Each command that takes a place: what a mistyped place ends with is the same for all of them.
PLACES = [
    "show {it}", "compare {it}", "sync ls {it}", "sync pull {it} {here}/x", "sync push {here}/full {it}",
    "sync verify {it}", "sync diff {it} {here}/full", "sync gc {it}", "pack {it} {here}/x", "pack {here}/full {it}",
    "run --data_url={it} --weights_path=none --train_url={here}/out --work_dir={here}/work",
    "run --data_url={here}/full --weights_path=none --train_url={it} --work_dir={here}/work",
]
MISTYPED = [
    ("obs://buckett/pacs/", 4, "buckett"), ("s3://buckett/pacs/", 4, "buckett"),
    ("obs://bucket/nope/", 4, "nope"), ("ob://bucket/pacs/", 2, "the scheme 'ob' is not supported"),
    ("obs:/bucket/pacs/", 2, "two slashes"), ("https://bucket.obs.example.com/pacs/", 2, "scheme 'https'"),
    ("obs:///pacs/", 2, "names no bucket"),
]
MAY_BE_EMPTY = ("sync push", "sync diff", "pack {here}", "run --data_url={here}/full")  # a new folder is no mistake


@pytest.fixture
def bucket(tmp_path, monkeypatch):
    """A mocked OBS with a bucket, and a folder with a file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.txt").write_text("a")
    with mock_obs(buckets=["bucket"]) as mock:
        yield mock


@pytest.mark.parametrize("words", PLACES)
def test_a_mistyped_url_ends_with_the_same_code_everywhere(words, bucket, tmp_path, capsys):
    for url, expected, told in MISTYPED:
        if "nope" in url and words.startswith(MAY_BE_EMPTY):
            continue
        code = cli.main([word.format(it=url, here=tmp_path) for word in words.split()])
        errors = capsys.readouterr().err
        assert (code, "Traceback" in errors) == (expected, False), (url, errors)
        assert told in errors, (url, errors)


@pytest.mark.parametrize("words", ["config --data_url={it}", "config --train_url={it}", "config --weights_path={it}",
                                   "check-graph --data_url={it}", "bench --data_url={it}"])
def test_a_url_that_is_none_is_refused_before_anything_is_done(words, capsys):
    for url, expected, told in MISTYPED:
        if "scheme" in told or "slashes" in told:
            assert expected == 2
            assert cli.main(words.format(it=url).split()) == 2
            assert told in capsys.readouterr().err


@pytest.mark.parametrize("words", ["make-miniature {it}", "dry-run --root={it}", "dry-run --pacs_root={it}",
                                   "dry-run --weights={it}"])
def test_a_url_where_only_a_local_path_is_possible_is_refused(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for url in ("obs://bucket/pacs/", "ob://bucket/pacs/", "obs:/bucket/pacs/"):
        assert cli.main(words.format(it=url).split()) == 2
        assert url in capsys.readouterr().err
    assert os.listdir(str(tmp_path)) == []


def piped(words):
    """(exit code, what it complained of) of a command whose reader has gone before it prints."""
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run([sys.executable, "-m", "job"] + words, cwd=ROOT, stdout=write, stderr=subprocess.PIPE,
                              timeout=60)
    finally:
        os.close(write)
    return done.returncode, done.stderr.decode()


def test_show_and_compare_end_quietly_when_their_reader_does(tmp_path):
    run = write_run(tmp_path / "deepall", {10: (30.0, 50.0), 20: (40.0, 60.0)})
    page = tmp_path / "page.html"
    assert piped(["show", run]) == (0, "")
    assert piped(["compare", run, "--page", str(page)]) == (0, "")
    assert page.is_file()


@pytest.mark.parametrize("words, flag", [("mock serve --root={it}", "--root"), ("make-miniature {it}", "FOLDER")])
def test_a_folder_that_cannot_be_created_is_one_message_with_the_flag_of_the_command(words, flag, capsys):
    assert cli.main(words.format(it="/proc/x").split()) == 4
    told = capsys.readouterr().err
    assert flag in told and "/proc/x" in told and "Traceback" not in told and "work_dir" not in told


def test_a_read_only_disk_is_told_without_a_flag_that_the_command_lacks(tmp_path, monkeypatch, capsys):
    def refuse(folder, *rest, **others):
        raise OSError(errno.EROFS, "Read-only file system", folder)

    monkeypatch.setattr(miniature, "write_miniature", refuse)
    assert cli.main(["make-miniature", str(tmp_path / "x")]) == 4
    told = capsys.readouterr().err
    assert "FOLDER" in told and "work_dir" not in told
