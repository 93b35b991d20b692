"""A study as jobs of ModelArts: Huawei's SDK over HTTP against the mocked platform, whose containers train nothing."""
from __future__ import annotations

import json
import re
import time

import pytest

from job import cli
from job.config.loading import load_config, to_dict
from job.modelarts.mocked import Delays, mock_modelarts, platform_faults
from job.sweep.drive import Driver
from tests.job.modelarts.conftest import no_credentials, obs  # noqa: F401 (fixtures)
from tests.job.modelarts.mocked.fake_container import FakeContainer
from tests.job.sweep.studies import write_study

STUDY = """\
settings:
  data_url: /bucket/pacs/
  train_url: /bucket/study/
  weights_path: none
  meta_batch_size: 6
  train_iterations: 30
targets: [cartoon, photo]
variants: {masf: , deepall: {method: deepall}}
runner: modelarts
submit: {flavor: modelarts.kat1.2xlarge}
"""


class Trains(FakeContainer):
    """Stores the results of its run and ends; the first one runs until its node is lost."""

    made: list = []

    def start(self):
        super().start()
        if len(self.made) == 1:
            return
        words = [f"--{name}={value}" for name, value in self.spec.parameters]
        config = load_config(words).config
        record = {"iteration": 30, "target_domain": config.data.target_domain, "target_accuracy": 50.0,
                  "validation_accuracy": 60.0, "seconds_per_iteration": 0.5}
        run = {"format": 1, "run_name": config.run_name, "state": "done", "lineage": "a", "iteration": 30,
               "attempts": [], "config": to_dict(config)}
        for name, content in (("metrics.jsonl", record), ("run.json", run)):
            self.server.put("bucket", f"study/{config.run_name}/{name}", json.dumps(content).encode() + b"\n")
        self.end(0)


def interrupted(driver):
    """Ctrl-C, once the first jobs are submitted."""
    raise KeyboardInterrupt


@pytest.fixture
def platform(obs, monkeypatch):  # noqa: F811
    Trains.made, Trains.server = [], obs
    monkeypatch.setattr("job.sweep.submitted.PAUSE", 0.05)
    monkeypatch.setattr("job.sweep.drive.POLL", 0.05)
    with mock_modelarts(obs=obs, containers=Trains, delays=Delays(*[0.0] * len(Delays._fields))) as running:
        yield running


def test_a_lost_node_does_not_change_the_table_of_a_study(platform, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = str(write_study(tmp_path, STUDY))
    platform.faults = platform_faults(["RunJob nth=1 lose-node=0", "CreateTrainingJob nth=3 reset=after"])
    code = cli.main(["sweep", path, "run", "--at-once=2"])
    log = capsys.readouterr().err
    assert code == 0, log
    assert len(platform.jobs) == 5 and "It is started again: attempt 2 of 3" in log and "4 of 4 runs are done" in log
    assert cli.main(["sweep", path, "collect", "--paper=none"]) == 0
    assert re.search(r"^masf +source_val +1 +50\.00 +50\.00 +50\.00$", capsys.readouterr().out, re.M)
    assert cli.main(["sweep", path, "run"]) == 0 and len(platform.jobs) == 5, "nothing is left to do"


def test_jobs_of_a_study_are_shown_and_stopped(platform, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = str(write_study(tmp_path, STUDY.replace("/bucket/study/", "s3://bucket/stopped/")))
    monkeypatch.setattr(Driver, "_progress", interrupted)
    assert cli.main(["sweep", path, "run", "--at-once=1", "--skip-checks"]) == 130
    assert "1 job still under way in ModelArts" in capsys.readouterr().err
    assert cli.main(["sweep", path, "status"]) == 0
    assert re.search(r"^masf-cartoon\S+ +submitted +0/30  job masf-cartoon", capsys.readouterr().out, re.M)
    assert cli.main(["sweep", path, "stop"]) == 0
    assert "asked ModelArts to stop the job of masf-cartoon" in capsys.readouterr().out
    assert platform.wait(platform.jobs[0].id) == "Terminated"


def test_jobs_that_are_still_ending_are_told(platform, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = str(write_study(tmp_path, STUDY.replace("/bucket/study/", "obs://bucket/ending/")))
    monkeypatch.setattr(Driver, "_progress", interrupted)
    monkeypatch.setattr(Trains, "terminate", lambda container, grace_seconds: None)  # it takes its time
    assert cli.main(["sweep", path, "run", "--at-once=1", "--skip-checks"]) == 130
    while platform.jobs[0].phase != "Running":
        time.sleep(0.01)
    capsys.readouterr()
    assert cli.main(["sweep", path, "stop"]) == cli.main(["sweep", path, "stop"]) == 0
    told = capsys.readouterr().out
    assert told.count("asked ModelArts to stop the job of masf-cartoon-s0-") == 1
    assert re.search(r"^1 job is still ending: masf-cartoon-s0-", told, re.M)


def test_a_secret_of_a_key_for_obs_is_not_uploaded(platform, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-obs")
    (tmp_path / "mine.txt").write_text("Pillow>=6  # secret-of-obs\n")
    path = str(write_study(tmp_path, STUDY.replace("kat1.2xlarge}", "kat1.2xlarge, requirements: mine.txt}")))
    assert cli.main(["sweep", path, "run", "--skip-checks"]) == 2
    assert "mine.txt holds a secret of the access key" in capsys.readouterr().err and not platform.jobs


def test_a_local_folder_is_refused(platform, tmp_path, capsys):
    path = str(write_study(tmp_path, STUDY.replace("/bucket/pacs/", "./pacs")))
    assert cli.main(["sweep", path, "plan"]) == 2
    assert "line 2: data_url cannot be './pacs'; a job of ModelArts sees only OBS" in capsys.readouterr().err
