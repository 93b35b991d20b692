"""Local checkpoints: whole or not there, and exact."""
from __future__ import annotations

import hashlib
import os

import numpy as np
import pytest

from masf_core.errors import CheckpointError
from masf_core.records import checkpoints
from tests.masf_core import toy
from tests.masf_core.records.samples import progress_at

PROGRESS = progress_at(3, pending=1, lineage="abc")
WEIGHTS = {"a/weights": np.ones((2, 3), np.float32)}


def test_a_saved_model_comes_back_bit_for_bit(tmp_path):
    with toy.model() as model:
        for step in range(3):
            model.step(toy.sampler().draw(step))
        arrays, shapes = model.snapshot(), model.shapes()
    checkpoints.save(str(tmp_path / "ckpt"), arrays, PROGRESS)
    loaded, progress = checkpoints.load(str(tmp_path / "ckpt"))
    checkpoints.check_shapes("ckpt", loaded, shapes)
    assert progress == PROGRESS
    assert set(loaded) == set(arrays)
    for name in arrays:
        np.testing.assert_array_equal(loaded[name], arrays[name], err_msg=name)
    assert any(name.startswith("meta_adam/") and np.any(arrays[name] != 0) for name in arrays)


def test_weights_can_be_read_with_numpy_alone(tmp_path):
    with toy.model() as model:
        arrays = model.snapshot()
        checkpoints.save(str(tmp_path / "ckpt"), arrays, PROGRESS)
    with np.load(str(tmp_path / "ckpt" / "network.npz")) as stored:
        np.testing.assert_array_equal(stored["top/weights"], arrays["top/weights"])


def test_the_digests_are_those_of_the_files(tmp_path):
    digests = checkpoints.save(str(tmp_path / "ckpt"), {"a/weights": np.ones(2), "task_adam/a/m": np.ones(3)}, PROGRESS)
    assert digests == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (tmp_path / "ckpt").iterdir()}
    assert sorted(digests) == ["network.npz", "progress.json", "task_adam.npz"]


def test_a_checkpoint_is_never_written_twice(tmp_path):
    checkpoints.save(str(tmp_path / "ckpt"), WEIGHTS, PROGRESS)
    with pytest.raises(CheckpointError, match="exists already"):
        checkpoints.save(str(tmp_path / "ckpt"), WEIGHTS, PROGRESS)


def test_a_failed_write_leaves_nothing(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match="--work_dir"):
        checkpoints.save(str(tmp_path / "file" / "ckpt"), WEIGHTS, PROGRESS)
    assert os.listdir(str(tmp_path)) == ["file"]


def test_leftovers_of_a_killed_write_do_not_disturb(tmp_path):
    (tmp_path / "ckpt.partial").mkdir()
    (tmp_path / "ckpt.partial" / "network.npz").write_bytes(b"half")
    checkpoints.save(str(tmp_path / "ckpt"), WEIGHTS, PROGRESS)
    assert sorted(os.listdir(str(tmp_path))) == ["ckpt"]


def test_another_network_is_named_by_what_differs(tmp_path):
    arrays = {"a/weights": np.ones((2, 3))}
    checkpoints.check_shapes("ckpt", arrays, {"a/weights": (2, 3)})
    with pytest.raises(CheckpointError, match=r"ckpt .* a/weights \(2, 3\) instead of \(2, 4\)"):
        checkpoints.check_shapes("ckpt", arrays, {"a/weights": (2, 4)})
    with pytest.raises(CheckpointError, match="b/weights"):
        checkpoints.check_shapes("ckpt", arrays, {"a/weights": (2, 3), "b/weights": (1,)})


@pytest.mark.parametrize("name", ["network.npz", "progress.json"])
def test_damage_is_one_clear_error(tmp_path, name):
    checkpoints.save(str(tmp_path / "ckpt"), WEIGHTS, PROGRESS)
    (tmp_path / "ckpt" / name).write_bytes(b"PK\x03\x04 nonsense")
    with pytest.raises(CheckpointError, match="cannot read"):
        checkpoints.load(str(tmp_path / "ckpt"))


@pytest.mark.parametrize("name", ["network.npz", "progress.json"])
def test_whole_files_of_another_checkpoint_are_refused_by_their_digests(tmp_path, name):
    digests = checkpoints.save(str(tmp_path / "ckpt"), WEIGHTS, PROGRESS)
    checkpoints.save(str(tmp_path / "other"), {"a/weights": np.zeros((2, 3), np.float32)},
                     progress_at(4, pending=1))
    assert checkpoints.load(str(tmp_path / "ckpt"), digests)[1] == PROGRESS
    os.replace(str(tmp_path / "other" / name), str(tmp_path / "ckpt" / name))
    checkpoints.load(str(tmp_path / "ckpt"))  # in itself it is whole
    with pytest.raises(CheckpointError, match="SHA-256"):
        checkpoints.load(str(tmp_path / "ckpt"), digests)


SCALE = {"loss_scale/loss_scale": np.float32(64.0), "loss_scale/good_steps": np.int32(3)}


def loaded(tmp_path, arrays):
    checkpoints.save(str(tmp_path / "ckpt"), arrays, PROGRESS)
    return checkpoints.load(str(tmp_path / "ckpt"))[0]


def test_counters_of_the_loss_scale_are_whole_numbers(tmp_path):
    assert set(loaded(tmp_path, dict(WEIGHTS, **SCALE))) == set(WEIGHTS) | set(SCALE)


@pytest.mark.parametrize("kind", ["float64", "float16", ">f4", "int32", "bool", "complex64", "S4", "U4",
                                  "datetime64[s]"])
def test_arrays_of_another_type_are_refused(tmp_path, kind):
    with pytest.raises(CheckpointError, match="a/weights in network.npz is of type .*; expected float32"):
        loaded(tmp_path, {"a/weights": np.zeros((2, 3), kind)})


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 7, 22, 23])
def test_a_value_that_is_not_finite_is_found_wherever_it_is(tmp_path, monkeypatch, value, place):
    monkeypatch.setattr("masf_core.records.finite.PIECE", 5)
    weights = np.zeros(24, np.float32)
    weights[place] = value
    with pytest.raises(CheckpointError, match="a/weights in network.npz holds values that are NaN or infinite"):
        loaded(tmp_path, {"a/weights": np.asfortranarray(weights.reshape(4, 6)), "b/weights": np.ones(1, np.float32)})
