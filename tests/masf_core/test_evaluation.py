"""Batched evaluation counts every image once, whatever the batch."""
from __future__ import annotations

import numpy as np
import pytest

from tests.masf_core import toy


@pytest.mark.parametrize("batch", [1, 7, 21, 64])
def test_result_does_not_depend_on_the_batch(batch):
    data = toy.evaluation_set(count=21)
    with toy.model(evaluation_batch=1) as model:
        expected = model.evaluate(data.images, data.labels, data.rows)
    with toy.model(evaluation_batch=batch) as model:
        result = model.evaluate(data.images, data.labels, data.rows)
    assert result.accuracy == expected.accuracy
    assert result.loss == pytest.approx(expected.loss, rel=1e-5)
    np.testing.assert_array_equal(result.confusion, expected.confusion)
    assert result.confusion.sum() == 21


def test_only_the_rows_asked_for_count():
    data = toy.evaluation_set(count=21)
    with toy.model() as model:
        result = model.evaluate(data.images, data.labels, data.rows[5:9])
    assert result.confusion.sum() == 4
    np.testing.assert_array_equal(result.confusion.sum(axis=1), np.bincount(data.labels[5:9], minlength=4))


def test_progress_starts_at_zero_and_ends_at_the_total():
    data, calls = toy.evaluation_set(count=21), []
    with toy.model() as model:
        model.evaluate(data.images, data.labels, data.rows, lambda done, total: calls.append((done, total)))
    assert calls[0] == (0, 21) and calls[-1] == (21, 21)


def test_each_image_comes_with_its_loss_and_its_features_in_order():
    data, losses, wrong = toy.evaluation_set(count=21), [], []

    def add(rows, labels, predictions, values):
        np.testing.assert_array_equal(labels, data.labels[rows])
        losses.extend(zip(rows.tolist(), values.tolist()))
        wrong.extend(labels != predictions)

    with toy.model(evaluation_batch=8) as model:
        result = model.evaluate(data.images, data.labels, data.rows, on_losses=add)
        features = model.features(data.images, data.rows)
        one = model.features(data.images, data.rows[9:10])
        assert model.features(data.images, data.rows, wanted=lambda: False) is None
    assert [row for row, _ in losses] == data.rows.tolist()
    assert np.mean([loss for _, loss in losses]) == pytest.approx(result.loss, rel=1e-5)
    assert 100.0 - 100.0 * np.mean(wrong) == pytest.approx(result.accuracy)
    assert features.dtype == np.float32 and len(features) == 21
    np.testing.assert_allclose(features[9], one[0], rtol=1e-5, atol=1e-6)
