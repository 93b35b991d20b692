"""`show`, `compare` and the pages over files that somebody else wrote: no stack trace, no control character, no markup.
"""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree

import pytest

from job import cli
from job.reports.report import make_report
from tests.job.reports.test_compare import write_run
from tests.job.reports.test_report import HISTORY, RUN

NASTY = "\x1b]0;title\x07\x1b[31m<script>alert(1)</script>|\n2026-01-01 error: forged\r\u202e\u2028x"
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202a-\u202e]")


@pytest.fixture
def run(tmp_path):
    """The folder of a run with two intervals."""
    write_run(tmp_path / "run", {10: (30.0, 50.0), 20: (40.0, 60.0)})
    return tmp_path / "run"


def change(run, **members):
    """Give members of run.json other values; None takes the member away."""
    content = json.loads((run / "run.json").read_text())
    content.update(members)
    (run / "run.json").write_text(json.dumps({name: value for name, value in content.items() if value is not None}))


def command(capsys, *words):
    """(exit code, standard output, standard error) of a command."""
    code = cli.main(list(words))
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    assert CONTROL.search(captured.out + captured.err) is None
    assert not re.search("^(2026-01-01|error: forged)", captured.out + captured.err, re.MULTILINE)
    return code, captured.out, captured.err


@pytest.mark.parametrize("members, place", [
    ({"state": None}, "state is missing"),
    ({"state": {"a": 1}}, "state: expected text, found an object"),
    ({"config": [1]}, "config: expected an object"),
    ({"attempts": [{}]}, "attempts[0].started is missing"),
    ({"attempts": [{"started": "x", "from_iteration": "\x1b"}]}, "attempts[0].from_iteration: expected a whole number"),
    ({"best": [1]}, "best: expected an object"),
    ({"best": {"iteration": 1, "target_accuracy": "x", "validation_accuracy": None}}, "best.target_accuracy: expected"),
    ({"best": {"iteration": 10 ** 45, "target_accuracy": 1, "validation_accuracy": 1}}, "digits"),
    ({"extra": float("inf")}, None),
])
def test_a_run_json_of_another_shape_is_one_error_that_names_the_place(run, capsys, members, place):
    change(run, **members)
    for words in (["show", str(run)], ["compare", str(run)]):
        code, _, errors = command(capsys, *words)
        if place is None:
            assert code == 0
        else:
            assert code == 4
            assert place in errors and "Repair this file or restore it from a copy" in errors
            assert errors.count("\n") == 1


@pytest.mark.parametrize("content", [
    pytest.param(b"[" * 100000, id="deep"), pytest.param(b'{"format":1,"n":' + b"9" * 5000, id="digits"),
    b"{", b"[]", b"1", b"\xff\xfe", b""])
def test_a_run_json_that_is_no_document_of_ours_is_one_error(run, capsys, content):
    (run / "run.json").write_bytes(content)
    for name in ("show", "compare"):
        code, _, errors = command(capsys, name, str(run))
        assert code == 4 and errors.count("\n") == 1 and "run.json" in errors


def test_compare_says_which_selection_policies_there_are(run, capsys):
    change(run, config={"interval": {"selection": NASTY}})
    code, _, errors = command(capsys, "compare", str(run))
    assert code == 4 and "Expected one of source_val, oracle, last" in errors


@pytest.mark.parametrize("line", [
    pytest.param("[" * 100000, id="deep"), pytest.param('{"n": ' + "9" * 5000 + "}", id="digits"),
    "{", "[]", "1", "null", '{"iteration": NaN}',
    {"iteration": "x"}, {"iteration": 20}, {"iteration": True}, {"iteration": 10 ** 30}, {"target_accuracy": 1e300},
    {"target_accuracy": -1}, {"validation_accuracy": None}, {"target_domain": ["a"]}, {"seconds_per_iteration": "x"}])
def test_a_wrong_line_of_the_history_is_skipped_and_counted(run, capsys, line):
    path = run / "metrics.jsonl"
    good = path.read_text()
    if isinstance(line, dict):
        line = json.dumps(dict(json.loads(good.splitlines()[-1]), iteration=30, **line) if "iteration" not in line
                          else dict(json.loads(good.splitlines()[-1]), **line))
    path.write_text(good + line + "\n")
    for name, shown in (("show", "       20     60.00 %     40.00 %"), ("compare", "| 20 | **40.00** | **60.00** |")):
        code, out, errors = command(capsys, name, str(run))
        assert code == 0 and shown in out
        assert "warning: " in errors and "metrics.jsonl: skipped 1 of 3 lines" in errors and "line 3, " in errors


def test_bytes_that_are_no_text_are_one_skipped_line(run, capsys):
    path = run / "metrics.jsonl"
    path.write_bytes(b"\xff\xfe\n" + path.read_bytes())
    code, out, errors = command(capsys, "show", str(run))
    assert code == 0 and "40.00 %" in out and "skipped 1 of 3 lines" in errors


def test_names_in_a_run_reach_the_terminal_without_control_characters(run, capsys):
    change(run, state=NASTY, attempts=[{"started": NASTY, "outcome": NASTY}])
    records = [dict(json.loads(line), target_domain=NASTY) for line in (run / "metrics.jsonl").read_text().splitlines()]
    (run / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    (run / "a\x1b[31m\nb").mkdir()
    (run / "a\x1b[31m\nb" / "c\rd").write_bytes(b"x")
    code, out, _ = command(capsys, "show", str(run))
    assert code == 0 and "a\\x1b[31m\\nb/" in out and "c\\rd" in out and "\\x1b]0;title" in out
    code, out, _ = command(capsys, "compare", str(run))
    assert code == 0 and "\\x1b[31m" in out
    lines = [line for line in out.splitlines() if line.startswith("|")]
    assert len({len(re.split(r"(?<!\\)\|", line)) for line in lines}) == 1  # a | in a name is no end of a cell


def test_names_in_a_run_are_no_markup_of_a_page(run, tmp_path, capsys):
    nasty = run.parent / "\x1b[31m<script>a|b"
    run.rename(nasty)
    page = tmp_path / "page.html"
    assert command(capsys, "compare", str(nasty), "--page", str(page))[0] == 0
    history = [dict(record, target_domain=NASTY, validation={NASTY: {"accuracy": 1.0}}) for record in HISTORY]
    data = {"use": {"train": 1, "validation": 2, "target": 3}, "split": NASTY, "fingerprint": NASTY, "classes": [NASTY],
            "images": {NASTY: 3}, "left_out": [NASTY]}
    attempts = [{"started": NASTY, "host": NASTY, "outcome": NASTY, "start_seconds": {NASTY: 1.0, "total": NASTY}}]
    run = dict(RUN, run_name=NASTY, config={"a": {NASTY: NASTY}}, data=data, attempts=attempts, versions={NASTY: NASTY},
               initial_weights={NASTY: [NASTY]}, state=NASTY)
    report = make_report(run, history, [NASTY, NASTY]).page
    for text in (page.read_text(encoding="utf-8"), report):
        assert "<script" not in text and CONTROL.search(text) is None
        for chart in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
            ElementTree.fromstring(chart)
        assert text.count("<svg ") in (0, 2, 4)  # no figure failed; none without matplotlib
    assert re.search("<td>.*a|b.*</td>|<th>.*a\\|b", page.read_text(encoding="utf-8"))


def test_a_path_in_an_error_is_shown_without_control_characters(tmp_path, capsys):
    for name in ("show", "compare"):
        code, _, errors = command(capsys, name, str(tmp_path / "\x1b[31mnope\nx"))
        assert code == 4 and "\\x1b[31mnope" in errors
    assert command(capsys, "show", "--\x1b[31mnope", "x")[0] == 2
    assert command(capsys, "config", "--margin=\x1b[1m")[0] == 2
