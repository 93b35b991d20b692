"""The documents of ModelArts become our values, whatever is absent in them."""

from __future__ import annotations

import pytest

from job.modelarts.replies import engine_of, event_of, flavor_of, job_of, log_part
from job.modelarts.service import Engine, Event, Flavor, RunningRecord, Task

JOB = {
    "kind": "job",
    "metadata": {"id": "id", "name": "name", "create_time": 1700000001500, "annotations": {"a": "b"},
                 "description": "told"},
    "status": {"phase": "Failed", "duration": 61000, "tasks": ["worker-0", "worker-1"],
               "task_statuses": [{"task": "worker-1", "exit_code": 3, "message": "no data"}],
               "running_records": [{"start_at": 10, "end_at": 20, "end_reason": "killed",
                                    "end_recover": "proc_restart"},
                                   {"start_at": 21}]},
    "algorithm": {"code_dir": "/bucket/code/", "parameters": [{"name": "seed", "value": "3"}],
                  "inputs": [{"name": "data_url", "remote": {"obs": {"obs_url": "/bucket/pacs/"}}}],
                  "outputs": [{"name": "train_url", "remote": {"obs": {"obs_url": "/bucket/output/"}}}]},
    "spec": {"resource": {"flavor_id": "flavor", "node_count": 2}, "log_export_path": {"obs_url": "/bucket/logs/"}},
}


def test_every_field_of_a_job_is_read():
    job = job_of(JOB)
    assert (job.id, job.name, job.phase, job.created, job.duration) == ("id", "name", "Failed", 1700000001.5, 61.0)
    assert job.tasks == (Task("worker-0", None, ""), Task("worker-1", 3, "no data"))
    assert job.records == (RunningRecord(10, 20, "killed", "proc_restart"), RunningRecord(21, None, "", ""))
    assert (job.annotations, job.parameters, job.description) == ({"a": "b"}, {"seed": "3"}, "told")
    assert (job.inputs, job.outputs) == ({"data_url": "obs://bucket/pacs/"}, {"train_url": "obs://bucket/output/"})
    assert (job.code_dir, job.log_url) == ("obs://bucket/code/", "obs://bucket/logs/")
    assert (job.flavor, job.nodes, job.is_final) == ("flavor", 2, True)


@pytest.mark.parametrize("document", [
    {}, {"metadata": None, "status": None, "algorithm": None, "spec": None},
    {"metadata": {"annotations": None}, "status": {"tasks": None, "task_statuses": None, "running_records": None}},
])
def test_what_is_absent_counts_as_empty(document):
    job = job_of(document)
    assert (job.id, job.tasks, job.records, job.parameters, job.nodes, job.is_final) == ("", (), (), {}, 1, False)


def test_a_flavor_is_read():
    document = {"flavor_id": "id", "flavor_name": "name", "flavor_type": "Ascend", "max_num": 4,
                "billing": {"code": "code", "unit_num": 8},
                "flavor_info": {"npu": {"unit_num": "8", "product_name": "ascend-910", "memory": "32GB"}}}
    assert flavor_of(document) == Flavor("id", "name", "Ascend", 8, "ascend-910", "32GB", 4, "code", 8)


def test_a_flavor_without_cards_or_billing_is_read():
    assert flavor_of({"flavor_id": "id", "flavor_type": "CPU"}) == Flavor("id", "", "CPU", 0, "", "", 1, "", None)


def test_engines_and_events_are_read():
    assert engine_of({"engine_id": "id", "engine_name": "E", "engine_version": "v",
                      "image_info": {"cpu_image_url": "cpu", "gpu_image_url": "gpu"}}) == Engine("id", "E", "v", "gpu")
    assert event_of({"time": "t", "level": "Info", "message": "m"}) == Event("t", "Info", "m")


@pytest.mark.parametrize("begins, ends, content, first, lines, last", [
    (1, 3, "a\nb\n", 1, ("a", "b"), 2),
    (1, 2, "a\nb", 0, ("a", "b"), 2),  # end_line may be that of the last line, or the next one
    (2, 4, "b\nc\n", 3, ("c",), 3),  # the line before is part of the reply, or is not
    (3, 4, "c\r\n", 3, ("c",), 3),
    (3, 5, "\n\n", 3, ("", ""), 4),
    (3, 3, "", 3, (), 0),
    (2, 3, "b\n", 3, (), 0),
    (7, None, "g\nh\n", 3, ("g", "h"), 8),  # the first lines are gone
    (1551252759254000002, 1551252759254000003, "a\n", 0, ("a",), 1551252759254000002),  # as in the API's manual
    (20, 90, "a\nb\n", 20, ("a", "b"), 90),  # positions that are not consecutive
    (19, 90, "a\nb\n", 20, ("b",), 90),
])
def test_lines_of_a_log_begin_with_the_one_that_was_asked_for(begins, ends, content, first, lines, last):
    document = {"start_line": str(begins), "end_line": ends and str(ends), "content": content,
                "lines": len(content.splitlines())}
    part = log_part(document, first)
    assert (part.lines, part.last) == (lines, last)
    assert part.first == (max(begins, first) if lines else 0)


@pytest.mark.parametrize("begins, ends, first, lines, last", [
    (1, 5, 1, ("a", "b"), 2), (20, 90, 20, ("a",), 20), (19, 90, 20, ("b",), 20)])
def test_a_reply_that_was_cut_off_does_not_count_as_far_as_it_says(begins, ends, first, lines, last):
    part = log_part({"start_line": str(begins), "end_line": str(ends), "lines": 4, "content": "a\nb"}, first)
    assert (part.lines, part.last) == (lines, last)
