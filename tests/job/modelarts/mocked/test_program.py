"""`python -m job mock serve`, with the SDK in this process and a real container in a third one."""
from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
import time

import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkmodelarts.v1 import ModelArtsClient, ShowTrainingJobLogsPreviewRequest
from huaweicloudsdkmodelarts.v1.region.modelarts_region import ModelArtsRegion
from obs import ObsClient

from obs_sync.mock.resolver import forget, resolve
from tests.job.modelarts.mocked.support import BUCKET, create, show
from tests.test_architecture import REPOSITORY

BOOT = b"""
import os, signal, sys, time
print("started", os.getpid(), os.environ["OBS_SERVER"], "HOME" in os.environ, flush=True)
time.sleep(float(sys.argv[-1].rpartition("=")[2]))
"""


@contextlib.contextmanager
def serving(root, *arguments):
    """A serving process, and the variables that it prints."""
    command = [sys.executable, "-m", "job", "mock", "serve", "--root", str(root), "--bucket", BUCKET, *arguments]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, universal_newlines=True)
    try:
        variables = {}
        for line in process.stdout:
            if line.startswith("export "):
                name, _, value = shlex.split(line)[1].partition("=")
                variables[name] = re.sub(r"\$\{.*\}", "", value)
            elif line.startswith("# stop with"):
                break
        yield process, variables
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
        process.stdout.close()


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stream:
            return stream.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.05)


def test_a_program_with_the_sdk_and_the_printed_variables_runs_a_job(tmp_path, monkeypatch):
    with serving(tmp_path, "--platform_faults", "ShowTrainingJobDetails nth=1 latency=0.01") as (process, variables):
        for name in set(variables) - {"PYTHONPATH"}:
            monkeypatch.setenv(name, variables[name])
        resolve("obs.fake-obs.test")
        try:
            obs = ObsClient(variables["OBS_ACCESS_KEY_ID"], variables["OBS_SECRET_ACCESS_KEY"],
                            server=variables["OBS_SERVER"])
            assert obs.putContent(BUCKET, "code/boot.py", BOOT.decode("ascii")).status == 200
            assert obs.putContent(BUCKET, "data/one.jpg", "1").status == 200
            obs.close()
        finally:
            forget("obs.fake-obs.test")
        # The SDK finds credentials and the address in os.environ.
        client = ModelArtsClient.new_builder().with_credentials(
            BasicCredentials(variables["HUAWEICLOUD_SDK_AK"], variables["HUAWEICLOUD_SDK_SK"],
                             variables["HUAWEICLOUD_SDK_PROJECT_ID"])).with_region(
                                 ModelArtsRegion.value_of("cn-north-4")).build()
        job_id = create(client, flavor="modelarts.kat1.2xlarge")

        def log():
            return client.show_training_job_logs_preview(ShowTrainingJobLogsPreviewRequest(job_id, "worker-0")).content

        wait_until(lambda: log().count("started ") == 2)  # one process a card
        pids = re.findall(r"started (\d+) " + re.escape(variables["OBS_SERVER"]) + " True", log())
        assert len(pids) == 2 and all(is_running(pid) for pid in pids)
        assert show(client, job_id).status.phase == "Running"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        wait_until(lambda: not any(is_running(pid) for pid in pids))
        told = process.stdout.read()
        assert "# ModelArts: " in told and "faults injected: 1 (latency 1)" in told
    assert os.path.isfile(str(tmp_path / "obs" / BUCKET / "code" / "boot.py"))
    assert sorted(os.listdir(str(tmp_path / "modelarts" / "jobs" / job_id))) == ["job.json", "worker-0.log"]


@pytest.mark.parametrize("arguments, message", [
    (["--port", "70000"], "--port=70000: expected a whole number from 0 to 65535"),
    (["--bucket", "No"], "--bucket=No: expected 3 to 63 characters"),
    (["--region", "here"], "--region=here: expected a region such as cn-north-4"),
    (["--platform_faults", "strom"], "--platform_faults: the fault 'strom'"),
    (["--faults", "strom"], "--faults: the fault 'strom'"),
    (["--root", "obs://bucket/"], "--root"),
])
def test_wrong_arguments_are_one_clear_error(tmp_path, arguments, message, capfd):
    from job.cli import main

    assert main(["mock", "serve", "--root", str(tmp_path / "root"), *arguments]) == 2
    told = capfd.readouterr().err
    assert message in told and "Traceback" not in told and not (tmp_path / "root").exists()


def test_a_file_in_the_place_of_the_root_is_one_clear_error(tmp_path, capfd):
    from job.cli import main

    (tmp_path / "file").write_bytes(b"")
    assert main(["mock", "serve", "--root", str(tmp_path / "file")]) == 2
    assert "expected a folder" in capfd.readouterr().err


def test_a_root_or_a_port_in_use_is_one_clear_error(tmp_path, platform, capfd):
    from job.cli import main

    port = platform.endpoint.rpartition(":")[2]
    assert main(["mock", "serve", "--root", str(tmp_path), "--port", port]) == 2
    assert f"--port={port} or --obs_port=0 is in use" in capfd.readouterr().err
