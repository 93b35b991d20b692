"""The report and what `show` prints."""
from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree

import pytest

from job.reports import charts
from job.reports.report import render, write_report
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


def svg_elements(page):
    return [ElementTree.fromstring(text) for text in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]


def test_the_report_leads_with_the_selected_accuracy(tmp_path):
    write_report(str(tmp_path / "report.html"), RUN, HISTORY, CLASSES)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<b>55.50 %</b> on cartoon at iteration 40 of 60" in page


def test_every_chart_is_well_formed_and_has_a_point_for_each_interval():
    charts_drawn = svg_elements(render(RUN, HISTORY, CLASSES))
    assert len(charts_drawn) == 4
    lines = charts_drawn[0].findall("{http://www.w3.org/2000/svg}polyline")
    assert [len(line.get("points").split()) for line in lines] == [3, 3, 3]


def test_names_are_escaped():
    page = render(RUN, HISTORY, CLASSES)
    assert "<dog>" not in page and "masf_<cartoon>" not in page and "&lt;dog&gt;" in page


def test_a_run_without_an_interval_has_a_report_too():
    assert "No interval" in render(RUN, [], CLASSES)


def test_a_chart_leaves_out_what_is_not_a_number():
    (drawn,) = svg_elements(charts.line_chart(
        [("a", [(1, 2.0), (2, None), (3, float("nan")), (4, 3.0)])], "x", "y"))
    assert len(drawn.find("{http://www.w3.org/2000/svg}polyline").get("points").split()) == 2


def test_higher_values_are_higher_up():
    (drawn,) = svg_elements(charts.line_chart([("a", [(0, 10.0), (1, 90.0)])], "x", "y", (0.0, 100.0)))
    first, second = (tuple(map(float, point.split(",")))
                     for point in drawn.find("{http://www.w3.org/2000/svg}polyline").get("points").split())
    assert second[0] > first[0] and second[1] < first[1]


@pytest.fixture
def store(tmp_path):
    store = LocalStore(str(tmp_path))
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
    page = render(dict(RUN, data=data), HISTORY, CLASSES)
    for told in ("1,234", "56", "78", "lists &lt;a&gt;.txt", "cat, &lt;dog&gt;", "photo 1,290", "1 image lies else"):
        assert told in page
    assert "<h2>Data</h2>" in page and "<h2>Data</h2>" not in render(RUN, HISTORY, CLASSES)
