"""The boot file in a container of the mocked ModelArts, as a v2 job: local folders, and nothing of the host."""
from __future__ import annotations

import json
import os

import pytest

from job.modelarts.code import collect_code, upload_code
from job.modelarts.mocked.container import Container, ContainerSpec
from tests.end_to_end.conftest import SETTINGS

pytestmark = pytest.mark.slow


def test_a_v2_job_runs_on_the_code_that_was_pulled_and_its_results_are_in_the_bucket(job, tmp_path):
    with job.store("code/") as store:
        upload_code(store, collect_code())
    settings = dict(SETTINGS, train_iterations=2, weights_path="weights/bvlc_alexnet.npy")
    spec = ContainerSpec(
        job_id="0a1b", job_name="masf", code_dir="/bucket/code/", boot_file="/bucket/code/boot_modelarts.py",
        parameters=tuple((name, str(value)) for name, value in settings.items()),
        inputs=(("data_url", "/bucket/pacs/"),), outputs=(("train_url", "/bucket/v2/"),), environments={}, cards=0,
        nodes=1, node=0)
    with Container(spec, job.mock, str(tmp_path / "container")) as container:
        container.start()
        code = container.wait(240)
        with open(container.log_path, encoding="utf-8") as stream:
            log = stream.read()
    assert code == 0, log
    assert json.loads(job.mock.get("bucket", "v2/run/run.json").decode())["state"] == "done"
    assert "v2/run/metrics.jsonl" in job.mock.keys("bucket", "v2/run/")
    assert "interval 2/2" in log and "WARNING" not in log
    # Python has compiled the code that was pulled, and the job used the disk of the container.
    assert os.path.isdir(os.path.join(container.disk.code, "code", "job", "__pycache__"))
    assert os.path.isdir(os.path.join(container.disk.cache, "masf", "runs", "run"))
