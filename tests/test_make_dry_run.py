"""What `make dry-run` makes of its command line. No environment is set up: a stand-in for `.ci/lane` tells its words.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest

from job.config.make_variables import DRY_RUN

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LANE = """#!/bin/sh
case $1 in
    pick) echo tf2 ;;
    find) echo "{python}" ;;
    python) shift 2; case $1 in -V) ;; *) printf '<%s>\\n' "$@" ;; esac ;;
esac
"""

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")


@pytest.fixture
def make(tmp_path):
    """make(*words): (exit code, words that the job would get or None, standard error)."""
    shutil.copy(os.path.join(ROOT, "Makefile"), str(tmp_path))
    (tmp_path / ".ci").mkdir()
    lane = tmp_path / ".ci" / "lane"
    lane.write_text(LANE.format(python=sys.executable))
    lane.chmod(0o755)
    for package in ("job", "masf_core", "obs_sync"):
        (tmp_path / package).symlink_to(os.path.join(ROOT, package))
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}

    def run(*words, **more):
        done = subprocess.run(["make", "dry-run"] + list(words), cwd=str(tmp_path), env=dict(environ, **more),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=60)
        told = [line[1:-1] for line in done.stdout.splitlines() if line.startswith("<")]
        return done.returncode, told or None, done.stderr
    return run


def test_values_reach_the_job_as_they_were_given(make, tmp_path):
    nasty = "/data/it's `touch harm` $(touch harm) $HOME; \"x\" # &"
    code, words, errors = make("PACS_ROOT=" + nasty, "SET=seed=3 'domains=a b,c$d' $(shell touch harm)", "FAULT_SEED=5",
                               "PLATFORM_FAULTS=RunJob kill=1 log='a b'")
    assert code == 0, errors
    assert words == ["-m", "job", "dry-run", "--lane", "tf2", "--pacs_root", nasty, "--platform_faults",
                     "RunJob kill=1 log='a b'", "--fault_seed", "5",
                     "--set_text", "seed=3 'domains=a b,c$d' $(shell touch harm)"]
    assert not (tmp_path / "harm").exists()


def test_a_variable_may_also_come_from_the_environment(make):
    assert make(WEIGHTS="/w.npy", UNRELATED="1")[1][-2:] == ["--weights", "/w.npy"]


@pytest.mark.parametrize("word, told", [
    ("FAULT=storm", "FAULT=storm: make dry-run has no variable FAULT; did you mean 'FAULTS'?"),
    ("train_iterations=20", "a setting is given with SET, as in make dry-run SET=\"train_iterations=20\""),
    ("clipNorm=1", "clipNorm, which is of the published port: "),
    ("NONSENSE=1", "there are LANE, PACS_ROOT, WEIGHTS, CONFIG, SET, FAULTS, PLATFORM_FAULTS, FAULT_SEED"),
    ("train_iteration=5", 'did you mean SET="train_iterations=5"?'),
])
def test_a_variable_that_would_change_nothing_is_refused_with_the_right_spelling(make, word, told):
    code, words, errors = make(word, "SET=seed=3")
    assert code != 0 and words is None
    assert told in errors and "Traceback" not in errors


def test_what_programs_read_from_their_environment_may_be_given_to_make(make):
    assert make("OMP_NUM_THREADS=1", "PIP_INDEX_URL=https://index/")[0] == 0


@pytest.mark.parametrize("name, value, told", [
    ("FAULT", "storm", "environment variable FAULT=storm: make dry-run has no variable FAULT; did you mean 'FAULTS'?"),
    ("PACSROOT", "/data", "did you mean 'PACS_ROOT'?"), ("fault_seed", "3", "did you mean 'FAULT_SEED'?")])
def test_a_misspelt_name_that_only_this_command_has_is_refused_in_the_environment_too(make, name, value, told):
    code, words, errors = make(**{name: value})
    assert code != 0 and words is None
    assert told in errors and f"env -u {name} make dry-run" in errors


def test_a_misspelt_name_that_another_program_may_have_is_a_warning(make):
    code, words, errors = make(WEIGHT="/w.npy")
    assert code == 0 and "--weights" not in words
    assert "warning: environment variable WEIGHT=/w.npy" in errors and "did you mean 'WEIGHTS'?" in errors


def test_ordinary_names_of_the_environment_are_no_concern_of_make(make):
    assert make(ENV="/etc/shrc", CONFIGS="a", LANES="b", DEFAULTS="c", SEED="4", seed="5")[::2] == (0, "")


def test_the_message_knows_every_variable_that_the_makefile_reads():
    with open(os.path.join(ROOT, "Makefile"), encoding="utf-8") as stream:
        recipe = re.search(r"^dry-run: .*\n((?:\t.*\n)+)", stream.read(), re.MULTILINE).group(1)
    assert set(re.findall(r"\$\$\{?([A-Z_]+)", recipe)) | {"LANE", "ENVS"} == set(DRY_RUN)  # .ci/lane reads these two
