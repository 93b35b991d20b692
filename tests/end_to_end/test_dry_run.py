"""`python -m job dry-run`, as `make dry-run` calls it."""
from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.end_to_end.conftest import ROOT

pytestmark = pytest.mark.slow

QUICK = ["--set", "width=0.02", "train_iterations=2", "test_print_interval=1", "meta_batch_size=3"]


def dry_run(tmp_path, *arguments):
    """(exit code, standard output and error) of the command."""
    done = subprocess.run([sys.executable, "-m", "job", "dry-run", "--root", str(tmp_path / "dry")] + list(arguments),
                          cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    return done.returncode, done.stdout


def test_the_whole_job_runs_on_real_images_leaves_its_bucket_and_can_be_run_again(tmp_path, source):
    arguments = ["--pacs_root", str(source / "images")] + QUICK
    code, output = dry_run(tmp_path, *arguments)
    assert code == 0, output
    assert "lists" not in output or "Traceback" not in output
    for expected in ("mocked OBS at http://obs.fake-obs.test", "boot_modelarts.py", "interval 2/2", "checkpoints/",
                     "iteration  validation", "report.html", "PACS_ROOT=" + str(source / "images")):
        assert expected in output, output
    (run,) = (tmp_path / "dry" / "bucket" / "masf-dry-run" / "output").iterdir()
    assert {"report.html", "eva.txt", "metrics.jsonl", "run.json", "checkpoints"} <= set(os.listdir(str(run)))
    code, output = dry_run(tmp_path, *arguments)
    assert code == 0 and "Nothing is left to do" in output, output


def test_a_failing_job_hands_on_its_exit_code(tmp_path, source):
    code, output = dry_run(tmp_path, "--pacs_root", str(source / "images"), "--set", "target_domain=clipart")
    assert code == 2, output
    assert "clipart" in output and "Traceback" not in output


def test_mistakes_on_the_command_line_are_named(tmp_path):
    for arguments, text in ((["--set", "width"], "name=value"), (["--pacs_root", "/no/such/place"], "PACS_ROOT"),
                            (["--config", "no-such.yaml"], "no-such.yaml"), (["--set", "widht=1"], "width")):
        code, output = dry_run(tmp_path, *arguments)
        assert code in (2, 4) and text in output and "Traceback" not in output, output
