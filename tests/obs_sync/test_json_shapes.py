"""What a document has to be is said as a shape; what is wrong with it is told with its place."""
from __future__ import annotations

import json
import random

import pytest

from obs_sync.json_document import (
    DocumentError, anything, list_of, mapping_of, members, number, one_of, optional, parse_json, read_json,
    read_json_lines, text, truth, whole,
)
from tests.mutations import changed_bytes

RUN = members({"format": one_of(1), "attempts": list_of(members({"outcome": optional(text())}))},
              may={"best": optional(members({"accuracy": number(0, 100)})), "images": mapping_of(whole()),
                   "loss": number(finite=False), "ended": truth(), "name": text(longest=8)})
GOOD = {"format": 1, "attempts": [{"outcome": None}, {"outcome": "done", "host": {"any": [1]}}],
        "best": {"accuracy": 99.5}, "images": {"photo": 1670}, "loss": float("nan"), "ended": False, "name": "run"}


def encoded(content):
    return json.dumps(content).encode("ascii")


def test_a_document_of_its_shape_is_read_with_members_that_nobody_knows():
    assert repr(read_json(encoded(dict(GOOD, new={"of": "a newer version"})), RUN)) == repr(
        dict(GOOD, new={"of": "a newer version"}))
    assert read_json(encoded({"format": 1, "attempts": [], "best": None}), RUN)["best"] is None


@pytest.mark.parametrize("change, told", [
    ({"format": True}, "format: expected 1, found true"),
    ({"format": 2}, "format: expected 1, found 2"),
    ({"attempts": {}}, "attempts: expected a list, found an object"),
    ({"attempts": [{"outcome": None}, {"outcome": {}}]}, "attempts[1].outcome: expected text, found an object"),
    ({"attempts": [{}]}, "attempts[0].outcome is missing"),
    ({"attempts": [7]}, "attempts[0]: expected an object, found 7"),
    ({"best": {"accuracy": 101}}, "best.accuracy: expected a finite number from 0 to 100, found 101"),
    ({"best": {"accuracy": float("nan")}}, "best.accuracy: expected a finite number from 0 to 100, found NaN"),
    ({"best": {"accuracy": True}}, "best.accuracy: expected a finite number from 0 to 100, found true"),
    ({"images": {"photo": -1}}, "images.photo: expected a whole number from 0 to 9,007,199,254,740,992, found -1"),
    ({"images": {"photo": 10 ** 20}}, "images.photo: expected a whole number"),
    ({"images": {"photo": 1.0}}, "found 1.0"),
    ({"images": {"photo": True}}, "images.photo: expected a whole number from 0 to 9,007,199,254,740,992, found true"),
    ({"images": [1]}, "images: expected an object, found a list of 1"),
    ({"loss": "high"}, "loss: expected a number, found 'high'"),
    ({"ended": 0}, "ended: expected true or false, found 0"),
    ({"name": "a name that is too long"}, "name: expected text of at most 8 characters"),
    ({"name": 100 * "é"}, "…"),
    ({"new": json.loads(30 * "[" + 30 * "]")}, "new nests deeper than 16 levels"),
    ({"a\nb": json.loads(30 * "[" + 30 * "]")}, "'a\\nb' nests deeper"),
])
def test_what_is_wrong_is_told_with_its_place(change, told):
    with pytest.raises(DocumentError) as caught:
        read_json(encoded(dict(GOOD, **change)), RUN)
    assert told in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 200


@pytest.mark.parametrize("data, told", [
    (b"", "not JSON"),
    (b"\xff{}", "not UTF-8"),
    (b"{} {}", "not JSON"),
    (b"[" * 100000, "nests too deep"),
    (b'{"a":' * 100000, "nests too deep"),
    (b"1" * 5000, "a whole number of 5,000 digits"),
    (b'"' + 2000 * b"a" + b'"', "it has 2,002 bytes; at most 1,000 are read"),
    (b'["\\ud800"]', "half of a surrogate pair"),
], ids=["empty", "not UTF-8", "two", "lists", "objects", "digits", "large", "surrogate"])
def test_bytes_that_are_not_a_small_json_document_are_refused(data, told):
    with pytest.raises(DocumentError, match=told):
        parse_json(data, largest=1000 if told.startswith("it has") else 1 << 20)


def test_a_whole_surrogate_pair_is_a_character():
    assert parse_json(b'"\\ud83d\\ude00"') == "\U0001F600"


def test_lines_are_read_one_by_one_and_the_wrong_one_is_named():
    shape = members({"iteration": whole(1)})
    assert read_json_lines(b'{"iteration": 1}\n\n{"iteration": 2}\n', shape) == [{"iteration": 1}, {"iteration": 2}]
    with pytest.raises(DocumentError, match="line 2: iteration: expected a whole number from 1"):
        read_json_lines(b'{"iteration": 1}\n{"iteration": 0}', shape)
    with pytest.raises(DocumentError, match="at most 10 are read"):
        read_json_lines(b'{"iteration": 1}', shape, largest=10)


def test_any_value_is_taken_up_to_a_depth():
    anything(3)([[1, {}], {"a": [2]}], "")
    with pytest.raises(DocumentError, match="^it nests deeper than 3 levels"):
        anything(3)([[[[]]]], "")


def test_whatever_stands_in_a_place_nothing_else_than_the_documented_error_comes_out():
    chosen, refused = random.Random(7), 0
    for _ in range(500):
        try:
            read_json(changed_bytes(GOOD, chosen), RUN)
        except DocumentError:
            refused += 1
    assert refused > 250
