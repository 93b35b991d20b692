"""Loss scaling: exact where nothing overflows, all or nothing where something does."""
from __future__ import annotations

import math

import numpy as np
import pytest

from masf_core.method.gradients import Gradients
from masf_core.method.loss_scale import LossScale, ScaleSettings
from masf_core.records import checkpoints
from tests.masf_core import toy
from tests.masf_core.devices.half_precision import HalfBackbone, spoilt_model, step, without_scale
from tests.masf_core.method.test_meta_step import iterate
from tests.masf_core.records.samples import progress_at

INF, NAN = math.inf, math.nan
# A training of 14 iterations: where it overflows, in which gradient, and what that is.
OVERFLOWS = {4: dict(task=INF), 5: dict(meta=-INF), 9: dict(meta=NAN)}
# iteration (from 0): loss scale that it ran with, whether it was skipped
TRACE = [
    (0, 1024, 0), (1, 1024, 0), (2, 1024, 0), (3, 2048, 0), (4, 2048, 1), (5, 1024, 1), (6, 512, 0), (7, 512, 0),
    (8, 512, 0), (9, 1024, 1), (10, 512, 0), (11, 512, 0), (12, 512, 0), (13, 1024, 0)]


def assert_equal(found, expected):
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def trained(model, taking, numbers):
    """The scalars of those iterations, some of which overflow."""
    return [step(model, taking, number, **OVERFLOWS.get(number, {})) for number in numbers]


def test_a_scale_changes_no_bit_of_a_training_that_neither_vanishes_nor_overflows():
    with toy.model() as plain, toy.model(taking=Gradients(LossScale(ScaleSettings(growth_steps=2)))) as scaled:
        for number in range(6):
            expected, found = (model.step(toy.sampler().draw(number)) for model in (plain, scaled))
            assert found == dict(expected, loss_scale=2.0 ** (15 + number // 2), skipped=0.0)
        assert_equal(without_scale(scaled.snapshot()), plain.snapshot())


def test_without_a_scale_there_is_nothing_of_it_in_the_graph():
    with toy.model() as model:
        operations = model.session.graph.get_operations()
    assert not [each.name for each in operations
                if each.type in ("IsFinite", "Switch", "Merge", "Bitcast") or "loss_scale" in each.name]


def test_the_trace_of_a_provoked_overflow():
    model, taking = spoilt_model()
    with model:
        scalars = trained(model, taking, range(14))
        counters = {name: value for name, value in model.snapshot().items() if name.startswith("loss_scale/")}
    print("iteration  loss scale  skipped")
    for number, entry in enumerate(scalars):
        print("{:9d}  {:10g}  {:7g}".format(number, entry["loss_scale"], entry["skipped"]))
    assert [(number, each["loss_scale"], each["skipped"]) for number, each in enumerate(scalars)] == TRACE
    assert counters == {"loss_scale/loss_scale": 1024.0, "loss_scale/good_steps": 1, "loss_scale/applied": 11}


@pytest.mark.parametrize("changes", [{}, dict(update="joint"), dict(method="deepall"), dict(beta2=0.0)])
def test_an_overflow_in_one_gradient_leaves_everything_as_it_was(changes):
    gradients = ("task",) if changes.get("method") == "deepall" else ("task", "meta")
    model, taking = spoilt_model(**changes)
    with model:
        assert step(model, taking, 0)["skipped"] == 0.0
        for spoilt in [{gradient: value} for gradient in gradients for value in (INF, -INF, NAN)]:
            before = model.snapshot()
            assert step(model, taking, 1, **spoilt)["skipped"] == 1.0
            after = model.snapshot()
            assert_equal(without_scale(after), without_scale(before))
            assert after["loss_scale/loss_scale"] == before["loss_scale/loss_scale"] / 2.0
        assert step(model, taking, 2)["skipped"] == 0.0
        unmoved = [name for name, value in without_scale(model.snapshot()).items()
                   if np.array_equal(value, before[name]) and np.any(value != 0.0)]
        assert unmoved == []


def test_a_scale_never_falls_below_1_and_a_fixed_one_stays():
    model, taking = spoilt_model(LossScale(ScaleSettings(initial=4.0)))
    with model:
        assert [step(model, taking, i, task=INF)["loss_scale"] for i in range(5)] == [4.0, 2.0, 1.0, 1.0, 1.0]
    model, taking = spoilt_model(LossScale(ScaleSettings(fixed=8.0)))
    with model:
        found = [step(model, taking, i, task=INF if i == 1 else 0.0) for i in range(4)]
        assert [(each["loss_scale"], each["skipped"]) for each in found] == [(8.0, 0), (8.0, 1), (8.0, 0), (8.0, 0)]
        assert model.snapshot()["loss_scale/applied"] == 3


def test_factor_and_back_off_are_those_asked_for():
    model, taking = spoilt_model(LossScale(ScaleSettings(None, 64.0, 2, 8.0, 0.25)))
    with model:
        found = [step(model, taking, i, task=INF if i == 4 else 0.0)["loss_scale"] for i in range(6)]
    assert found == [64.0, 64.0, 512.0, 512.0, 4096.0, 1024.0]


@pytest.mark.parametrize("stop", [5, 10])
def test_a_resumed_run_goes_on_with_the_scale_it_had(tmp_path, stop):
    model, taking = spoilt_model()
    with model:
        whole, final = trained(model, taking, range(14)), model.snapshot()
    model, taking = spoilt_model()
    with model:
        first = trained(model, taking, range(stop))
        checkpoints.save(str(tmp_path / "ckpt"), model.snapshot(), progress_at(stop))
    arrays, _ = checkpoints.load(str(tmp_path / "ckpt"))
    with np.load(str(tmp_path / "ckpt" / "loss_scale.npz")) as stored:
        assert sorted(stored) == ["applied", "good_steps", "loss_scale"]
    model, taking = spoilt_model()
    with model:
        checkpoints.check_shapes("ckpt", arrays, model.shapes())
        model.load(arrays)
        np.testing.assert_equal(first + trained(model, taking, range(stop, 14)), whole)  # NaN equals itself here
        assert_equal(model.snapshot(), final)


def test_a_checkpoint_of_another_precision_is_gone_on_from():
    scaled, taking = spoilt_model()
    with scaled, toy.model() as plain:
        step(scaled, taking, 0)
        step(scaled, taking, 1, task=INF)
        of_scaled, of_plain = scaled.snapshot(), plain.snapshot()
        checkpoints.check_shapes("ckpt", of_scaled, plain.shapes())
        plain.load(of_scaled)
        assert_equal(plain.snapshot(), without_scale(of_scaled))
        checkpoints.check_shapes("ckpt", of_plain, scaled.shapes())
    fresh, _ = spoilt_model()
    with fresh:
        fresh.load(of_plain)
        assert_equal(without_scale(fresh.snapshot()), of_plain)
        assert fresh.snapshot()["loss_scale/loss_scale"] == 1024.0


def half_gradients(scale, depth):
    """The gradients of an iteration whose features' gradients pass through float16, smaller by 2^depth."""
    with toy.model(backbone=HalfBackbone(depth), keep_probability=1.0, margin=1.0, beta2=0.5,
                   taking=Gradients(scale and LossScale(ScaleSettings(fixed=scale)))) as model:
        gradients, scalars, before, after = iterate(model)
    return gradients, scalars, all(np.array_equal(before[name], after[name]) for name in without_scale(before))


def test_a_scale_brings_back_gradients_that_vanish_in_float16():
    with toy.model(keep_probability=1.0, margin=1.0, beta2=0.5) as model:
        exact = iterate(model)[0]
    for kind in ("task", "meta"):
        vanished = half_gradients(None, depth=22)[0][kind]["hidden/weights"]
        restored = half_gradients(2.0 ** 20, depth=22)[0][kind]["hidden/weights"]
        true = exact[kind]["hidden/weights"]
        assert np.linalg.norm(vanished) == 0.0 < np.linalg.norm(true)
        assert np.linalg.norm(restored - true) < 2e-3 * np.linalg.norm(true)


def test_a_scale_that_is_too_large_overflows_float16_and_skips():
    _, scalars, unmoved = half_gradients(2.0 ** 30, depth=0)
    assert scalars["skipped"] == 1.0 and unmoved
    _, scalars, unmoved = half_gradients(2.0 ** 10, depth=0)
    assert scalars["skipped"] == 0.0 and not unmoved


def test_a_dynamic_scale_finds_its_way_down_into_float16():
    with toy.model(backbone=HalfBackbone(0), taking=Gradients(LossScale(ScaleSettings(initial=2.0 ** 32)))) as model:
        found = [model.step(toy.sampler().draw(number)) for number in range(24)]
    skipped = [entry["skipped"] for entry in found]
    assert 5 < sum(skipped) < 20 and skipped[-3:] == [0.0, 0.0, 0.0]
    assert found[-1]["loss_scale"] == 2.0 ** (32 - sum(skipped))
