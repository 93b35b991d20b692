"""progress.json is compared with what a run writes, once, on reading."""
from __future__ import annotations

import json
import random

import pytest

from masf_core.records.progress import parse_progress, progress_text
from tests.masf_core.records.samples import SCALARS, progress_at, record
from tests.mutations import changed_bytes

PROGRESS = progress_at(23, pending=3, lineage="abc", config={"network": {"backbone": "alexnet"}})._replace(
    history=[record(10), record(20, loss_scale=64.0, skipped=2, score=60.0, source_loss=None, upload={"waiting": 0})])
CONTENT = json.loads(progress_text(PROGRESS))


def refusal(content):
    with pytest.raises(ValueError) as caught:
        parse_progress(json.dumps(content).encode("ascii"))
    return str(caught.value)


@pytest.mark.parametrize("progress", [PROGRESS, progress_at(0), progress_at(5, pending=5), progress_at(20)])
def test_what_was_written_is_read_back(progress):
    assert parse_progress(progress_text(progress).encode("ascii")) == progress


def test_losses_may_be_not_a_number():
    skipped = dict(SCALARS, source_loss=float("nan"), skipped=1.0, loss_scale=64.0)
    progress = PROGRESS._replace(pending=[dict(SCALARS), dict(SCALARS), skipped],
                                 history=[record(10), record(20, target_loss=float("inf"))])
    assert repr(parse_progress(progress_text(progress).encode("ascii"))) == repr(progress)


@pytest.mark.parametrize("change, told", [
    ({"iteration": "23"}, "iteration is not a whole number from 0 to 1,000,000,000,000"),
    ({"iteration": -1}, "iteration is not a whole number"),
    ({"iteration": 10 ** 39}, "iteration is not a whole number"),
    ({"iteration": 23.0}, "iteration is not a whole number"),
    ({"iteration": True}, "iteration is not a whole number"),
    ({"iteration": 24}, "its history and pending cover 23 iterations; expected 24"),
    ({"format": 2}, "format is not 1"),
    ({"history": 5}, "history is not a list"),
    ({"history": [1]}, "history[0] is not an object"),
    ({"history": []}, "its history and pending cover 3 iterations; expected 23"),
    ({"history": [record(20), record(10)]}, "the iterations of its history do not increase"),
    ({"history": [record(10), record(20, target_accuracy=None)]}, "history[1].target_accuracy is not a number from 0"),
    ({"history": [record(20, target_accuracy=float("nan"))]}, "history[0].target_accuracy is not a number from 0"),
    ({"history": [record(20, validation_accuracy=100.5)]}, "history[0].validation_accuracy is not a number from 0"),
    ({"history": [record(20, target_domain=["cartoon"])]}, "history[0].target_domain is not text"),
    ({"history": [record(20, target_confusion=[[1, "x"]])]}, "history[0].target_confusion is not a list of lists"),
    ({"history": [record(20, target_per_class=[1])]}, "history[0].target_per_class is not an object of numbers"),
    ({"history": [record(20, validation={"photo": 60.0})]}, "history[0].validation.photo is not an object"),
    ({"history": [record(20, validation={"photo": {"loss": 1.0}})]}, "history[0].validation.photo.accuracy is missing"),
    ({"history": [record(20, skipped=-1)]}, "history[0].skipped is not a whole number"),
    ({"history": [{"iteration": 20}]}, "history[0].source_loss is missing"),
    ({"pending": [{"a": "b"}]}, "pending[0].source_loss is missing"),
    ({"pending": {}}, "pending is not a list"),
    ({"pending": 3 * [dict(SCALARS, skipped=float("nan"))]}, "pending[0].skipped is not 0 or 1"),
    ({"pending": 3 * [dict(SCALARS, loss_scale="64")]}, "pending[0].loss_scale is not a number"),
    ({"details": [1]}, "details is not an object"),
    ({"details": {"a": json.loads(30 * "[" + 30 * "]")}}, "it nests deeper than 16 levels"),
    ({"speed": 1}, "it has members that are not known here: speed"),
])
def test_what_is_wrong_is_told_with_its_place(change, told):
    assert told in refusal(dict(CONTENT, **change))


@pytest.mark.parametrize("name", sorted(CONTENT))
def test_no_member_may_be_missing(name):
    assert refusal({key: value for key, value in CONTENT.items() if key != name}) == f"{name} is missing"


@pytest.mark.parametrize("data", [
    b"", b"[1]", b"null", b"\xff", b"[" * 100000, b'{"a":' * 100000, b'{"iteration": ' + b"1" * 5000 + b"}"])
def test_other_bytes_are_refused(data):
    with pytest.raises(ValueError):
        parse_progress(data)


def test_whatever_stands_in_a_place_nothing_else_than_the_documented_error_comes_out():
    chosen, refused = random.Random(11), 0
    for _ in range(1000):
        try:
            parse_progress(changed_bytes(CONTENT, chosen))
        except ValueError:
            refused += 1
    assert refused > 600
