"""docs/research.md: its study is the shipped one, and its commands work. Its runs are written, not trained."""
from __future__ import annotations

import os
import shlex
import shutil

import pytest

from job import cli
from job.sweep.plan import kinds_of, runs_of
from job.sweep.study_file import read_study
from tests.documentation_checks import ROOT, blocks
from tests.job.sweep.studies import store

with open(os.path.join(ROOT, "docs", "research.md"), encoding="utf-8") as stream:
    PAGE = stream.read()
SHIPPED = os.path.join(ROOT, "configs", "studies", "miniature.yaml")


def shown():
    """The YAML blocks of the page."""
    return [block for _, block in blocks(PAGE, "yaml")]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A current directory with a copy of the shipped study."""
    monkeypatch.chdir(tmp_path)
    os.makedirs("configs/studies")
    shutil.copy(SHIPPED, "configs/studies")
    return tmp_path


def test_the_study_of_the_page_is_the_shipped_one():
    with open(SHIPPED, encoding="utf-8") as stream:
        assert "".join(line for line in stream if not line.startswith("#")) == shown()[0]


def test_every_study_of_the_page_can_be_read(tmp_path):
    for text in shown():
        (tmp_path / "study.yaml").write_text(text)
        assert kinds_of(read_study(str(tmp_path / "study.yaml")), {})


def test_the_commands_of_the_example_work(folder, capsys):
    """All but `run`, in whose place the results of its runs are written."""
    _, block = next(blocks(PAGE, "sh"))
    for line in block.splitlines():
        words = shlex.split(line)[3:]
        if words[0] == "make-miniature":
            words.append("--images_per_class=2")
        if "run" in words:
            study = read_study(words[1])
            runs = runs_of(study, kinds_of(study, {}), ["art_painting", "cartoon", "photo", "sketch"],
                           str(folder / "miniature-study"))
            for number, run in enumerate(runs):
                store(folder, run, 40.0 + number, 50.0, parent="miniature-study", iteration=60)
        else:
            assert cli.main(words) == 0, words
    out = capsys.readouterr().out
    assert "16 runs:" in out and "16 done" in out and "masf minus deepall (oracle): -1.00" in out
    assert (folder / "table.tex").read_text().count("\\\\\n") > 10 and (folder / "table.html").exists()
