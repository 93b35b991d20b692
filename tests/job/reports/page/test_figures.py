"""The figures of the pages, drawn by matplotlib, and the pages without it."""
from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ElementTree

import pytest

from job.reports.compare import Candidate, page
from job.reports.page.colours import METHODS, colours_of_domains, colours_of_methods
from job.reports.page.curves import compared_plan
from job.reports.page.plotting import WITHOUT, Plan, draw_all, draw_svg, label
from job.reports.report import make_report
from tests.job.reports.test_report import CLASSES, HISTORY, RUN

SVG = "{http://www.w3.org/2000/svg}"
NASTY = "\x1b]0;x\x07<script>alert(1)</script>$\\frac{1}$&\u202e\u4e2d"


@pytest.fixture(scope="module")
def report():
    pytest.importorskip("matplotlib")
    return make_report(RUN, HISTORY, CLASSES)


def texts(svg):
    return ["".join(each.itertext()) for each in ElementTree.fromstring(svg).iter(SVG + "text")]


def test_every_figure_is_on_the_page_and_in_a_file_of_its_own(report, tmp_path):
    report.write(str(tmp_path))
    assert sorted(report.files) == ["accuracy.svg", "classes.svg", "losses.svg", "meta_losses.svg"]
    assert report.page.count("<svg ") == 4
    for name in report.files:
        assert ElementTree.parse(str(tmp_path / name)).getroot().tag == SVG + "svg"
        assert (tmp_path / name).read_text(encoding="utf-8").split("\n", 1)[1].strip() in report.page


def test_the_accuracy_is_shown_with_validation_and_chance(report):
    shown = texts(report.files["accuracy.svg"])
    for expected in ("cartoon, target", "photo, validation", "validation, mean", "chance: 50.0", "iteration"):
        assert expected in shown


def test_a_class_without_an_image_says_so(report):
    assert "no image" in texts(report.files["classes.svg"]) and "70.0" in texts(report.files["classes.svg"])


def test_the_same_numbers_give_the_same_file_without_a_date(report):
    again = make_report(RUN, HISTORY, CLASSES)
    assert again.files == report.files
    assert not re.search("<dc:date>|<metadata>", report.page)
    marked = re.findall('id="([^"]+)"', report.page)
    assert len(set(marked)) == len(marked)  # or a figure would use a part of another one


def test_hostile_names_are_text_of_a_figure(tmp_path):
    pytest.importorskip("matplotlib")
    def draw(axes):
        axes.plot([1, 2], [1, 2], label=label(NASTY))
        axes.legend()
    svg = draw_svg(Plan("nasty", "", draw))
    assert "<script" not in svg and "\x1b" not in svg and "\u202e" not in svg
    assert any("<script>" in each for each in texts(svg))
    assert label("a$b$").count("\\$") == 2 and len(label("x" * 100)) == 26


def test_without_matplotlib_the_page_holds_the_tables_and_says_what_is_missing(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "matplotlib.figure", raising=False)
    bare = make_report(RUN, HISTORY, CLASSES)
    assert "<svg" not in bare.page and "This page has no figures" in bare.page and bare.files == {}
    assert "55.50 %" in bare.page and "<td>cat</td><td>70.0</td>" in bare.page
    assert "This page has no figures" in page([Candidate("a", "last", HISTORY)])
    assert caplog.messages == []


def test_a_figure_that_fails_is_left_out_with_a_warning(caplog):
    pytest.importorskip("matplotlib")
    def fail(axes):
        raise ValueError("strange")
    drawn = draw_all([Plan("bad", "", fail), Plan("good", "", lambda axes: None)])
    assert [each.name for each in drawn.figures] == ["good"] and "could not be drawn" in drawn.told
    assert "the figure bad is left out (ValueError: strange)" in caplog.text


def test_no_figure_is_drawn_any_more_once_the_run_has_to_stop():
    drawn = draw_all([Plan("a", "", lambda axes: None)], wanted=lambda: False)
    assert drawn.figures == [] and "asked to stop" in drawn.told and drawn.told != WITHOUT


def test_the_names_of_runs_of_a_study_can_be_told_apart_in_a_comparison():
    pytest.importorskip("matplotlib")
    names = [f"deepall-r00-art_painting-s{seed}-6ebe0eae" for seed in (0, 1)]
    svg = draw_svg(compared_plan("target", "", [(name, "#000000", [(1, 50.0)]) for name in names]))
    assert set(names) <= set(texts(svg))


def test_a_thing_has_one_colour():
    assert colours_of_domains(["b", "a", "c"]) == colours_of_domains(["c", "b", "a"])
    colours = colours_of_methods(["other", "DeepAll_x", "masf_1", "masf_2"])
    assert colours["DeepAll_x"] == METHODS["deepall"] and colours["masf_1"] == METHODS["masf"]
    assert len(set(colours.values())) == 4
