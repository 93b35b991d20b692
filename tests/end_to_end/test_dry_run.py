"""`python -m job dry-run`, as `make dry-run` calls it."""
from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys

import pytest

from obs_sync.mock import mock_obs
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
    for expected in ("mocked ModelArts at http://127.0.0.1:", "mocked OBS at http://obs.fake-obs.test",
                     "boot_modelarts.py", "train_iterations=2", ": Pending", ": Running", "interval 2/2", ": Completed",
                     "checkpoints/", "start: ", "iteration  validation", "report.html",
                     "--pacs_root " + str(source / "images"), "train_iterations=4 test_print_interval=1"):
        assert expected in output, output
    (run,) = (tmp_path / "dry" / "bucket" / "masf-dry-run" / "output").iterdir()
    assert {"report.html", "eva.txt", "metrics.jsonl", "run.json", "checkpoints"} <= set(os.listdir(str(run)))
    with open(str(run / "run.json")) as stream:
        split = json.load(stream)["attempts"][-1]["start_seconds"]
    assert {"imports", "tensorflow", "opening", "inputs", "index", "cache", "graph", "session", "weights", "variables",
            "first_iteration", "total"} == set(split)
    assert sum(split.values()) == pytest.approx(2 * split["total"], abs=0.02)
    code, output = dry_run(tmp_path, "--faults", "GetObject,ListObjects every=2 status=503", *arguments)
    assert code == 0 and "Nothing is left to do" in output, output
    assert "the code is in " in output  # of the first time
    told = re.search(r"faults injected: (\d+) \(status=503 (\d+)\) in the job's (\d+) requests", output)
    assert told and 0 < int(told.group(1)) == int(told.group(2)) < int(told.group(3)), output
    assert "--faults 'GetObject,ListObjects every=2 status=503'" in output  # what to try next repeats it
    assert "The job had nothing to do" in output and "rm -r " in output and "seed=1" in output


def test_a_failing_job_hands_on_its_exit_code(tmp_path, source):
    code, output = dry_run(tmp_path, "--pacs_root", str(source / "images"), "--set", "target_domain=clipart")
    assert code == 2, output
    assert "clipart" in output and "Traceback" not in output


def test_mistakes_on_the_command_line_are_named(tmp_path):
    for arguments, text in ((["--set", "width"], "name=value"), (["--pacs_root", "/no/such/place"], "--pacs_root"),
                            (["--config", "no-such.yaml"], "no-such.yaml"), (["--set", "widht=1"], "width"),
                            (["--faults", "hurricane"], "storm, slow, flaky"),
                            (["--platform_faults", "RunJob kil=1"], "--platform_faults: "),
                            (["--root", os.path.join(os.path.abspath(__file__), "below")], "with --root")):
        code, output = dry_run(tmp_path, *arguments)
        assert code in (2, 4) and text in output and "Traceback" not in output, output


def test_a_lost_node_is_replaced_and_ctrl_c_stops_the_job_at_a_checkpoint(tmp_path, source):
    arguments = ["--pacs_root", str(source / "images"), "--platform_faults",
                 "RunJob nth=1 lose-node=0 log='published ckpt-000005'", "--set", "width=0.02",
                 "train_iterations=100000", "test_print_interval=5", "meta_batch_size=3"]
    process = subprocess.Popen(
        [sys.executable, "-m", "job", "dry-run", "--root", str(tmp_path / "dry")] + arguments, cwd=ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True,
        # A shell that began the tests in the background has them ignore SIGINT, which is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    output, resumed = "", False
    for line in process.stdout:
        output += line
        resumed = resumed or "resuming from ckpt-" in line
        if resumed and " interval " in line:
            process.send_signal(signal.SIGINT)
            break
    output += process.stdout.read()
    assert process.wait() == 130, output
    for expected in ("restarted in new containers, because: worker-0: the node was lost",
                     "SIGTERM: stopping after the current iteration",  # what the job hears from the platform
                     ": Terminated", "of the mocked ModelArts: faults injected: 1 (lose-node 1)"):
        assert expected in output, output
    assert output.count("pulled the code") == 2
    _, _, told = output.partition("The same command resumes from the last checkpoint")
    assert "--platform_faults 'RunJob nth=1 lose-node=0" in told and "train_iterations=100000" in told


@pytest.mark.parametrize("lane, other", [([], "--root"), (["--lane", "tf2"], "RESULTS=DIR")])
def test_a_second_dry_run_in_the_same_place_is_one_message(tmp_path, lane, other):
    with mock_obs(root=str(tmp_path / "dry" / "bucket")):
        code, output = dry_run(tmp_path, *lane)
    assert code == 2, output
    assert "another dry run" in output and str(tmp_path / "dry") in output and other in output
    assert "Traceback" not in output and len(output.splitlines()) == 1, output
