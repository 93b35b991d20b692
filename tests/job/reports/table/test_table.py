"""The table of a study: means over seeds, what is missing from them, the paper beside ours."""
from __future__ import annotations

import csv
import json
import re
import xml.etree.ElementTree as ElementTree

import pytest

from job import cli
from job.reports.table.formats import in_csv
from job.reports.table.page import ROW, ticks
from tests.job.reports.table.stored_runs import store_run

TARGETS = ("art_painting", "cartoon", "photo", "sketch")
HOSTILE = "=cmd|' /C calc'!A0&\\input{x}$%#_~^\x1b]0;title\x07<script>alert(1)</script>\n2026 error: forged\u202e"
CONTROL = re.compile("[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u202a-\u202e]")


@pytest.fixture
def study(tmp_path):
    """Two variants, four targets, three seeds; of MASF, one run is missing, one failed and one is not finished."""
    for number, target in enumerate(TARGETS):
        for seed in (0, 1, 2):
            store_run(tmp_path, target, seed, [(50.0 + number + seed, 60.0), (40.0, 50.0)], "deepall", method="deepall")
            if (target, seed) == ("photo", 1):
                continue
            failed = {"exit_code": 5, "reason": "the loss is not finite"}
            state, attempt = {("sketch", 2): ("failed", failed), ("cartoon", 0): ("running", {})}.get(
                (target, seed), ("done", {}))
            store_run(tmp_path, target, seed, [(52.0 + number + 2 * seed, 60.0), (70.0, 50.0)], "masf", state,
                      attempt=attempt)
    return tmp_path


def table_of(capsys, *words):
    """The JSON document of a table."""
    assert cli.main(["table", "--json"] + list(map(str, words))) == 0
    return json.loads(capsys.readouterr().out)


def ours(table):
    """(name, selection) → cells by column."""
    return {(row["name"], row["selection"]): row["cells"] for row in table["rows"] if row["kind"] == "ours"}


def test_a_cell_is_the_mean_and_standard_deviation_over_seeds(study, capsys):
    cell = ours(table_of(capsys, study))["deepall", "source_val"]["cartoon"]
    assert cell["values"] == {"0": 51.0, "1": 52.0, "2": 53.0}
    assert (cell["mean"], cell["error"], cell["expected"]) == (52.0, 1.0, 3)


@pytest.mark.parametrize("error, expected", [("sem", 3 ** -0.5), ("ci95", 4.302653 * 3 ** -0.5)])
def test_the_error_is_the_one_that_was_asked_for(study, capsys, error, expected):
    table = table_of(capsys, study, "--error", error)
    assert ours(table)["deepall", "source_val"]["cartoon"]["error"] == pytest.approx(expected, abs=1e-5)


def test_runs_that_are_not_done_are_in_no_mean_and_are_listed(study, capsys):
    table = table_of(capsys, study)
    cells = ours(table)["masf", "source_val"]
    assert cells["cartoon"]["values"] == {"1": 55.0, "2": 57.0} and cells["cartoon"]["expected"] == 3
    assert cells["average"]["values"] == {}, "no seed has a run on every target"
    assert {(each["target"], each["seed"], each["state"]) for each in table["missing"]} == {
        ("cartoon", 0, "running"), ("photo", 1, "missing"), ("sketch", 2, "failed")}
    assert cli.main(["table", str(study)]) == 0
    told = capsys.readouterr().out
    assert "56.00 ± 1.41 (2 of 3)" in told
    assert "masf on sketch, seed 2: failed with exit code 5 at iteration 20: the loss is not finite" in told
    assert "masf on photo, seed 1: missing" in told


def test_the_average_is_over_the_seeds_that_have_every_target(study, capsys):
    average = ours(table_of(capsys, study))["deepall", "source_val"]["average"]
    assert average["values"] == {"0": 51.5, "1": 52.5, "2": 53.5}


def test_every_selection_policy_has_a_row(study, capsys):
    rows = ours(table_of(capsys, study, "--all-selections"))
    means = {policy: rows["masf", policy]["art_painting"]["mean"] for policy in ("source_val", "last", "oracle")}
    assert means == {"source_val": 54.0, "last": 70.0, "oracle": 70.0}


def test_the_notes_name_the_flag_for_the_other_policies_only_where_they_are_not_shown(study, capsys):
    for flags, named in ([], True), (["--all-selections"], False):
        assert ("--all-selections" in " ".join(table_of(capsys, study, *flags)["notes"])) == named


def test_one_seed_has_no_error_and_is_not_incomplete(tmp_path, capsys):
    store_run(tmp_path, "cartoon", 0, [(45.0, 50.0)])
    assert cli.main(["table", str(tmp_path / "run_cartoon_0")]) == 0
    told = capsys.readouterr().out
    assert re.search(r"^MASF +source_val +1 +45\.00 +45\.00$", told, re.M)


def test_the_papers_row_stands_beside_ours_with_the_difference(study, capsys):
    rows = table_of(capsys, study)["rows"]
    assert [(row["name"], row["kind"]) for row in rows] == [
        ("deepall", "ours"), ("paper: DeepAll", "published"), ("difference", "difference"),
        ("masf", "ours"), ("paper: MASF", "published"), ("difference", "difference")]
    assert rows[4]["cells"]["cartoon"]["mean"] == 72.46 and rows[4]["cells"]["average"]["mean"] == 75.21
    assert rows[5]["cells"]["cartoon"]["mean"] == pytest.approx(56.0 - 72.46)
    assert "840 images instead of the 9,991 of PACS" in " ".join(table_of(capsys, study)["notes"])


def test_other_domains_have_no_row_of_the_paper(tmp_path, capsys):
    store_run(tmp_path, "desert", 0)
    assert [row["kind"] for row in table_of(capsys, tmp_path, "--paper=all")["rows"]] == ["ours"]


def test_variants_are_compared_in_pairs_of_target_and_seed(study, capsys):
    compared, = table_of(capsys, study)["paired"]
    assert (compared["variant"], compared["baseline"]) == ("masf", "deepall")
    assert len(compared["pairs"]) == 9 and compared["unpaired"] == 3
    differences = [each["difference"] for each in compared["pairs"]]
    assert sorted(differences) == [2.0] * 3 + [3.0] * 3 + [4.0] * 3
    half = 2.306004 * (sum((each - 3.0) ** 2 for each in differences) / 8) ** 0.5 / 3
    assert (compared["low"], compared["high"]) == (pytest.approx(3.0 - half), pytest.approx(3.0 + half))
    turned, = table_of(capsys, study, "--baseline=masf")["paired"]
    assert (turned["variant"], len(turned["pairs"]), turned["mean"]) == ("deepall", 9, -3.0)


def test_an_unknown_baseline_is_named_with_the_known_ones(study, capsys):
    assert cli.main(["table", str(study), "--baseline=mafs"]) == 2
    assert "expected one of deepall, masf" in capsys.readouterr().err


def test_runs_with_other_settings_are_another_variant_that_its_settings_name(tmp_path, capsys):
    for margin in (10, 20):
        store_run(tmp_path, "cartoon", 0, name=f"m{margin}", margin=margin)
    assert sorted(name for name, _ in ours(table_of(capsys, tmp_path))) == ["MASF (margin=10)", "MASF (margin=20)"]


def test_of_two_runs_with_the_same_settings_one_counts_and_a_note_names_the_other(tmp_path, capsys):
    store_run(tmp_path, "cartoon", 0, [(45.0, 50.0)], name="first")
    store_run(tmp_path, "cartoon", 0, [(90.0, 50.0)], name="second")
    table = table_of(capsys, tmp_path)
    assert ours(table)["MASF", "source_val"]["cartoon"]["values"] == {"0": 45.0}
    assert [note for note in table["notes"] if "second is left out" in note]


def test_of_two_runs_with_the_same_settings_the_one_that_is_done_counts(tmp_path, capsys):
    store_run(tmp_path, "cartoon", 0, [(20.0, 50.0)] * 5, name="first", state="failed")
    store_run(tmp_path, "cartoon", 0, [(45.0, 50.0)], name="second")
    assert ours(table_of(capsys, tmp_path))["MASF", "source_val"]["cartoon"]["values"] == {"0": 45.0}


def test_latex_shows_names_as_they_are(study, capsys):
    assert cli.main(["table", str(study), "--format=latex"]) == 0
    told = capsys.readouterr().out
    assert r"& art\_painting &" in told and r"source\_val" in told
    assert r"56.00 {\footnotesize$\pm$1.41} (2/3)" in told


def test_a_damaged_run_is_named_and_the_others_are_shown(study, capsys):
    folder = next(iter(sorted(study.glob("masf-art*"))))
    (folder / "run.json").write_text('{"format": 1}')
    table = table_of(capsys, study)
    assert [note for note in table["notes"] if folder.name in note and "cannot be read" in note]
    assert ours(table)["masf", "source_val"]["art_painting"]["expected"] == 3


def test_a_folder_without_runs_is_named(tmp_path, capsys):
    assert cli.main(["table", str(tmp_path)]) == 4
    assert "there is no run at or below this folder" in capsys.readouterr().err


@pytest.mark.parametrize("path, code, told", [
    ("table.xlsx", 2, "expected one of .txt, .md, .tex, .csv, .json, .html"),
    ("nowhere/table.md", 4, "Choose another file with --out")])
def test_a_file_that_cannot_be_written_is_named(study, tmp_path, capsys, path, code, told):
    assert cli.main(["table", str(study), "--out", str(tmp_path / path)]) == code
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("low, high, expected", [
    (56.4, 73.2, [60, 65, 70]), (0.0, 100.0, [0, 20, 40, 60, 80, 100]),
    (71.02, 71.31, [71.05, 71.1, 71.15, 71.2, 71.25, 71.3]), (-1.0, 1.0, [-1, -0.5, 0, 0.5, 1])])
def test_the_axis_of_a_chart_has_round_numbers(low, high, expected):
    assert ticks(low, high) == expected


def test_the_page_has_a_dot_for_every_seed(study, tmp_path, capsys):
    path = tmp_path / "table.html"
    assert cli.main(["table", str(study), "--out", str(path)]) == 0
    page, svg = path.read_text("utf-8"), "{http://www.w3.org/2000/svg}"
    charts = [ElementTree.fromstring(text) for text in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]
    dots = [chart.findall(svg + "circle") for chart in charts]
    assert [len(each) for each in dots] == [6, 5, 5, 5, 3] and "A dot is the accuracy of one seed" in page
    names = [float(each.get("y")) for each in charts[0].findall(svg + "text") if each.get("x") == "0"]
    for name, dot in zip(names, sorted({float(each.get("cy")) for each in dots[0]})):
        assert name < dot < name + ROW  # the name is above its dots, so it takes no width from them


@pytest.mark.parametrize("name", ["=cmd", " +cmd", "-cmd", "@cmd", "＝cmd", "＋cmd", "－cmd", "＠cmd"])
def test_no_text_of_the_csv_begins_like_a_formula(name):
    assert in_csv(name) == "'" + name


def test_names_that_others_wrote_are_harmless_in_every_form(tmp_path, capsys):
    def hostile(content):
        content["run_name"] = HOSTILE
        content["state"] = HOSTILE

    store_run(tmp_path / "runs", HOSTILE, 0, name="a")
    store_run(tmp_path / "runs", HOSTILE, 1, name="b", change=hostile, attempt={"reason": HOSTILE})
    forms = {suffix: tmp_path / f"table{suffix}" for suffix in (".txt", ".md", ".tex", ".csv", ".html")}
    assert cli.main(["table", str(tmp_path / "runs")] + [word for path in forms.values()
                                                          for word in ("--out", str(path))]) == 0
    texts = {suffix: path.read_text("utf-8") for suffix, path in forms.items()}
    for text in texts.values():
        assert CONTROL.search(text.replace("\r\n", "\n")) is None
        assert not re.search("^(2026 error|error: forged)", text, re.M)
    assert "<script" not in texts[".html"] and "<script" not in texts[".md"].replace("\\<script", "")
    assert "\\input" not in texts[".tex"].split("\\begin{table}")[1]
    for row in csv.reader(texts[".csv"].splitlines()):
        assert not [cell for cell in row if cell.startswith(("=", "@", "+"))]
