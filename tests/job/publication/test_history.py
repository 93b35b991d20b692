"""metrics.jsonl as it is read back from the store."""
from __future__ import annotations

import json

import pytest

from job.publication import history
from job.publication.history import read_history
from masf_core.records.logs import write_metrics
from obs_sync import IntegrityError, LocalStore
from tests.masf_core.records.samples import record


@pytest.fixture
def store(tmp_path):
    return LocalStore(str(tmp_path))


def test_what_a_run_wrote_is_read_back(store, tmp_path):
    records = [record(10), record(20, source_loss=None, upload={"waiting": 0})]
    write_metrics(str(tmp_path / "metrics.jsonl"), records)
    assert read_history(store) == records
    (tmp_path / "run").mkdir()
    write_metrics(str(tmp_path / "run" / "metrics.jsonl"), records[:1])
    assert read_history(store, "run/") == records[:1]


def test_a_run_without_an_interval_has_no_history(store):
    assert read_history(store) == []
    store.write("metrics.jsonl", b"")
    assert read_history(store) == []


@pytest.mark.parametrize("line, told", [
    (b"[1]", "line 2, the document: expected an object"),
    (b"{", "line 2, it is not JSON"),
    (b"\xff", "line 2, it is not UTF-8"),
    (b"[" * 100000, "line 2, it nests too deep"),
    (json.dumps(record(0)).encode(), "line 2, iteration: expected a whole number from 1"),
    (json.dumps(record(20, target_accuracy="x")).encode(), "line 2, target_accuracy: expected a finite number from 0"),
    (json.dumps(record(20, target_accuracy=float("nan"))).encode(), "line 2, target_accuracy: expected"),
    (json.dumps(record(20, target_domain=None)).encode(), "line 2, target_domain: expected text, found null"),
    (b'{"iteration": 20}', "line 2, target_domain is missing"),
])
def test_a_damaged_line_is_skipped_with_a_warning_that_says_why(store, caplog, line, told):
    store.write("metrics.jsonl", b"\n".join([
        json.dumps(record(10)).encode(), line, json.dumps(record(30)).encode(), b""]))
    assert read_history(store) == [record(10), record(30)]
    assert "skipped 1 of 3 lines" in caplog.text and told in caplog.text


def test_a_line_that_goes_back_is_skipped(store, caplog):
    store.write("metrics.jsonl", b"\n".join(json.dumps(record(number)).encode() for number in (10, 20, 20, 5, 30)))
    assert [each["iteration"] for each in read_history(store)] == [10, 20, 30]
    assert "skipped 2 of 5 lines" in caplog.text and "line 3, iteration: expected more than 20, found 20" in caplog.text


def test_a_history_that_is_too_large_is_not_read(store, monkeypatch):
    store.write("metrics.jsonl", json.dumps(record(10)).encode())
    monkeypatch.setattr(history, "LARGEST", 100)
    with pytest.raises(IntegrityError, match="bytes.*at most 100"):
        read_history(store)
