"""The files of a run."""
from __future__ import annotations

import glob
import json
import re

import numpy as np

from masf_core.records import logs
from masf_core.records.scalars import interval_scalars
from masf_core.tf1 import tf
from tests import documentation_checks

RECORD = {"iteration": 20, "target_domain": "cartoon", "target_loss": 1.25, "target_accuracy": 61.5,
          "validation_accuracy": 70.0, "seconds_per_iteration": 0.5, "target_per_class": {"dog": 50.0, "cat": None},
          "validation": {"photo": {"accuracy": 80.0, "loss": 1.0}}}


def test_eva_txt_has_the_references_words(tmp_path):
    logs.write_eva(str(tmp_path / "eva.txt"), [RECORD])
    assert (tmp_path / "eva.txt").read_text() == (
        "Unseen Target Validation results: Iteration 20, Loss: 1.250000, Accuracy: 0.615000 \n")


def test_metrics_jsonl_holds_one_object_a_line(tmp_path):
    logs.write_metrics(str(tmp_path / "metrics.jsonl"), [RECORD, dict(RECORD, iteration=40)])
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["iteration"] for line in lines] == [20, 40]


def test_tensorboard_reads_the_scalars(tmp_path):
    writer = logs.ScalarWriter(str(tmp_path))
    writer.write(1, {"train/source_loss": 2.0, "train/nothing": None})
    writer.write_interval(RECORD)
    writer.close()
    found = {}
    for path in glob.glob(str(tmp_path / "events*")):
        for event in tf.train.summary_iterator(path):
            for value in event.summary.value:
                found[value.tag, event.step] = value.simple_value
    assert found["train/source_loss", 1] == 2.0
    assert found["target/cartoon", 20] == 61.5
    assert found["validation/photo", 20] == 80.0
    assert not any("cat" in tag or "nothing" in tag for tag, _ in found)


def test_the_page_names_every_scalar():
    page = documentation_checks.pages()["docs/results.md"]
    rows = re.findall("`([a-z_]+/[^`]+)`", re.search("(?s)## TensorBoard(.*?)## MLflow", page).group(1))
    patterns = [re.sub("<domain>|<class>", "[a-z]+", row) for row in rows]
    names = interval_scalars(RECORD)
    assert [name for name in names if not any(re.fullmatch(each, name) for each in patterns)] == []
    unused = [row for row, each in zip(rows, patterns) if not any(re.fullmatch(each, name) for name in names)]
    assert unused == ["train/…"]


def test_tensorboard_reads_the_histograms(tmp_path):
    writer = logs.ScalarWriter(str(tmp_path))
    writer.write_histograms(3, {"fc8/biases": np.array([[-1.0, 0.0], [0.5, 3.0]], np.float32)})
    writer.close()
    (event,) = [event for path in glob.glob(str(tmp_path / "events*")) for event in tf.train.summary_iterator(path)
                if event.summary.value]
    (value,) = event.summary.value
    assert (value.tag, event.step) == ("weights/fc8/biases", 3)
    found = value.histo
    assert (found.min, found.max, found.num, found.sum, found.sum_squares) == (-1.0, 3.0, 4.0, 2.5, 10.25)
    assert sum(found.bucket) == 4.0 and found.bucket_limit[-1] == 3.0


def test_histograms_leave_out_what_is_not_finite():
    assert logs.histogram(np.array([1.0, np.nan, np.inf], np.float32)).num == 1
    assert logs.histogram(np.array([], np.float32)).num == 0
