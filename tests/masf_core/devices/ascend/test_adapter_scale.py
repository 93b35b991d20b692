"""Loss scaling through the Ascend adapter's optimiser, on the stand-in: one reading of the status, one decision."""
from __future__ import annotations

import importlib

import numpy as np
import pytest

from masf_core.method.gradients import Gradients
from masf_core.method.loss_scale import AdapterScale, ScaleSettings
from masf_core.tf1 import tf
from tests.masf_core import toy
from tests.masf_core.devices.ascend import stand_in
from tests.masf_core.devices.half_precision import without_scale


@pytest.fixture
def fake(monkeypatch):
    with stand_in.npu_bridge(monkeypatch, "r1.5") as installed:
        yield installed


def scaled_model(**settings):
    """By default with a scale of 1024 that grows after 3 iterations."""
    adapter = importlib.import_module("npu_bridge.npu_init")
    return toy.model(taking=Gradients(AdapterScale(
        adapter, ScaleSettings(**(settings or dict(initial=1024.0, growth_steps=3))))))


def steps(model, numbers):
    return [model.step(toy.sampler().draw(number)) for number in numbers]


def test_the_status_decides_once_for_all_updates_and_the_scale_follows(fake):
    with toy.model() as plain, scaled_model() as model:
        fake.overflow_in(4, 5, 9)  # readings, of which there is one an iteration
        found = steps(model, range(4))
        # The stand-in looks at products, which then are not fused with what follows: a matter of rounding.
        for entry, expected in zip(found, steps(plain, range(4))):
            assert {name: entry[name] for name in expected} == pytest.approx(expected, rel=1e-4)
        before = model.snapshot()
        found += steps(model, (4, 5))
        np.testing.assert_equal(without_scale(model.snapshot()), without_scale(before))
        found += steps(model, range(6, 14))
    # As of the scale with a finite check: the counters are the adapter's, their meaning is the same.
    assert [(entry["loss_scale"], entry["skipped"]) for entry in found] == [
        (1024, 0), (1024, 0), (1024, 0), (2048, 0), (2048, 1), (1024, 1), (512, 0), (512, 0), (512, 0), (1024, 1),
        (512, 0), (512, 0), (512, 0), (1024, 0)]


def test_a_resumed_run_goes_on_with_the_adapters_counters(fake):
    with scaled_model() as model:
        fake.overflow_in(3)
        whole, final = steps(model, range(9)), model.snapshot()
    assert {name for name in final if name.startswith("loss_scale/")} == {
        "loss_scale/" + name for name in ("loss_scale", "good_steps", "bad_steps", "applied")}
    with scaled_model() as model:
        fake.overflow_in(3)
        first, arrays = steps(model, range(5)), model.snapshot()
    with scaled_model() as model:
        fake.overflow_in()
        model.load(arrays)
        assert first + steps(model, range(5, 9)) == whole
        np.testing.assert_equal(model.snapshot(), final)


@pytest.mark.parametrize("release", ["r1.5", "r1.9", "master"])
def test_a_status_register_is_allocated_where_the_release_has_to(monkeypatch, release):
    with stand_in.npu_bridge(monkeypatch, release) as fake, scaled_model() as model:
        fake.overflow_in(1)
        assert [entry["skipped"] for entry in steps(model, range(3))] == [0, 1, 0]


def test_the_stand_in_refuses_what_would_see_no_overflow(fake):
    adapter = importlib.import_module("npu_bridge.npu_init")
    with tf.Graph().as_default():
        wrapper = adapter.NPULossScaleOptimizer(tf.train.GradientDescentOptimizer(1.0),
                                                adapter.FixedLossScaleManager(8.0))
        with pytest.raises(RuntimeError, match="no status register"):
            wrapper.apply_gradients([])


def test_a_fixed_scale_stays_and_skips(fake):
    with scaled_model(fixed=64.0) as model:
        fake.overflow_in(1)
        found = steps(model, range(3))
        assert [(entry["loss_scale"], entry["skipped"]) for entry in found] == [(64, 0), (64, 1), (64, 0)]
        assert model.snapshot()["loss_scale/applied"] == 2


def test_products_beyond_float16_are_noticed_by_the_status_where_nothing_is_infinite(fake):
    with scaled_model(initial=2.0 ** 32) as model:
        found = steps(model, range(24))
    assert found[0]["skipped"] == 1.0 and found[-1]["skipped"] == 0.0
    assert all(np.isfinite(list(entry.values())).all() for entry in found)
