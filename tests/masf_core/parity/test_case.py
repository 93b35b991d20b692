"""Reading parity cases: the rule of the inputs, and that a damaged file is never compared."""
from __future__ import annotations

import copy
import glob
import json
import os

import numpy as np
import pytest

from masf_core.errors import DataError
from masf_core.parity import case as parity_case

GOLDEN = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "golden")
CASES = sorted(glob.glob(os.path.join(GOLDEN, "*.json")))


@pytest.fixture(scope="module")
def whole():
    with open(os.path.join(GOLDEN, "balanced.json")) as stream:
        return json.load(stream)


@pytest.fixture
def load(tmp_path):
    """Writes a case, or a text, and reads it."""
    def load(content):
        (tmp_path / "case.json").write_text(content if isinstance(content, str) else json.dumps(content))
        return parity_case.load_case(str(tmp_path / "case.json"))

    return load


def put(case, place, value):
    """Set what the keys of ``place`` lead to; a value of ``del`` takes it out."""
    for key in place[:-1]:
        case = case[key]
    if value == "del":
        del case[place[-1]]
    else:
        case[place[-1]] = value


def test_every_case_of_the_reference_is_whole():
    assert len(CASES) == 3
    for path in CASES:
        assert len(parity_case.load_case(path)["steps"]) == 3


LABELS = ["case", "labels", 1, 2]
MOVED = ["steps", 1, "grad_meta", "conv1/weights"]


@pytest.mark.parametrize("place, value, expected", [
    (["case"], "del", "the whole file: expected an entry 'case'"),
    (["steps"], [], "steps: expected a list of 3 records"),
    (["case", "labels"], [], "case.labels: expected a list of one or more"),
    (["case", "clip"], "del", "case: expected an entry 'clip'"),
    (["case", "clip"], 0, "case.clip: expected a number above 0, found 0"),
    (["case", "clip"], -1.0, "case.clip: expected a finite number of 0 or more"),
    (["case", "inner_lr"], -1e-5, "case.inner_lr: expected a finite number of 0 or more, found -1e-05"),
    (["case", "outer_lr"], "1e-5", "case.outer_lr: expected a finite number"),
    (["case", "metric_lr"], float("nan"), "case.metric_lr: expected a finite number"),
    (["case", "margin"], float("inf"), "case.margin: expected a finite number"),
    (["case", "gain"], True, "case.gain: expected a finite number, found True"),
    (["case", "gain"], 1e300, "case.gain: expected a finite number"),
    (["case", "seed"], -1, "case.seed: expected a whole number from 0"),
    (["case", "seed"], 1.0, "case.seed: expected a whole number from 0"),
    (["case", "seed"], 2 ** 32 - 1, "case.seed: expected a whole number from 0"),
    (["case", "meta_batch_size"], 2, "case.meta_batch_size: expected a whole number from 3"),
    (["case", "meta_batch_size"], 11, "case.labels[0][0]: expected a list of 11 labels, as many as meta_batch_size"),
    (LABELS[:3], [[0] * 12] * 2, "case.labels[1]: expected a list of 3 domains, found '2 of them'"),
    (LABELS, [0] * 11, "case.labels[1][2]: expected a list of 12 labels"),
    (LABELS, 3, "case.labels[1][2]: expected a list of 12 labels, as many as meta_batch_size, found 3"),
    (LABELS + [4], 7, "case.labels[1][2][4]: expected a whole number from 0 to 6, found 7"),
    (LABELS + [4], -1, "case.labels[1][2][4]"), (LABELS + [4], True, "case.labels[1][2][4]"),
    (LABELS + [4], 2.0, "case.labels[1][2][4]"), (LABELS + [4], "2", "case.labels[1][2][4]"),
    (LABELS + [4], None, "case.labels[1][2][4]"),
    (["names"], ["conv1/weights"], "names: expected a list of 20 variables"),
    (["names", 3], "conv9/biases", "names[3]: expected 'conv2/biases'"),
    (["steps", 2], "del", "steps: expected a list of 3 records, one for each set of labels, found '2 of them'"),
    (["steps", 1], {}, "steps[1]: expected an entry"),
    (["steps", 1, "source_loss"], None, "steps[1].source_loss: expected a finite number"),
    (["steps", 1, "metric_loss"], "del", "steps[1]: expected an entry 'metric_loss'"),
    (["steps", 1, "grad_task"], {}, "steps[1].grad_task: expected an entry 'conv1/weights'"),
    (["steps", 1, "grad_metric", "metric2/biases"], "del", "steps[1].grad_metric: expected an entry 'metric2/biases'"),
    (["steps", 1, "grad_task", "metric1/biases"], {}, "steps[1].grad_task: expected no other variables than the 16"),
    (["steps", 1, "delta_norm", "fc8/biases"], "del", "steps[1].delta_norm: expected an entry 'fc8/biases'"),
    (["steps", 1, "delta_norm", "fc8/biases"], -1, "steps[1].delta_norm[fc8/biases]: expected a finite number of 0"),
    (["steps", 1, "weights"], [], "steps[1].weights: expected an object with"),
    (MOVED + ["norm"], "del", "steps[1].grad_meta[conv1/weights]: expected an entry 'norm'"),
    (MOVED + ["index"], [], "steps[1].grad_meta[conv1/weights].index: expected a list of one or more"),
    (MOVED + ["value"], [1.0], "steps[1].grad_meta[conv1/weights].value: expected a list of 8 values"),
    (MOVED + ["index", 0], 34848, "steps[1].grad_meta[conv1/weights].index[0]: expected a whole number from 0 to 34"),
    (MOVED + ["index", 0], -1, "steps[1].grad_meta[conv1/weights].index[0]"),
    (MOVED + ["value", 7], float("nan"), "steps[1].grad_meta[conv1/weights].value[7]: expected a finite number"),
    (["steps", 0, "logits_b_at_theta", 11], "del", "steps[0].logits_b_at_theta: expected a list of 12 rows"),
    (["steps", 0, "logits_b_at_theta", 3], [0.0] * 6, "steps[0].logits_b_at_theta[3]: expected a list of 7 logits"),
    (["steps", 0, "logits_b_at_theta", 3, 6], "x", "steps[0].logits_b_at_theta[3][6]: expected a finite number"),
])
def test_a_damaged_file_says_where_and_what_was_expected(whole, load, tmp_path, place, value, expected):
    case = copy.deepcopy(whole)
    put(case, place, value)
    with pytest.raises(DataError) as caught:
        load(case)
    assert str(caught.value).startswith("{}: not a parity case: {}".format(tmp_path / "case.json", expected))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", "[" * 100000, '{"case": 1, "names": [], "steps": []}'])
def test_what_is_no_case_at_all_is_one_error(load, text):
    with pytest.raises(DataError, match="not a parity case"):
        load(text)


def test_bytes_that_are_no_text_and_files_that_are_not_there(tmp_path):
    (tmp_path / "case.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="not a parity case"):
        parity_case.load_case(str(tmp_path / "case.json"))
    with pytest.raises(DataError, match="none.json: cannot be read"):
        parity_case.load_case(str(tmp_path / "none.json"))


def test_weights_follow_the_rule():
    values = parity_case.initial_values({"seed": 3, "gain": 0.5})
    random = np.random.RandomState(3)
    first = random.standard_normal((11, 11, 3, 96)) * np.sqrt(2 / 363.0) * 0.5 / 64.0
    np.testing.assert_array_equal(values["conv1/weights"], first.astype(np.float32))
    np.testing.assert_array_equal(values["conv1/biases"], (random.standard_normal(96) * 0.01).astype(np.float32))
    assert list(values) == [layer + part for layer in (
        "conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8", "metric1", "metric2")
        for part in ("/weights", "/biases")]


def test_images_follow_the_rule_through_all_iterations():
    labels = [[[0, 1, 2], [3, 4, 5], [6, 0, 1]], [[1, 1, 1], [2, 2, 2], [3, 3, 3]]]
    found = list(parity_case.episodes({"seed": 3, "meta_batch_size": 3, "labels": labels}))
    random = np.random.RandomState(1003)
    for (images, of_images), expected in zip(found, labels):
        for domain in range(3):
            rgb = random.randint(0, 256, (3, 227, 227, 3))
            np.testing.assert_array_equal(images[domain], rgb[..., ::-1])
        np.testing.assert_array_equal(of_images, expected)
        assert images.dtype == np.uint8 and of_images.dtype == np.int32
