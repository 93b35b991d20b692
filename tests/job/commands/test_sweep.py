"""The command line of a study."""
from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time

import pytest

from job import cli
from masf_core.data.miniature import write_miniature
from tests.job.sweep.studies import BASE, VARIANTS, planned, store, write_study


@pytest.fixture
def study(tmp_path, monkeypatch):
    """The path of a study whose files are all below ``tmp_path``."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pacs").mkdir()
    return str(write_study(tmp_path, BASE.replace("settings:", "settings:\n  work_dir: work\n  train_url: out")
                           + VARIANTS))


def told(capsys, *words):
    """(exit code, standard output, standard error)."""
    code = cli.main(["sweep", *words])
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return code, captured.out, captured.err


def test_the_plan_names_every_run_and_what_the_variants_change(study, capsys):
    code, out, _ = told(capsys, study, "plan")
    assert code == 0 and "8 runs:" in out and "240 iterations in all" in out
    assert "  deepall: method=deepall\n" in out and re.search("  out/masf-sketch-s1-[0-9a-f]{8}\n", out)
    plan = json.loads(told(capsys, study, "plan", "--json")[1])
    assert len({each["url"] for each in plan}) == 8 and plan[1]["settings"]["method"] == "deepall"


def test_all_targets_are_the_domains_of_the_data(study, tmp_path, capsys):
    (tmp_path / "pacs").rmdir()
    write_miniature(str(tmp_path / "pacs"), 2, 0)
    write_study(tmp_path, (tmp_path / "study.yaml").read_text().replace("[cartoon, sketch]", "all"))
    assert "16 runs:" in told(capsys, study, "plan")[1]


def test_a_listed_target_that_the_data_do_not_have_is_told_before_anything_starts(study, tmp_path, capsys):
    (tmp_path / "pacs").rmdir()
    write_miniature(str(tmp_path / "pacs"), 2, 0)
    write_study(tmp_path, (tmp_path / "study.yaml").read_text().replace("[cartoon, sketch]", "[cartooon, sketch]"))
    for action in ("plan", "run"):
        code, out, errors = told(capsys, study, action)
        assert (code, out) == (2, "") and not (tmp_path / "out").exists()
        assert "targets: the data have no domain 'cartooon'; expected some of art_painting, cartoon, photo, " \
            "sketch; did you mean 'cartoon'?" in errors
    assert told(capsys, study, "status")[0] == 0, "what is stored can be looked at without the data"


def test_without_the_data_the_plan_says_that_it_did_not_check_the_targets(study, capsys):
    code, _, errors = told(capsys, study, "plan")
    assert code == 0 and "the targets were not checked, because the data cannot be read: " in errors


def test_options_of_submit_without_effect_are_told(study, tmp_path, capsys):
    write_study(tmp_path, (tmp_path / "study.yaml").read_text() + "submit: {flavor: f}\n")
    code, _, errors = told(capsys, study, "plan")
    assert code == 0 and "submit has no effect, because the runs run on this machine" in errors
    assert "submit has no effect" not in told(capsys, study, "plan", "--runner=local")[2], "as the user asked"


def test_the_status_tells_how_far_each_run_is(study, tmp_path, capsys):
    run = planned(tmp_path, (tmp_path / "study.yaml").read_text())[0][0]
    store(tmp_path, run, 50.0, 60.0)
    code, out, _ = told(capsys, study, "status")
    assert code == 0 and re.search(f"^{run.name} +done +30/30", out, re.M)
    assert out.endswith("1 done, 7 waiting\n")
    assert [each["state"] for each in json.loads(told(capsys, study, "status", "--json")[1])].count("waiting") == 7


def test_the_table_of_a_study_is_printed_before_it_is_complete(study, tmp_path, capsys):
    store(tmp_path, planned(tmp_path, (tmp_path / "study.yaml").read_text())[0][0], 50.0, 60.0)
    code, out, _ = told(capsys, study, "collect", "--paper=none")
    assert code == 0 and re.search(r"^masf +source_val +0 to 1 +50\.00 \(1 of 2\) +missing", out, re.M)


def test_a_finished_study_has_nothing_to_run(study, tmp_path, capsys):
    for run in planned(tmp_path, (tmp_path / "study.yaml").read_text())[0]:
        store(tmp_path, run, 50.0, 60.0)
    code, _, errors = told(capsys, study, "run")
    assert code == 0 and "8 of 8 runs are done" in errors


def test_there_is_nothing_to_stop(study, capsys):
    assert told(capsys, study, "stop")[:2] == (0, "no sweep of this file runs on this machine\n")


@pytest.mark.parametrize("words, message", [
    (["run", "--at-once=0"], "--at-once=0: expected a whole number from 1"),
    (["run", "--at_once=0"], "--at-once=0: expected a whole number from 1"),
    (["run", "--at-onc=2"], "unknown flag --at-onc; did you mean --at-once?"),
    (["run", "--format=csv"], "--format belongs to collect; `sweep FILE run` does not take it"),
    (["plan", "--at-once=2"], "--at-once belongs to run; `sweep FILE plan` does not take it"),
    (["plan", "--config=configs/dry_run.yaml"], "the file of the study names the configuration"),
    (["plan", "--seed=3"], "the sweep chooses seed for each run"),
    (["plan", "--width", "3"], "--width: give the value behind an equals sign"),
    (["collect", "--out=table.xls"], "expected one of .txt"),
    (["run", "--weights_path=/nowhere.npy"], "no such file: /nowhere.npy"),
])
def test_a_mistake_on_the_command_line_is_told_before_anything_starts(study, tmp_path, capsys, words, message):
    code, _, errors = told(capsys, study, *words)
    assert code in (2, 4) and message in errors
    assert not (tmp_path / "out").exists()


def test_ctrl_c_stops_the_runs_and_then_the_sweep(study, tmp_path):
    """A script stands for the training. It takes its time to end, as a run that publishes a checkpoint does."""
    script = tmp_path / "sweep.py"
    script.write_text(f"""
import sys
import job.sweep.local as local
from job import cli
TRAIN = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: (time.sleep(.3), print('published'), " \\
        "sys.exit(143))); print('ready', flush=True); time.sleep(60)"
local.job_command = lambda words: [sys.executable, "-c", TRAIN]
sys.exit(cli.main(["sweep", {study!r}, "run", "--at-once=2", "--device=cpu"]))
""")
    sweep = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.PIPE)
    logs = tmp_path / "work" / "sweep"
    while sum("ready" in path.read_text() for path in logs.glob("*.log")) < 2:
        assert sweep.poll() is None
        time.sleep(0.02)
    sweep.send_signal(signal.SIGINT)
    errors = sweep.communicate()[1].decode()
    assert sweep.returncode == 130, errors
    assert "SIGINT: the sweep ends, and stops its runs; press Ctrl-C again" in errors
    assert [path.read_text().split() for path in logs.glob("*.log")] == [["ready", "published"]] * 2
