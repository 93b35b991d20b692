"""run.json: lineages and attempts."""
from __future__ import annotations

import json

import pytest

from job.publication.run_record import RunRecord, read_published
from obs_sync import IntegrityError, LocalStore


def test_a_continued_run_keeps_its_lineage_and_closes_attempts_that_were_killed():
    first = RunRecord("r", {"a": 1}, None, fresh=True)
    second = RunRecord("r", {"a": 1}, json.loads(first.text()), fresh=False)
    assert second.lineage == first.lineage
    assert second.content["attempts"][0]["outcome"] == "ended without a record"
    assert second.content["attempts"][1]["outcome"] is None
    assert second.checkpoint_name(7) != first.checkpoint_name(7)
    assert second.checkpoint_name(7).startswith("ckpt-000007-")
    assert len({second.checkpoint_name(7) for _ in range(3)}) == 3


def test_a_fresh_start_begins_a_lineage_and_keeps_the_history_of_attempts():
    first = RunRecord("r", {}, None, fresh=True)
    second = RunRecord("r", {}, json.loads(first.text()), fresh=True)
    assert second.lineage != first.lineage
    assert len(second.content["attempts"]) == 2


def test_the_end_of_an_attempt_says_how(tmp_path):
    record = RunRecord("r", {}, None, fresh=True)
    record.end("stopped", 143, left_undone="nothing")
    store = LocalStore(str(tmp_path))
    assert read_published(store) is None
    store.write("run.json", record.text().encode())
    content = read_published(store)
    assert content["state"] == "stopped"
    assert content["attempts"][0]["exit_code"] == 143


@pytest.mark.parametrize("text", [b"not json", b"[]", b'{"format": 99}', b'{"format": 1}', b"[" * 100000,
                                  b'{"format": 1, "lineage": "a", "attempts": {}}',
                                  b'{"format": 1, "lineage": "a", "attempts": ["x"]}'])
def test_a_run_json_of_somebody_else_is_not_overwritten(tmp_path, text):
    store = LocalStore(str(tmp_path))
    store.write("run.json", text)
    with pytest.raises(IntegrityError, match="--run_name"):
        read_published(store)
