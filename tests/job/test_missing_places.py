"""A path that does not exist has one exit code, whatever it was given to; a reader who leaves is no failure."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from job import cli
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
