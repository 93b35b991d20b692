"""Several processes compute what one computes on the union of their batches: weights, moments, losses, evaluation."""
from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from masf_core.ranks.collectives import BUCKET, buckets
from masf_core.ranks.one_rank import OneRank
from masf_core.tf1 import tf
from tests.masf_core import toy
from tests.masf_core.ranks import rank_of_toy

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
MASF = {"batch": 14, "iterations": 4, "margin": 1.0, "beta2": 0.1, "meta_task": 0.3}
DEEPALL = {"batch": 14, "iterations": 4, "method": "deepall"}
# A group of 5 images a domain, of which rank 0 has 3 and rank 1 has 2.
UNEVEN = dict(MASF, batch=16, group_pass="separate", update="joint", iterations=3)


def results(directory, size, given):
    """What each of ``size`` processes leaves."""
    processes = [subprocess.Popen(
        [sys.executable, "-m", "tests.masf_core.ranks.rank_of_toy", str(rank), str(size), str(directory),
         json.dumps(given)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True) for rank in range(size)]
    try:
        for process in processes:
            output, _ = process.communicate(timeout=200)
            assert process.returncode == 0, output
    finally:
        for process in processes:
            process.kill()
    return [load(directory, rank, size) for rank in range(size)]


def load(directory, rank, size):
    with np.load(os.path.join(str(directory), f"{rank}-of-{size}.npz")) as arrays:
        return {name: arrays[name] for name in arrays.files}


def check(directory, size, given):
    rank_of_toy.run(0, 1, str(directory), given)
    alone = load(directory, 0, 1)
    first, *others = results(directory, size, given)
    for other in others:
        for name in first:
            np.testing.assert_array_equal(other[name], first[name], err_msg=name)
    np.testing.assert_array_equal(first["confusion"], alone["confusion"])
    np.testing.assert_allclose(first["evaluation"], alone["evaluation"], rtol=1e-5)
    np.testing.assert_allclose(first["losses"], alone["losses"], rtol=1e-5, atol=1e-6)
    moments = [name for name in alone if name.endswith("/m")]
    assert len(moments) >= 4
    for name in moments:  # the sums of all gradients, which Adam has not brought to one size
        np.testing.assert_allclose(
            first[name], alone[name], rtol=0, atol=2e-4 * np.abs(alone[name]).max(), err_msg=name)
    for name in [name for name in alone if name.startswith("state/") and "adam" not in name]:
        np.testing.assert_allclose(first[name], alone[name], rtol=0, atol=2e-3, err_msg=name)  # a fifth of one step


@pytest.mark.slow
@pytest.mark.parametrize("given", [MASF, DEEPALL, UNEVEN], ids=["masf", "deepall", "uneven groups"])
def test_two_processes_equal_one(tmp_path, given):
    check(tmp_path, 2, given)


@pytest.mark.slow
def test_four_processes_equal_one(tmp_path):
    check(tmp_path, 4, dict(MASF, batch=12))


def test_the_batches_of_all_processes_together_are_those_of_one():
    whole = toy.sampler(12).draw(7)
    for rank in range(3):
        part = toy.sampler(12, rank=rank, ranks=3).draw(7)
        np.testing.assert_array_equal(part.images, whole.images[:, rank::3])
        np.testing.assert_array_equal(part.labels, whole.labels[:, rank::3])
        assert part.order == whole.order


@pytest.mark.parametrize("batch, ranks", [(13, 2), (4, 2)])
def test_a_batch_that_cannot_be_dealt_out_is_refused(batch, ranks):
    from masf_core.method.step_settings import check_batch

    with pytest.raises(ValueError, match="meta_batch_size must be a multiple of the number of ranks"):
        check_batch(toy.settings(meta_batch_size=batch), ranks)


def test_shares_add_up():
    for total in (1, 5, 8):
        parts = []
        for rank in range(3):
            one = OneRank()
            one.rank, one.size = rank, 3
            parts.append(one.share(total))
        assert sum(parts) == total and max(parts) - min(parts) <= 1


def test_buckets_keep_their_order_and_size():
    sizes = [5, BUCKET, 3, BUCKET - 3, 1]
    with tf.Graph().as_default():
        items = [(str(place), tf.placeholder(tf.float32, [size])) for place, size in enumerate(sizes)]
        assert [[name for name, _ in group] for group in buckets(items)] == [["0"], ["1"], ["2", "3"], ["4"]]
