"""What a dry run says to try next."""

from __future__ import annotations

import shlex
import sys

from job.config.loading import to_dict
from job.config.settings import config_of
from job.dry_run import hints
from job.dry_run.hints import Request

GIVEN = Request("dry-run", "/my images", "w.npy", "c.yaml", ["seed=3", "width=0.5"])
CONFIG = config_of({"train_iterations": 60, "target_domain": "sketch", "seed": 3})


def test_make_is_told_again_what_it_was_given():
    words = shlex.split(hints.command(GIVEN._replace(lane="tf2"), train_iterations=120))
    assert words == ["make", "dry-run", "LANE=tf2", "PACS_ROOT=/my images", "WEIGHTS=w.npy", "CONFIG=c.yaml",
                     "SET=seed=3 width=0.5 train_iterations=120"]


def test_faults_are_told_again():
    given = Request("dry-run", faults="GetObject cut=0.5", fault_seed=7, platform_faults="RunJob kill=1 log='a b'")
    assert shlex.split(hints.command(given._replace(lane="tf2")))[2:] == [
        "LANE=tf2", "FAULTS=GetObject cut=0.5", "PLATFORM_FAULTS=RunJob kill=1 log='a b'", "FAULT_SEED=7"]
    assert shlex.split(hints.command(given))[-6:] == [
        "--faults", "GetObject cut=0.5", "--platform_faults", "RunJob kill=1 log='a b'", "--fault_seed", "7"]


def test_the_command_is_told_again_what_it_was_given():
    words = shlex.split(hints.command(GIVEN, seed=4))
    assert words[1:] == ["-m", "job", "dry-run", "--root", "dry-run", "--pacs_root", "/my images", "--weights", "w.npy",
                         "--config", "c.yaml", "--set", "seed=4", "width=0.5"]


def test_going_on_asks_for_twice_the_iterations_and_another_target():
    told = hints.after_work(GIVEN, CONFIG, "run", ["art", "photo", "sketch"])
    assert "train_iterations=120" in told and "target_domain=photo" in told


def test_a_run_that_has_more_iterations_than_were_asked_for_is_continued_to_twice_as_many():
    asked = config_of({"train_iterations": 30, "target_domain": "sketch"})
    for record, iterations in (({"config": to_dict(CONFIG)}, 120), ({}, 60)):
        told = hints.after_nothing(GIVEN, hints.as_trained(asked, record), "run", [])
        assert f"train_iterations={iterations}" in told


def test_tensorboard_is_named_only_where_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert "--logdir" not in hints.after_work(GIVEN, CONFIG, "run", [])
    (tmp_path / "tensorboard").write_text("")
    assert "tensorboard --logdir run" in hints.after_work(GIVEN, CONFIG, "run", [])


def test_a_run_that_was_done_can_be_seen_again():
    told = hints.after_nothing(GIVEN, CONFIG, "dry-run/bucket/run", [])
    assert "rm -r dry-run/bucket/run" in told and "seed=4" in told
