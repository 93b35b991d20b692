"""A bucket with a very small data set, and the job as a process."""
from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from masf_core.data import miniature
from obs_sync import LocalStore, open_store, push
from obs_sync.mock import mock_obs

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WITHOUT_FIGURES = os.path.join(ROOT, "tests", "fakes", "without_matplotlib")
WIDTH = 0.02
SETTINGS = {
    "target_domain": "cartoon", "width": WIDTH, "train_iterations": 6, "test_print_interval": 2, "meta_batch_size": 6,
    "evaluation_batch": 14, "outer_lr": 1e-4, "inner_lr": 1e-4, "metric_lr": 1e-4, "device": "cpu",
    "intra_op_threads": 1, "inter_op_threads": 1, "run_name": "run", "transfer_workers": 4}


@pytest.fixture(scope="session")
def source(tmp_path_factory):
    """Directory with images/, kfold/ and weights/: 4 domains, 7 classes, 3 images of each."""
    root = tmp_path_factory.mktemp("source")
    miniature.write_miniature(str(root / "pacs"), images_per_class=3)
    (root / "pacs" / "weights").mkdir()
    miniature.write_alexnet_weights(str(root / "pacs" / "weights" / "bvlc_alexnet.npy"), width=WIDTH)
    return root / "pacs"


class Job:
    """Starts the boot file against a mocked OBS and looks at what it leaves there."""

    def __init__(self, mock, work_dir, source):
        self.mock = mock
        self.work_dir = work_dir
        self.source = source
        self.environ = mock.environment()
        self.environ["PYTHONPATH"] = os.pathsep.join([WITHOUT_FIGURES, self.environ["PYTHONPATH"]])
        self.folder = ROOT  # where the command is started

    def store(self, path=""):
        return open_store("obs://bucket/" + path, self.environ, backend="esdk")

    def fill(self):
        with self.store("pacs/") as store:
            push(store, str(self.source))
        return self

    def arguments(self, **changes):
        values = dict(SETTINGS, data_url="obs://bucket/pacs/", train_url="obs://bucket/output/",
                      weights_path="weights/bvlc_alexnet.npy", work_dir=str(self.work_dir))
        values.update(changes)
        return [f"--{name}={value}" for name, value in values.items() if value is not None]

    def start(self, *prefix, **changes):
        """The process, its output in one pipe."""
        program = prefix or (os.path.join(ROOT, "boot_modelarts.py"),)
        return subprocess.Popen(
            [sys.executable] + list(program) + self.arguments(**changes), env=self.environ, cwd=str(self.folder),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)

    def run(self, *prefix, **changes):
        """(exit code, output) of a whole run."""
        process = self.start(*prefix, **changes)
        output, _ = process.communicate(timeout=240)
        return process.returncode, output

    def killed_at(self, place, call):
        """Run until the ``call``-th call of ``place``; it must get there."""
        code, output = self.run("-m", "tests.end_to_end.killed_at", place, str(call))
        assert code == -signal.SIGKILL, output

    def result(self, run="run"):
        """What must not depend on how often the run was interrupted: records without timings, and final weights."""
        with self.store(f"output/{run}/") as store:
            records = [json.loads(line) for line in store.read("metrics.jsonl").decode().splitlines()]
            state = json.loads(store.read("run.json").decode())
            newest = sorted(key for key in self.mock.keys("bucket", f"output/{run}/checkpoints/ckpt-000006")
                            if key.endswith("/network.npz"))[-1]
        timeless = [{key: value for key, value in record.items() if "second" not in key and key != "upload"}
                    for record in records]
        return {"state": state["state"], "records": timeless, "weights": self.mock.get("bucket", newest)}


@pytest.fixture
def job(tmp_path, source):
    with mock_obs(buckets=["bucket"]) as mock:
        yield Job(mock, tmp_path / "cache", source).fill()


@pytest.fixture(scope="session")
def uninterrupted(tmp_path_factory, source):
    """The result of a run that nothing disturbed."""
    with mock_obs(buckets=["bucket"]) as mock:
        job = Job(mock, tmp_path_factory.mktemp("cache"), source).fill()
        code, output = job.run()
        assert code == 0, output
        return job.result()


def wait_for_line(process, text, seconds=120):
    """Read the process's output until a line holds ``text``; returns the lines."""
    lines, deadline = [], time.monotonic() + seconds
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return lines
        assert time.monotonic() < deadline, "".join(lines)
    raise AssertionError("the process ended without saying {!r}:\n{}".format(text, "".join(lines)))


__all__ = ["Job", "LocalStore", "wait_for_line"]
