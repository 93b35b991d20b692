from __future__ import annotations

import numpy as np
import pytest

from masf_core.data.split import stratified_split


def names_and_labels(counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    return [f"c{label}/{i:03d}" for i, label in enumerate(labels)], labels


def test_a_tenth_of_each_class_is_validated_on():
    names, labels = names_and_labels([100, 37, 20])
    train, validation = stratified_split(names, labels, "art", 0.1, seed=0)
    assert np.bincount(labels[validation]).tolist() == [10, 4, 2]
    assert sorted(np.concatenate([train, validation])) == list(range(157))


def test_every_class_of_two_or_more_has_some_on_both_sides():
    names, labels = names_and_labels([1, 2, 3, 9])
    for fraction, expected in ((0.01, [0, 1, 1, 1]), (0.99, [0, 1, 2, 8])):
        _, validation = stratified_split(names, labels, "art", fraction, seed=1)
        assert np.bincount(labels[validation], minlength=4).tolist() == expected


def test_the_order_on_disk_does_not_matter():
    names, labels = names_and_labels([30, 11])
    shuffled = np.random.RandomState(3).permutation(len(names))
    _, validation = stratified_split(names, labels, "art", 0.2, seed=5)
    _, other = stratified_split([names[i] for i in shuffled], labels[shuffled], "art", 0.2, seed=5)
    assert {names[i] for i in validation} == {names[shuffled[i]] for i in other}


def test_seed_and_domain_make_another_split():
    names, labels = names_and_labels([50])
    splits = {tuple(stratified_split(names, labels, domain, 0.2, seed)[1])
              for domain in ("art", "photo") for seed in (0, 1)}
    assert len(splits) == 4


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1])
def test_a_fraction_that_leaves_one_side_empty_is_refused(fraction):
    with pytest.raises(ValueError, match="validation_fraction"):
        stratified_split(["a", "b"], np.array([0, 0]), "art", fraction, seed=0)
