"""A verdict in 16 bits is neither flipped by rounding nor met by a wrong formula."""
from __future__ import annotations

import functools
import math
import os

import numpy as np
import pytest

from masf_core.devices.cpu import Cpu
from masf_core.method import losses, meta_step, updates
from masf_core.network.kernels import Kernels, processor_kernels
from masf_core.parity import case as parity_case, comparison, iterations
from masf_core.tf1 import tf
from tests.masf_core.parity.rounding_otherwise import RoundingOtherwise
from tests.masf_core.parity.test_comparison import GOLDEN, exceeded, first_step_of, found, record

NAMES = list(record()["weights"])
INDEX = list(range(8))


def drawn(seed=3):
    """name → the 8 entries of a gradient of this variable."""
    random = np.random.RandomState(seed)
    return {name: random.standard_normal(8) for name in NAMES}


def recorded_as(arrays):
    return {name: {"norm": float(np.linalg.norm(array)), "index": INDEX, "value": list(array)}
            for name, array in arrays.items()}


def exceeded_in_mixed(arrays, **changed):
    """Names of the quantities that are exceeded where every gradient was ``arrays`` and some are ``changed``."""
    entries = recorded_as(arrays)
    kwargs = {quantity: arrays for quantity in ("grad_task", "grad_meta", "grad_metric", "weights", "delta")}
    kwargs.update(changed)
    expected = record(delta_norm={name: entry["norm"] for name, entry in entries.items()},
                      **{quantity: entries for quantity in ("grad_task", "grad_meta", "grad_metric", "weights")})
    return [item.quantity for item in exceeded(comparison.compare_step(1, expected, found(**kwargs), mixed=True))]


def changed_at(arrays, name, array):
    return dict(arrays, **{name: array})


def test_equal_numbers_are_equal():
    arrays = drawn()
    assert exceeded_in_mixed(arrays) == []


def test_the_entries_of_one_variable_are_rounding_where_gradients_cancel():
    """On a processor with AMX those of conv3/biases were 1.12 apart, and its weights 1.46."""
    arrays = drawn()
    other = np.random.RandomState(8).standard_normal(8)
    other *= np.linalg.norm(arrays["conv3/biases"]) / np.linalg.norm(other)
    assert np.sqrt(np.mean((other - arrays["conv3/biases"]) ** 2)) > 1.12
    assert exceeded_in_mixed(arrays, grad_meta=changed_at(arrays, "conv3/biases", other)) == []
    weights = changed_at(arrays, "conv3/biases", -arrays["conv3/biases"])
    assert np.median(np.abs(2.0 * arrays["conv3/biases"])) > 0.8
    assert exceeded_in_mixed(arrays, weights=weights) == []


@pytest.mark.parametrize("quantity, scaled, told", [
    ("grad_task", -1.0, ["grad_task entries"]), ("grad_meta", -1.0, ["grad_meta entries"]),
    ("grad_metric", -1.0, ["grad_metric entries"]), ("weights", -1.0, ["weights entries"]),
    ("grad_task", 1.15, ["grad_task norm"]), ("grad_meta", 2.0, ["grad_meta factor"]),
    ("grad_meta", 0.5, ["grad_meta factor"]), ("grad_meta", 3.0, ["grad_meta norm", "grad_meta factor"]),
    ("grad_metric", 3.0, ["grad_metric norm"]), ("grad_metric", 0.3, ["grad_metric norm"]),
    ("delta", 1.1, ["delta_norm factor"]), ("delta", 0.9, ["delta_norm factor"]),
    ("delta", 1.5, ["delta_norm", "delta_norm factor"]),
])
def test_what_all_variables_have_wrong_is_noticed(quantity, scaled, told):
    arrays = drawn()
    assert exceeded_in_mixed(arrays, **{quantity: {name: scaled * array for name, array in arrays.items()}}) == told


@pytest.mark.parametrize("quantity", ["grad_task", "grad_meta", "grad_metric"])
@pytest.mark.parametrize("value", [0.0, math.nan])
def test_a_gradient_of_one_variable_that_is_missing_is_noticed(quantity, value):
    arrays = drawn()
    name = "metric1/weights" if quantity == "grad_metric" else "conv3/biases"
    assert quantity + " norm" in exceeded_in_mixed(
        arrays, **{quantity: changed_at(arrays, name, np.full(8, value))})


def test_a_task_gradient_of_the_wrong_sign_in_one_variable_is_noticed():
    arrays = drawn()
    assert exceeded_in_mixed(
        arrays, grad_task=changed_at(arrays, "conv3/biases", -arrays["conv3/biases"])) == ["grad_task entries"]


def test_a_variable_that_does_not_move_is_noticed():
    arrays = drawn()
    assert "delta_norm" in exceeded_in_mixed(arrays, delta=changed_at(arrays, "fc7/weights", np.zeros(8)))


@pytest.mark.parametrize("quantity, changes", [
    ("source_loss", {"source_loss": 2.1}), ("global_loss", {"global_loss": 0.0113}),
    ("metric_loss", {"metric_loss": 0.047}), ("metric_loss", {"metric_loss": math.nan}),
    ("source_accuracy", {"source_accuracy": 75.0}),
    ("logits_b_at_theta", {"logits_b_at_theta": np.array([[1.0, 2.0], [3.0, 4.5]])})])
def test_each_loss_is_compared(quantity, changes):
    assert [item.quantity for item in exceeded(comparison.compare_step(1, record(), found(**changes), mixed=True))] \
        == [quantity]


@pytest.fixture(autouse=True)
def weights_drawn_once(monkeypatch):
    """They take longer than the iteration."""
    monkeypatch.setattr(iterations, "initial_values",
                        lambda settings: initial_values(settings["seed"], settings["gain"]))


@functools.lru_cache(maxsize=1)
def initial_values(seed, gain):
    return parity_case.initial_values(dict(seed=seed, gain=gain))


class Coarse(Cpu):
    """A processor of 16 bits, of which ``seed`` says how it rounds; it runs in either lane, on any processor."""

    def __init__(self, seed):
        super().__init__("float32", 1, 1)
        self.mixed, self._seed = True, seed

    def session_config(self, ranks=None):
        return Cpu("float32", 1, 1).session_config(ranks)

    def kernels(self):
        return RoundingOtherwise(self._seed)


def exceeded_at_full_size(case, here, draws=0):
    """Names of the quantities that are exceeded in a golden case's first iteration."""
    differences = comparison.run_case(first_step_of(os.path.join(GOLDEN, case + ".json")), here, draws=draws)
    return {item.quantity for item in exceeded(differences)}


@pytest.mark.slow
@pytest.mark.parametrize("case, seed", [("missing_classes", 4), ("strong_inner", 2)])
def test_how_a_processor_rounds_does_not_decide(case, seed):
    """With these seeds the entries of a variable's meta gradient, or of its weights, come out unrelated."""
    assert exceeded_at_full_size(case, Coarse(seed)) == set()


def setting(**changes):
    """Plants another setting than the case's."""
    def plant(monkeypatch):
        right = meta_step.StepSettings
        monkeypatch.setattr(meta_step, "StepSettings", lambda **given: right(**dict(given, **changes)))

    return plant


def not_squared(monkeypatch):
    right = losses.squared_distances

    def distances(*arguments):
        squares = right(*arguments)
        return tf.where(squares > 0.0, tf.sqrt(tf.maximum(squares, 1e-12)), squares)

    monkeypatch.setattr(losses, "squared_distances", distances)


def of_present_classes(monkeypatch):
    """The mean over the classes that are present in both domains, in place of a sum over C."""
    right = losses.global_loss

    def global_loss(train_logits, train_labels, test_logits, test_labels, *rest):
        classes = test_logits.shape.as_list()[1]
        present = [tf.reduce_max(tf.one_hot(labels, classes), axis=0) for labels in train_labels + [test_labels]]
        both = tf.add_n([tf.reduce_sum(there * present[-1]) for there in present[:-1]]) / len(train_labels)
        return right(train_logits, train_labels, test_logits, test_labels, *rest) * classes / both

    monkeypatch.setattr(losses, "global_loss", global_loss)


def one_sided(monkeypatch):
    """KL(p ‖ q) alone."""
    def global_loss(train_logits, train_labels, test_logits, test_labels, *rest):
        q, q_present = losses.class_distributions(test_logits, test_labels, *rest)
        pairs = []
        for logits, labels in zip(train_logits, train_labels):
            p, p_present = losses.class_distributions(logits, labels, *rest)
            divergence = tf.reduce_sum(p * (tf.log(p) - tf.log(q)), axis=1)
            pairs.append(tf.reduce_sum(divergence * p_present * q_present) / 7.0)
        return tf.add_n(pairs) / len(pairs)

    monkeypatch.setattr(losses, "global_loss", global_loss)


def stages(*kept):
    """Some of the three Adams are left out."""
    def plant(monkeypatch):
        right = updates.reference_stages
        monkeypatch.setattr(
            updates, "reference_stages", lambda *arguments: [right(*arguments)[number] for number in kept])

    return plant


def without_inner_step(monkeypatch):
    monkeypatch.setattr(meta_step, "inner_step", lambda theta, gradients, settings: dict(theta))


# Mistakes that show in different quantities are planted together: each run takes seconds.
@pytest.mark.slow
@pytest.mark.parametrize("planted", [
    [(setting(temperature=2.5), "global_loss"), (setting(margin=20.0 * 1.3), "metric_loss"),
     (setting(outer_lr=1e-6 * 1.2), "delta_norm factor")],
    [(of_present_classes, "global_loss"), (setting(beta2=0.005 * 1.3), "metric_loss"),
     (stages(1, 2), "delta_norm factor")],
    [(setting(gradients_clip_value=2.0 * 1.4), "global_loss"), (not_squared, "grad_meta factor"),
     (stages(0, 1), "delta_norm")],
    [(without_inner_step, "global_loss"), (stages(0, 2), "weights entries")],
], ids=["temperature, margin, rate", "present classes, beta2, no task Adam", "clip, not squared, no metric Adam",
        "no inner step, no meta Adam"])
def test_in_16_bits_planted_mistakes_are_noticed(planted, monkeypatch):
    for plant, _ in planted:
        plant(monkeypatch)
    assert {quantity for _, quantity in planted} <= exceeded_at_full_size("missing_classes", Coarse(seed=1))


def without_phi_in_the_meta_update(monkeypatch):
    right = updates.reference_stages

    def reference_stages(theta, phi, gradients, settings):
        task, meta, metric = right(theta, phi, gradients, settings)
        return [task, meta._replace(variables=theta), metric]

    monkeypatch.setattr(updates, "reference_stages", reference_stages)


def another_bias_of_the_normalisation(monkeypatch):
    monkeypatch.setattr(Kernels, "local_response_normalisation", lambda self, x: tf.nn.local_response_normalization(
        x, depth_radius=2, alpha=1e-5, beta=0.75, bias=1.01))
    monkeypatch.setattr(type(processor_kernels()), "local_response_normalisation",
                        Kernels.local_response_normalisation)


@pytest.mark.slow
@pytest.mark.parametrize("planted", [
    [(setting(temperature=2.05), "global_loss"), (setting(margin=20.0 * 1.02), "metric_loss"),
     (without_phi_in_the_meta_update, "delta_norm")],
    [(setting(gradients_clip_value=2.0 * 1.05), "global_loss"), (setting(beta2=0.005 * 1.01), "metric_loss")],
    [(of_present_classes, "global_loss"), (not_squared, "metric_loss")],
    [(one_sided, "global_loss"), (another_bias_of_the_normalisation, "source_loss")],
], ids=["temperature, margin, no phi in the meta update", "clip, beta2", "present classes, not squared",
        "one-sided, bias of the normalisation"])
def test_in_float32_small_planted_mistakes_are_noticed_however_the_case_is_conditioned(planted, monkeypatch):
    """Most of them 16 bits cannot tell apart, see ``parity.mixed``. What rounding does in this case excuses none."""
    for plant, _ in planted:
        plant(monkeypatch)
    assert {quantity for _, quantity in planted} <= exceeded_at_full_size(
        "missing_classes", Cpu("float32", 1, 1), draws=1)


@pytest.mark.slow
def test_moments_that_are_averaged_otherwise_are_noticed_in_later_iterations(monkeypatch):
    """In the first iteration Adam moves by the sign of the gradient, whatever its decay rates are."""
    adam = tf.train.AdamOptimizer
    monkeypatch.setattr(tf.train, "AdamOptimizer", lambda rate, **given: adam(rate, **dict(given, beta1=0.6)))
    differences = comparison.run_case(
        parity_case.load_case(os.path.join(GOLDEN, "missing_classes.json")), Cpu("float32", 1, 1), draws=0)
    found = {(item.step, item.quantity) for item in exceeded(differences)}
    assert {(3, "delta_norm"), (3, "source_loss")} <= found and 1 not in {step for step, _ in found}
