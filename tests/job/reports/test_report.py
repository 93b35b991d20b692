"""The report and what `show` prints."""
from __future__ import annotations

import html
import json
import os
import re

import pytest

from job import cli
from job.config.loading import load_config
from job.reports.page.measures import MOST_CLASSES, confusion_table
from job.reports.page.plotting import Drawn, Figure
from job.reports.report import as_finished, make_report
from job.reports.show import BAR, accuracy_lines, describe_run, object_tree, size
from obs_sync import LocalStore, ObjectNotFound

CLASSES = ("cat", "<dog>")


def record(iteration, target, validation):
    return {
        "iteration": iteration, "source_loss": 1.5, "source_accuracy": 40.0, "global_loss": 0.01, "metric_loss": 0.02,
        "seconds_per_iteration": 0.5, "images_per_second": 90.0, "evaluation_seconds": 2.0, "target_domain": "cartoon",
        "target_loss": 1.2, "target_accuracy": target, "target_per_class": {"cat": 70.0, "<dog>": None},
        "target_confusion": [[7, 3], [0, 0]], "validation_accuracy": validation,
        "validation": {"photo": {"loss": 1.0, "accuracy": validation}}}


HISTORY = [record(20, 40.0, 60.0), record(40, 55.5, 70.0), record(60, 50.0, 65.0)]
RUN = {"run_name": "masf_<cartoon>", "state": "done", "format": 1, "lineage": "0a1b2c3d4e5f",
       "config": {"interval": {"selection": "source_val"}},
       "best": {"iteration": 40, "target_accuracy": 55.5, "validation_accuracy": 70.0},
       "attempts": [{"started": "2026-01-01T00:00:00Z", "outcome": "done", "from_iteration": 0}]}


def page(run=RUN, history=HISTORY):
    """Without figures, which take time; see ``page/test_figures.py``."""
    return make_report(run, history, CLASSES, wanted=lambda: False).page


def test_the_report_leads_with_the_selected_accuracy(tmp_path):
    make_report(RUN, HISTORY, CLASSES).write(str(tmp_path))
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<b>55.50 %</b> on cartoon at iteration 40 of 60" in text
    assert text.count('<tr class="chosen"><td>40</td>') == 1


def test_names_are_escaped():
    text = page()
    assert "<dog>" not in text and "masf_<cartoon>" not in text and "&lt;dog&gt;" in text


@pytest.mark.parametrize("figures, bars", [([], 1), ([Figure("classes", "By class", "<svg></svg>")], 0)])
def test_the_table_of_classes_has_bars_only_where_no_figure_has_them(monkeypatch, figures, bars):
    """A class without an image has no bar."""
    monkeypatch.setattr("job.reports.report.draw_all", lambda plans, wanted: Drawn(figures))
    text = page()
    assert text.count('<td class="bar"><i ') == bars and text.count("<td>cat</td><td>70.0</td>") == 1
    assert text.count("<svg>") == len(figures)


def test_a_run_without_an_interval_has_a_report_too():
    assert "No interval" in page(history=[])


def test_an_attempt_that_was_killed_and_one_that_is_done_are_told_apart():
    attempts = [{"started": "2026-01-01T00:00:00Z", "outcome": "ended without a record", "from_iteration": 0},
                {"started": "2026-01-01T01:00:00Z", "outcome": None, "from_iteration": 20,
                 "host": "node-<1>", "device": "a processor", "start_seconds": {"total": 7.5, "graph": 1.25}}]
    text = page(as_finished(dict(RUN, attempts=attempts), "2026-01-01T03:05:00Z", 60))
    assert "<td>0 to ?</td>" in text
    assert "<td>2 h 05 min</td><td>node-&lt;1&gt;, a processor</td><td>20 to 60</td>" in text
    assert "<td>7.5 s</td><td>done</td>" in text and "graph 1.2 s" in text
    assert attempts[1]["outcome"] is None  # the record itself is not changed


def test_the_configuration_is_a_file_that_the_job_accepts(tmp_path):
    groups = {"training": {"margin": 12.5, "method": "deepall"},  # by alphabet, as in run.json
              "data": {"domains": ["a", "b", "c"], "target_domain": "b"}}
    text = html.unescape(re.search("<pre>(.*)</pre>", page(dict(RUN, config=groups)), re.DOTALL).group(1))
    assert text.index("data:") < text.index("training:") < text.index("method:") < text.index("margin:")
    (tmp_path / "copied.yaml").write_text(text)
    config, _ = load_config([f"--config={tmp_path / 'copied.yaml'}"])
    assert config.training.margin == 12.5 and config.data.domains == ("a", "b", "c")


def test_the_published_value_is_shown_with_what_differs_from_it():
    config = {"network": {"backbone": "alexnet", "width": 0.1}, "interval": {"selection": "source_val"},
              "training": {"method": "masf", "episodic": True, "beta1": 1.0, "beta2": 0.005, "meta_task": 0.0,
                           "train_iterations": 10000}, "data": {"weights_path": "w.npy"}}
    text = page(dict(RUN, config=config))
    assert "MASF in the paper: 72.46 %" in text and "not directly comparable: width 0.1 instead of 1." in text
    assert "in the paper" not in page()


def test_many_intervals_are_thinned_and_the_page_says_so():
    text = page(history=[record(number, 10.0, 90.0 if number == 777 else 10.0) for number in range(1, 1001)])
    assert "of 1000 intervals; metrics.jsonl holds all of them" in text and '<tr class="chosen"><td>777</td>' in text
    assert text.count("<tr><td>") + text.count('<tr class="chosen">') < 250


def test_of_many_classes_the_most_frequent_confusions_are_listed():
    names = [f"class {number}" for number in range(MOST_CLASSES + 1)]
    matrix = [[0] * len(names) for _ in names]
    matrix[3][5] = 7
    text = confusion_table(matrix, names, "metrics.jsonl holds the whole matrix.")
    assert "<td>class 3</td><td>class 5</td><td>7</td>" in text and "metrics.jsonl holds the whole matrix." in text


@pytest.fixture
def store(tmp_path):
    store = LocalStore(str(tmp_path / "run"))
    store.write("run.json", json.dumps(RUN).encode())
    store.write("metrics.jsonl", "".join(json.dumps(item) + "\n" for item in HISTORY).encode())
    store.write("checkpoints/ckpt-000040-a/network.npz", b"0" * 1500)
    return store


def test_show_prints_the_tree_the_curve_and_the_best(store):
    text = describe_run(store)
    assert "checkpoints/" in text and re.search(r"network.npz +1.5 kB", text)
    assert "best: 55.50 % on the target at iteration 40" in text
    assert "from iteration 0: done" in text


def test_show_says_where_there_is_no_run(tmp_path):
    with pytest.raises(ObjectNotFound, match="no run.json"):
        describe_run(LocalStore(str(tmp_path / "empty")))


def test_a_folder_is_named_once_in_the_tree(store):
    store.write("checkpoints/ckpt-000040-a/metric.npz", b"0")
    names = [line.strip() for line in object_tree(store)]
    assert names.count("ckpt-000040-a/") == 1 and names.count("checkpoints/") == 1


def test_the_bar_of_an_accuracy_is_in_proportion():
    lines = accuracy_lines([record(1, 0.0, 0.0), record(2, 50.0, 0.0), record(3, 100.0, 0.0)])
    assert [line.count("#") for line in lines[1:]] == [0, BAR // 2, BAR]
    assert accuracy_lines([]) == ["no interval has been completed"]


def test_sizes_are_short():
    assert [size(n) for n in (0, 999, 1500, 2500000, 1227100000)] == ["0 B", "999 B", "1.5 kB", "2.5 MB", "1.2 GB"]


def test_the_report_says_which_lists_or_folders_decided_and_how_many_images_there_are():
    data = {"use": {"train": 1234, "validation": 56, "target": 78}, "split": "lists <a>.txt", "fingerprint": "f" * 64,
            "lists": ["<a>.txt"], "classes": list(CLASSES), "images": {"photo": 1290, "cartoon": 78},
            "left_out": ["1 image lies elsewhere"]}
    text = page(dict(RUN, data=data))
    for told in ("1,234", "56", "78", "lists &lt;a&gt;.txt", "cat, &lt;dog&gt;", "photo 1,290", "1 image lies else"):
        assert told in text
    assert "<h2>Data</h2>" in text and "<h2>Data</h2>" not in page()


def test_a_stored_run_gets_its_report_with_its_own_folder_of_files(store, tmp_path, capsys):
    assert cli.main(["report", store.url, "--out", str(tmp_path / "new" / "report")]) == 0
    assert "new/report/report.html" in capsys.readouterr().out
    assert "55.50 %" in (tmp_path / "new" / "report" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("members", [
    {"versions": [1]}, {"attempts": []}, {"data": None}, {"initial_weights": {"a": [1, {}]}}, {"config": {
        "interval": {"selection": "last"}, "network": {"backbone": [1]}, "training": {"episodic": {}}}},
    {"attempts": [{"started": "x", "ended": 1, "host": [1], "start_seconds": {"total": "x", "y": None}}]}])
def test_a_stored_run_of_another_program_has_a_report_too(store, tmp_path, capsys, members):
    store.write("run.json", json.dumps(dict(RUN, **members)).encode())
    assert cli.main(["report", store.url, "--out", str(tmp_path / "out")]) == 0


@pytest.mark.parametrize("member, value", [
    ("validation", {"photo": {}}), ("target_per_class", {"cat": "x"}), ("target_confusion", [[1, "x"]]),
    ("target_loss", [1])])
def test_a_damaged_interval_of_a_stored_run_is_one_error(store, tmp_path, capsys, member, value):
    store.write("metrics.jsonl", json.dumps(dict(HISTORY[0], **{member: value})).encode())
    assert cli.main(["report", store.url, "--out", str(tmp_path / "out")]) == 4
    errors = capsys.readouterr().err
    assert f"iteration 20 of this metrics.jsonl is damaged ({member}" in errors and errors.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_report_that_cannot_be_written_is_one_error(store, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert cli.main(["report", store.url, "--out", str(tmp_path / "file" / "report")]) == 4
    assert "Choose another folder with --out" in capsys.readouterr().err


@pytest.mark.parametrize("run, out, told", [
    ("run", "", "--out is empty"), ("", "out", "RUN is empty"), ("run", "file", "--out=file: this is a file"),
    ("run", "run", "this lies in run, where report writes nothing"), ("run", "run/checkpoints", "this lies in run"),
    ("run", "obs://bucket/report", "--out is obs://bucket/report, a URL; expected a local path")])
def test_a_folder_that_can_be_no_report_is_told_and_the_run_stays(store, tmp_path, monkeypatch, capsys, run, out, told):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    before = sorted(os.listdir("run"))
    assert cli.main(["report", run, f"--out={out}"]) == 2
    assert told in capsys.readouterr().err and sorted(os.listdir("run")) == before
