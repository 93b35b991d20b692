"""The losses against hand arithmetic and a NumPy re-derivation, at odd sizes and at the edges."""
from __future__ import annotations

import math

import numpy as np
import pytest

from masf_core.method import losses
from masf_core.tf1 import tf
from tests.masf_core.method import numpy_reference


def run(build):
    with tf.Graph().as_default(), tf.Session() as session:
        return session.run(build())


def gradient(build, value):
    """(loss, ∂loss/∂value) of build(tensor)."""
    def graph():
        x = tf.constant(value)
        loss = build(x)
        return loss, tf.gradients(loss, x)[0]

    return run(graph)


def random_case(seed, batch, classes, absent=()):
    random = np.random.RandomState(seed)
    present = [c for c in range(classes) if c not in absent]
    return (random.standard_normal((batch, classes)).astype(np.float32) * 3.0,
            np.array(present, np.int32)[random.randint(0, len(present), batch)])


def test_task_loss_of_equal_logits_is_log_of_the_class_count():
    value = run(lambda: losses.task_losses(tf.zeros([3, 5]), tf.constant([0, 2, 4])))
    np.testing.assert_allclose(value, [math.log(5)] * 3, rtol=1e-6)


def test_task_loss_equals_numpy():
    logits, labels = random_case(1, 13, 6)
    value = run(lambda: losses.task_losses(tf.constant(logits), tf.constant(labels)))
    np.testing.assert_allclose(value, numpy_reference.task_loss(logits, labels), rtol=1e-5)


@pytest.mark.parametrize("domains", [1, 2, 4])
def test_global_loss_equals_numpy_for_any_number_of_domains(domains):
    train = [random_case(10 + k, 11, 5) for k in range(domains)]
    test = random_case(3, 11, 5)
    value = run(lambda: losses.global_loss(
        [tf.constant(z) for z, _ in train], [tf.constant(y) for _, y in train], *map(tf.constant, test)))
    np.testing.assert_allclose(value, numpy_reference.global_loss(train, test, 2.0, 5), rtol=1e-5)


def test_global_loss_of_one_image_a_class_in_every_domain():
    # Class means are single images, in another order in each domain.
    random = np.random.RandomState(8)
    train = [(random.standard_normal((6, 6)).astype(np.float32) * 3.0, random.permutation(6).astype(np.int32))
             for _ in range(2)]
    test = (random.standard_normal((6, 6)).astype(np.float32) * 3.0, random.permutation(6).astype(np.int32))
    value, slope = gradient(lambda z: losses.global_loss(
        [z, tf.constant(train[1][0])], [tf.constant(y) for _, y in train], *map(tf.constant, test)), train[0][0])
    np.testing.assert_allclose(value, numpy_reference.global_loss(train, test, 2.0, 6), rtol=1e-5)
    assert np.all(np.abs(slope).sum(axis=1) > 0.0)


def test_global_loss_by_hand():
    # One image of class 0 in each domain, two classes; logits (2, 0) and (0, 0), temperature 2:
    # p = softmax(1, 0) = (e, 1)/(e+1), q = (1/2, 1/2). ½ Σ (p−q)(log p − log q) = ½ (p0 − ½)(log p0 − log p1)
    # = ½ (p0 − ½) · 1; divided by C = 2.
    p0 = math.e / (math.e + 1)
    value = run(lambda: losses.global_loss(
        [tf.constant([[2.0, 0.0]])], [tf.constant([0])], tf.constant([[0.0, 0.0]]), tf.constant([0])))
    assert value == pytest.approx(0.5 * (p0 - 0.5) / 2, rel=1e-5)


def test_global_loss_counts_only_classes_present_in_both_domains_and_divides_by_all():
    train, test = random_case(4, 9, 7, absent=(0, 1)), random_case(5, 9, 7, absent=(5, 6))
    build = lambda z: losses.global_loss([z], [tf.constant(train[1])], *map(tf.constant, test))  # noqa: E731
    value, slope = gradient(build, train[0])
    np.testing.assert_allclose(value, numpy_reference.global_loss([train], test, 2.0, 7), rtol=1e-5)
    assert np.all(np.isfinite(slope))
    assert np.all(slope[np.isin(train[1], (5, 6))] == 0.0)


def test_global_loss_is_zero_without_a_common_class():
    value, slope = gradient(
        lambda z: losses.global_loss([z], [tf.constant([0, 0])], tf.zeros([2, 3]), tf.constant([1, 2])),
        np.ones((2, 3), np.float32))
    assert value == 0.0
    assert np.all(slope == 0.0)


def test_global_loss_of_saturated_logits_is_finite():
    logits = np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0]], np.float32)
    value, slope = gradient(
        lambda z: losses.global_loss([z], [tf.constant([0, 1])], -tf.constant(logits), tf.constant([0, 1])), logits)
    assert np.isfinite(value)
    assert np.all(np.isfinite(slope))


@pytest.mark.parametrize("size", [12.0, 25.0, 50.0, 60.0])
def test_losses_of_large_logits_equal_numpy(size):
    # Over a temperature of 2 the smallest probabilities are from 1e-5 down to far below the 1e-8 of the clipping.
    train, test = random_case(21, 9, 5), random_case(22, 9, 5)
    train = (np.sign(train[0]) * size + train[0], train[1])
    test = (np.sign(test[0]) * size - test[0], test[1])
    aligned, apart = run(lambda: [
        losses.global_loss([tf.constant(train[0])], [tf.constant(train[1])], *map(tf.constant, test)),
        losses.task_losses(*map(tf.constant, train))])
    np.testing.assert_allclose(aligned, numpy_reference.global_loss([train], test, 2.0, 5), rtol=1e-5)
    np.testing.assert_allclose(apart, numpy_reference.task_loss(*train), rtol=1e-5, atol=1e-6)


def test_local_loss_equals_numpy():
    random = np.random.RandomState(2)
    embeddings = random.standard_normal((14, 5)).astype(np.float32)
    labels = random.randint(0, 4, 14).astype(np.int32)
    for margin in (0.5, 10.0):
        value = run(lambda: losses.local_loss(tf.constant(embeddings), tf.constant(labels), margin))  # noqa: B023
        np.testing.assert_allclose(value, numpy_reference.local_loss(embeddings, labels, margin), rtol=1e-4)


def test_local_loss_by_hand_takes_the_closest_farther_negative():
    # On a line: a=0, p=1 of class 0; negatives at 2 and 5. d(a,p)=1; from a: 4 and 25 → 4; from p: 1 and 16 → 16
    # (1 is not farther than 1). margin 10: (10+1−4) + max(0, 10+1−16) = 7, over 2 pairs. Class 1 has the pair (2, 5):
    # d = 9; from 2: 4 and 1, none farther → farthest 4 → 15; from 5: 25 and 16, closest farther 16 → 3. Sum 25 / 4.
    value = run(lambda: losses.local_loss(
        tf.constant([[0.0], [1.0], [2.0], [5.0]]), tf.constant([0, 0, 1, 1]), 10.0))
    assert value == pytest.approx((7 + 0 + 15 + 3) / 4, rel=1e-6)


def test_local_loss_without_a_positive_pair_is_zero_and_its_gradient_too():
    value, slope = gradient(lambda e: losses.local_loss(e, tf.constant([0, 1, 2]), 10.0),
                            np.eye(3, dtype=np.float32))
    assert value == 0.0
    assert np.all(slope == 0.0)


def test_local_loss_of_a_single_class_measures_against_distance_zero():
    # Two images at distance 1, no negative at all: margin + 1 − 0.
    value = run(lambda: losses.local_loss(tf.constant([[0.0], [1.0]]), tf.constant([3, 3]), 10.0))
    assert value == pytest.approx(11.0, rel=1e-6)


def test_local_loss_of_identical_embeddings_has_a_finite_gradient():
    value, slope = gradient(lambda e: losses.local_loss(e, tf.constant([0, 0, 1, 1]), 10.0),
                            np.ones((4, 3), np.float32))
    assert value == pytest.approx(10.0, rel=1e-6)
    assert np.all(np.isfinite(slope))


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16])
def test_half_precision_inputs_give_finite_float32_losses(dtype):
    logits, labels = random_case(6, 8, 4, absent=(2,))

    def build():
        z = tf.cast(tf.constant(logits), dtype)
        y = tf.constant(labels)
        return [losses.task_losses(z, y), losses.global_loss([z], [y], z * 2, y), losses.local_loss(z * 100, y, 10.0)]

    for value in run(build):
        assert value.dtype == np.float32
        assert np.all(np.isfinite(value))
