"""`submit` with Huawei's SDK over HTTP, against the mocked ModelArts: what is created, and what is never sent."""

from __future__ import annotations

import functools
import os
import threading

import pytest

from job.config.submit_options import SubmitOptions
from job.console import Console
from job.modelarts import creation, follow, submission
from job.modelarts.access import read_access
from job.modelarts.code import MARKER, collect_code
from job.modelarts.mocked import Delays, mock_modelarts, platform_faults
from job.modelarts.parameters import resolve_settings
from job.modelarts.sdk_service import connect
from tests.job.modelarts.conftest import Submit
from tests.job.modelarts.mocked.fake_container import FakeContainer

FLAVOR = "modelarts.kat1.2xlarge"
AT_ONCE = Delays(*[0.0] * len(Delays._fields))


class EndsAtOnce(FakeContainer):
    """Writes two lines and ends with the exit code for wrong data."""

    made: list = []

    def start(self):
        super().start()
        self.write("first\nlast\n")
        self.end(3)


@pytest.fixture
def platform(obs, monkeypatch):
    EndsAtOnce.made = []
    monkeypatch.setattr(creation, "FIRST_DELAY", 0.0)
    with mock_modelarts(obs=obs, containers=EndsAtOnce, delays=AT_ONCE) as running:
        yield running


@pytest.fixture
def submit(platform, capsys):
    call = Submit(capsys)
    return functools.partial(call, "--flavor=" + FLAVOR), call


def test_the_platform_takes_the_request_and_gets_the_code_and_the_parameters(submit, platform):
    run, shown = submit
    assert run("--seed=3", "--max_hours=2") == 0, shown.log
    (job,) = platform.jobs
    assert platform.wait(job.id) == "Failed"
    (spec,) = [container.spec for container in EndsAtOnce.made]
    assert ("seed", "3") in tuple(spec.parameters) and ("data_url", "obs://bucket/pacs/") in tuple(spec.parameters)
    assert f"(id {job.id})" in shown.out


def test_the_reply_to_a_creation_is_lost_and_there_is_one_job(submit, platform):
    run, shown = submit
    platform.faults = platform_faults(["CreateTrainingJob nth=1 reset=after"])
    assert run() == 0, shown.log
    assert platform.counts["CreateTrainingJob"] == 1 and len(platform.jobs) == 1
    assert f"(id {platform.jobs[0].id})" in shown.out and "only the reply was lost" in shown.log


def test_a_request_that_never_arrived_is_sent_again(submit, platform):
    run, shown = submit
    platform.faults = platform_faults(["CreateTrainingJob nth=1 reset=before"])
    assert run() == 0, shown.log
    assert len(platform.jobs) == 1


def test_a_quota_that_is_used_up_is_told(submit, platform):
    run, shown = submit
    platform.faults = platform_faults(["CreateTrainingJob quota"])
    assert run() == 8
    assert "a quota of the account is used up" in shown.log and platform.jobs == []


def test_a_wrong_key_is_told(submit, platform, monkeypatch):
    run, shown = submit
    monkeypatch.setenv("HUAWEICLOUD_SDK_SK", "no-such-secret")
    assert run() == 8
    assert "does not accept the access key from HUAWEICLOUD_SDK_AK" in shown.log
    assert "no-such-secret" not in shown.log


def test_a_followed_job_shows_its_log_and_gives_its_exit_code(submit, platform, monkeypatch):
    run, shown = submit
    monkeypatch.setattr(follow, "follow", functools.partial(follow.follow, pause=0.02, settle=0.1))
    assert run("--follow") == 3, shown.log
    assert shown.out.splitlines()[-2:] == ["first", "last"]
    assert "exit code 3 (data or weights)" in shown.log


def test_two_submissions_of_different_code_at_once_do_not_disturb_each_other(platform, tmp_path):
    config = resolve_settings(["--data_url=/bucket/pacs/", "--train_url=/bucket/output/"])
    options = SubmitOptions(flavor=FLAVOR, code_url="obs://bucket/both/")
    one = collect_code()
    (tmp_path / "requirements.txt").write_text("Pillow>=6\n")
    other = collect_code(str(tmp_path / "requirements.txt"))
    service = connect(os.environ)
    plans = [submission.make_plan(config, options, code, service) for code in (one, other)]
    jobs = {}

    def send(number):
        jobs[number] = submission.submit(plans[number], service, dict(os.environ), Console())

    threads = [threading.Thread(target=send, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert jobs[0].code_dir != jobs[1].code_dir and jobs[0].id != jobs[1].id
    for number, code in enumerate((one, other)):
        folder = jobs[number].code_dir[len("obs://bucket/"):]
        keys = [key[len(folder):] for key in platform.obs.keys("bucket", folder)]
        assert sorted(keys) == sorted([each.key for each in code.files] + [MARKER])


def test_no_secret_is_sent_uploaded_or_shown(submit, platform):
    run, shown = submit
    secret = read_access(os.environ).secret
    assert run("--code_url=/bucket/secrets/", "--log_level=debug") == 0, shown.log
    (job,) = platform.jobs
    uploaded = [platform.obs.get("bucket", key) for key in platform.obs.keys("bucket", "secrets/")]
    assert len(uploaded) > 250
    assert not any(secret.encode() in content for content in uploaded)
    assert secret not in repr(job.request) + shown.out + shown.log + repr(platform.requests)
