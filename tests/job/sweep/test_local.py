"""Runs as processes of this machine. A small script stands for the training."""
from __future__ import annotations

import os
import sys
import time

import pytest

from job.config.loading import load_config
from job.errors import ConfigError
from job.sweep.local import LocalRunner, check_writable
from job.sweep.locking import sole_sweep, stop_sweep
from job.sweep.shares import shares_of
from obs_sync import LocalStorageError
from tests.job.sweep.studies import planned

STOPS = """
import signal, sys, time
def stop(*_):
    open(sys.argv[1] + ".stopped", "w").close()
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def runs(tmp_path):
    return planned(tmp_path)[0]


def runner_of(tmp_path, script, shares=({},), **options):
    return LocalRunner(str(tmp_path / "sweep"), shares, dict(os.environ),
                       lambda path: [sys.executable, "-c", script, path], **options)


def ended(runner, seconds=20.0):
    """The attempts that end, as soon as one does."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = runner.poll()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError("nothing ended")


def test_a_process_gets_the_configuration_of_its_run(tmp_path, runs):
    runner = runner_of(tmp_path, "")
    runner.start(runs[1])
    assert [(each.run.name, each.code) for each in ended(runner)] == [(runs[1].name, 0)]
    assert load_config([f"--config={tmp_path / 'sweep' / runs[1].name}.yaml"]).config == runs[1].config


def test_every_process_has_its_own_share_and_gives_it_back(tmp_path, runs):
    script = "import os, sys; print(os.environ['SHARE']); sys.exit(3)"
    runner = runner_of(tmp_path, script, [{"SHARE": "a"}, {"SHARE": "b"}])
    runner.start(runs[0])
    runner.start(runs[1])
    assert runner.free() == 0 and runner.running() == runs[:2]
    found = ended(runner)
    while len(found) < 2:
        found += ended(runner)
    assert sorted(each.told[0] for each in found) == ["a", "b"]
    assert all(runs[0].name + ".log" in each.told for each in found if each.run == runs[0])
    assert runner.free() == 2 and {(each.code, each.again) for each in found} == {(3, False)}


@pytest.mark.parametrize("script, code", [("raise SystemExit(4)", 4), ("import os; os.kill(os.getpid(), 9)", 137)])
def test_a_failure_of_the_storage_and_a_killed_process_may_be_tried_again(tmp_path, runs, script, code):
    runner = runner_of(tmp_path, script)
    runner.start(runs[0])
    assert [(each.code, each.again) for each in ended(runner)] == [(code, True)]


def test_processes_are_asked_to_stop_at_the_end(tmp_path, runs):
    runner = runner_of(tmp_path, STOPS)
    runner.start(runs[0])
    log = tmp_path / "sweep" / (runs[0].name + ".log")
    while "ready" not in log.read_text():
        time.sleep(0.01)
    runner.close()
    assert (tmp_path / "sweep" / (runs[0].name + ".yaml.stopped")).exists()
    assert runner.running() == []


def test_a_process_that_does_not_stop_is_killed(tmp_path, runs):
    runner = runner_of(tmp_path, STOPS.replace("sys.exit(143)", "time.sleep(60)"), patience=0.3)
    runner.start(runs[0])
    begun = time.monotonic()
    runner.close()
    assert time.monotonic() - begun < 10.0


def test_results_that_cannot_be_written_are_told_before_a_run_starts(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    check_writable(str(tmp_path / "new" / "masf"))
    check_writable("obs://bucket/out/masf")
    with pytest.raises(LocalStorageError, match="the results cannot be written \\(not a folder\\)"):
        check_writable(str(tmp_path / "file" / "masf"))
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    with pytest.raises(LocalStorageError, match="read-only, or permission denied.*Choose another --train_url"):
        check_writable(str(tmp_path / "new" / "masf"))


def test_cores_are_shared_out(monkeypatch):
    monkeypatch.setattr("job.sweep.shares.usable_cores", lambda: 9)
    shares = shares_of(4, "cpu", {"OMP_NUM_THREADS": "1"})
    assert [share["TF_NUM_INTRAOP_THREADS"] for share in shares] == ["2"] * 4
    assert {share["OMP_NUM_THREADS"] for share in shares} == {"1"}, "what the user has set stays"


def test_each_run_has_a_gpu_of_its_own():
    environ = {"CUDA_VISIBLE_DEVICES": "2,5"}
    assert [share["CUDA_VISIBLE_DEVICES"] for share in shares_of(None, "auto", environ)] == ["2", "5"]
    assert len(shares_of(1, "gpu", environ)) == 1
    assert "CUDA_VISIBLE_DEVICES" not in shares_of(3, "cpu", environ)[0]
    with pytest.raises(ConfigError, match="--at-once=3, but there are 2 GPUs"):
        shares_of(3, "auto", environ)


def test_processes_that_run_at_the_same_time_see_different_gpus_of_this_machine(tmp_path, runs, monkeypatch):
    for name in ("nvidia0", "nvidia1", "nvidiactl"):
        (tmp_path / name).touch()
    monkeypatch.setattr("job.ranks.launch.GPUS", str(tmp_path / "nvidia[0-9]*"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    runner = runner_of(tmp_path, "import os; raise SystemExit(10 + int(os.environ['CUDA_VISIBLE_DEVICES']))",
                       shares_of(None, "auto", os.environ))
    for run in runs[:runner.free()]:
        runner.start(run)
    found = ended(runner)
    while runner.running():
        found += ended(runner)
    assert sorted(each.code for each in found) == [10, 11]


def test_each_run_has_an_ascend_card_of_its_own(monkeypatch, tmp_path):
    for number in (0, 1):
        (tmp_path / f"davinci{number}").touch()
    monkeypatch.setattr("job.sweep.shares.CARDS", str(tmp_path / "davinci[0-9]*"))
    assert [share["ASCEND_DEVICE_ID"] for share in shares_of(None, "auto", {})] == ["0", "1"]


def test_a_study_is_run_by_one_process_of_a_machine(tmp_path):
    study = str(tmp_path / "study.yaml")
    assert stop_sweep(str(tmp_path), study, 1.0) is None
    with sole_sweep(str(tmp_path), study):
        with pytest.raises(ConfigError, match=f"process {os.getpid()} of this machine runs this sweep already"):
            with sole_sweep(str(tmp_path), study):
                pass
        with sole_sweep(str(tmp_path), str(tmp_path / "other.yaml")):
            pass
    assert stop_sweep(str(tmp_path), study, 1.0) is None, "nobody holds the lock any more"
