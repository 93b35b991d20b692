"""What `predict` found, as a table, a CSV file and a page."""

from __future__ import annotations

import csv
import io
import re

import numpy as np
import pytest
from PIL import Image

from job.reports import predictions
from job.reports.image_results import ImageResult, cell, csv_text
from job.reports.page.measures import MOST_CLASSES
from job.reports.prediction_page import MOST, render
from job.reports.predictions import Prediction, Predictions

CLASSES = ("dog", "house", "<b>odd</b>")


def one(name, label, *probabilities, problem=""):
    return Prediction(name, name, label, np.array(probabilities) if probabilities else None, problem)


def found(*images):
    return Predictions("the network", "network.npz", "ab" * 32, 300, "cpu", CLASSES, list(images), 0.5)


MIXED = found(one("right", 0, 0.9, 0.1, 0.0), one("mild", 1, 0.6, 0.4, 0.0), one("worst", 1, 0.98, 0.01, 0.01),
              one("no label", None, 0.2, 0.5, 0.3), one("broken", 0, problem="the file is empty"),
              one("unsure", 2, 0.3, 0.3, 0.4))


def test_mistakes_come_worst_first_and_the_others_least_certain_first():
    assert [each.shown for each in MIXED.mistakes()] == ["worst", "mild"]
    assert [each.shown for each in MIXED.others()] == ["unsure", "no label", "right"]
    assert [each.shown for each in MIXED.unreadable()] == ["broken"]


def test_accuracy_counts_the_images_with_a_label_that_can_be_read():
    assert MIXED.confusion().tolist() == [[1, 0, 0], [2, 0, 0], [0, 0, 1]]
    assert "accuracy 50.00 % of 4 images with a label" in predictions.text(MIXED, elsewhere=True)
    assert predictions.document(MIXED)["accuracy"] == 50.0


def test_few_images_are_all_in_the_table_in_their_order():
    lines = predictions.text(MIXED, elsewhere=False)
    table = lines[lines.index("") + 1:]
    assert [line.split("  ")[0] for line in table] == ["image", "right", "mild", "worst", "no label", "broken",
                                                       "unsure"]
    assert table[3].split() == ["worst", "house", "dog", "0.9800", "wrong"] and "the file is empty" in table[5]


def test_of_many_images_the_table_has_the_worst_mistakes_and_says_where_the_others_are():
    many = found(*(one(f"{number}.jpg", 1, 0.5 + number / 100.0, 0.5 - number / 100.0, 0.0) for number in range(40)))
    lines = predictions.text(many, elsewhere=False)
    assert "worst mistakes of 40:" in lines and "--out=FILE.csv" in lines[-1]
    assert [line.split()[0] for line in lines if ".jpg" in line] == [f"{number}.jpg" for number in range(39, 19, -1)]
    assert "--out" not in predictions.text(many, elsewhere=True)[-1]


def test_the_csv_has_a_line_for_each_image_and_the_probability_of_each_class():
    rows = list(csv.DictReader(io.StringIO(predictions.csv_text(MIXED))))
    assert [row["path"] for row in rows] == [each.shown for each in MIXED.images]
    assert rows[1] == {"path": "mild", "label": "house", "predicted": "dog", "probability": "0.600000", "problem": "",
                       "p_dog": "0.600000", "p_house": "0.400000", "p_<b>odd</b>": "0.000000"}
    assert rows[4]["problem"] == "the file is empty" and rows[4]["predicted"] == rows[4]["p_dog"] == ""


@pytest.mark.parametrize("name", ["=1+1.jpg", "+1.jpg", "-1.jpg", "@SUM(A1).jpg", "\t=1.jpg", "\r=1.jpg", "＝1.jpg"])
def test_no_cell_of_a_csv_begins_like_a_formula(name):
    for text in (predictions.csv_text(found(one(name, 0, 0.9, 0.1, 0.0))),
                 csv_text([ImageResult(name, "dog", "dog", 1.0)])):
        assert list(csv.DictReader(io.StringIO(text, newline="")))[0]["path"] == "'" + name


@pytest.mark.parametrize("name", ['a,b.jpg', 'a"b.jpg', "a;=1.jpg", "a\n=1.jpg", "a|b.jpg", "图片.jpg", "a b.jpg", ""])
def test_a_cell_is_read_back_as_it_was(name):
    assert next(csv.reader(io.StringIO(cell(name) + ",x", newline=""))) == [name, "x"]
    assert cell(name).startswith('"') == any(each in name for each in ',";\n|')


def test_the_page_is_one_file_with_the_worst_mistake_first_and_no_markup_of_strangers(tmp_path):
    names = {}
    for name in ("right", "mild", "worst", "no label", "unsure"):
        path = tmp_path / f"{name}<script>alert(1)<'\">.png"
        Image.new("RGB", (300, 20), (200, 10, 10)).save(str(path))
        names[name] = str(path)
    images = [each._replace(path=names.get(each.path, "/no/such/file"), shown=names.get(each.shown, each.shown))
              for each in MIXED.images]
    page = render(found(*images), 10 ** 6)
    assert "<script" not in page and "<b>odd" not in page and "http" not in page
    assert page.count("src=") == page.count("src=\"data:image/jpeg;base64,") == 5
    places = [page.index(f"{name}&lt;script&gt;") for name in ("worst", "mild", "unsure", "no label", "right")]
    assert places == sorted(places)
    assert "<b>50.00 %</b> of 4 images" in page and "broken: the file is empty" in page
    assert 'name=viewport content="width=device-width' in page


def test_a_page_says_how_many_images_it_leaves_out():
    images = [one(f"/no/{number}.jpg", 1, 0.9, 0.1, 0.0) for number in range(MOST + 7)]
    page = render(found(*images, one("/no/r.jpg", 0, 0.9, 0.1, 0.0)), 10 ** 6)
    assert page.count("<figure") == MOST and "7 more are not shown" in page and "1 more are not shown" in page
    assert page.count("the file has disappeared") == MOST


def test_the_page_about_many_classes_says_where_the_whole_matrix_is_and_has_a_style_for_the_sentence():
    names = tuple(f"class {number}" for number in range(MOST_CLASSES + 1))
    wrong = Prediction("/no/a.jpg", "/no/a.jpg", 5, np.eye(len(names))[3])
    page = render(found(wrong)._replace(classes=names), 10 ** 6)
    assert "kinds of confusion. With --json, predict prints the whole matrix." in page and "metrics.jsonl" not in page
    style = page.partition("<style>")[2].partition("</style>")[0]
    used = {name for value in re.findall(r'class="?([\w ]+)', page) for name in value.split()}
    assert used - {name for name in used if f".{name}" in style} == set()
