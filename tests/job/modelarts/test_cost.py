"""What a job would take: from an earlier attempt, or from the graph; and what is not known is said."""

from __future__ import annotations

import json

import pytest

from job.config.loading import load_config
from job.modelarts.cost import Duration, cost_lines, duration_of_graph, duration_of_run
from obs_sync import LocalStore
from tests.job.modelarts.memory_service import FLAVOR

CONFIG = load_config(["--train_iterations=300"]).config


@pytest.fixture
def store(tmp_path):
    return LocalStore(str(tmp_path))


def write_history(store, *seconds):
    store.write("metrics.jsonl", "".join(json.dumps({
        "iteration": 100 * number, "target_domain": "cartoon", "target_accuracy": 50.0, "validation_accuracy": 50.0,
        "seconds_per_iteration": each}) + "\n" for number, each in enumerate(seconds, 1)).encode())


def test_an_earlier_attempt_says_how_long_the_rest_takes(store):
    write_history(store, 20.0, 18.0)
    found = duration_of_run(CONFIG, store)
    assert (found.least, found.most) == (pytest.approx(100 * 19 / 3600), pytest.approx(100 * 19 / 3600))
    assert "19.000 s an iteration" in found.source and "100 iterations are left" in found.source


def test_a_run_that_does_not_exist_says_nothing(store):
    assert duration_of_run(CONFIG, store) is None


def test_a_damaged_file_says_nothing(store):
    store.write("metrics.jsonl", b"{\n")
    assert duration_of_run(CONFIG, store) is None


def test_the_graph_predicts_a_range():
    small = load_config(["--width=0.05", "--meta_batch_size=3", "--train_iterations=36000"]).config
    found = duration_of_graph(small, 1)
    assert 0 < found.least < found.most < 1 and "not measured" in found.source


def test_what_is_not_known_is_said():
    lines = cost_lines(None, None, 2, None)
    assert lines[0].startswith("hours: not known")
    assert lines[1:] == ["billing: not known for this flavor; 2 nodes",
                         "price: ModelArts' API does not tell it; the console shows it beside the flavor"]


def test_node_hours_count_every_node():
    lines = cost_lines(Duration(1.0, 2.0, "so"), FLAVOR, 3, 4)
    assert lines[0] == "hours: 1.00 to 2.00 (so)" and lines[1] == "ModelArts stops the job after 4 h"
    assert lines[2] == f"billing: 3 × {FLAVOR.id}, code modelarts.vm.p3 × 1 units, 6.00 node hours at most"


@pytest.mark.parametrize("hours, told", [(0.5, "hours: 0.50 ("), (0.05, "minutes: 3.00 ("), (0.001, "seconds: 3.60 (")])
def test_a_short_job_is_told_in_minutes_or_seconds(hours, told):
    lines = cost_lines(Duration(hours, hours, "so"), FLAVOR, 1, None)
    assert lines[0].startswith(told)
    assert f"{told.split()[1]} node {told.split(':')[0]} at most" in lines[1]
