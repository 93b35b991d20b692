"""From the configuration to data and network: nothing that was set is lost on the way."""
from __future__ import annotations

import os
from types import SimpleNamespace

import numpy as np
import pytest

from job import preparation
from job.config.settings import config_of, settings
from job.errors import ConfigError
from masf_core.data import build_index
from masf_core.data.offences import Offences
from masf_core.devices.ascend.options import AscendSettings
from masf_core.devices.gpu import Gpu
from masf_core.records.npz import write_npz
from masf_core.errors import DataError, WeightsError
from masf_core.method.loss_scale import ScaleSettings
from masf_core.method.meta_step import StepSettings
from masf_core.network.kernels import Kernels
from masf_core.network.registry import BACKBONES, Entry
from masf_core.network.squeezenet import SqueezeNet
from obs_sync import LocalStore
from tests.masf_core import toy
from tests.masf_core.data.datasets import CLASSES, save_image, write_folders, write_lists

# No setting of an iteration at its default, and no two of the same kind alike.
OTHER = {
    "meta_batch_size": 5, "inner_lr": 0.01, "outer_lr": 0.02, "meta_lr": 0.025, "metric_lr": 0.03, "margin": 4.0,
    "gradients_clip_value": 5.0, "temperature": 6.0, "beta1": 0.7, "beta2": 0.8, "meta_task": 0.9,
    "keep_probability": 0.4, "method": "deepall", "episodic": False, "update": "joint", "group_pass": "separate",
    "metric_hidden": 11, "metric_embedding": 12, "metric_normalise": True,
    "frozen_layers": ("conv1",), "train_batch_norm": False}


class Small(toy.TinyBackbone):
    """Takes images of another side than the other networks."""

    image_size = 64

    def __init__(self, num_classes, width=1.0, kernels=None):
        super().__init__(num_classes, width, kernels)

    def shapes(self):
        return dict(super().shapes(), **{"hidden/weights": (64 * 64 * 3, 6)})


def run_of(tmp_path, **values):
    """As much of a ``Run`` as preparing takes."""
    return SimpleNamespace(
        config=config_of(values), times=SimpleNamespace(mark=lambda name: None),
        console=SimpleNamespace(task=lambda *_: None),
        workspace=SimpleNamespace(log=lambda name: str(tmp_path / name), decoded=str(tmp_path / "decoded")),
        record=SimpleNamespace(content={}, update=lambda **_: None), store=None)


def build(run, index):
    return preparation.build_model(run, preparation.device_of(run.config), index)


@pytest.fixture
def built(monkeypatch):
    """What build_model asks for, and nothing of it made."""
    asked = {}

    def model(*arguments, **keywords):
        asked["model"] = arguments

    def make_device(*arguments):
        asked["device"] = arguments
        return Gpu()

    monkeypatch.setattr(preparation, "Model", model)
    monkeypatch.setattr(preparation.choice, "make_device", make_device)
    return asked


def test_every_setting_of_an_iteration_reaches_it(built, tmp_path):
    unset = StepSettings(meta_batch_size=settings()["meta_batch_size"].default, source_domains=3)
    assert set(OTHER) == set(StepSettings._fields) - {"source_domains"}
    assert [name for name, value in OTHER.items() if value == getattr(unset, name)] == []
    build(run_of(tmp_path, **OTHER), SimpleNamespace(classes="abcd", domains=[1, 2, 3, 4, 5]))
    _, found, _, _, _ = built["model"]
    assert found == StepSettings(source_domains=4, **OTHER)


def test_defaults_of_the_settings_are_those_of_the_iteration(built, tmp_path):
    build(run_of(tmp_path), SimpleNamespace(classes="abcd", domains=[1, 2, 3, 4]))
    assert built["model"][1] == StepSettings(meta_batch_size=126, source_domains=3)


def test_the_frozen_layers_are_named_and_warned_of_where_they_are_random(built, tmp_path, caplog):
    caplog.set_level("INFO")
    index = SimpleNamespace(classes="abcd", domains=[1, 2, 3, 4])
    build(run_of(tmp_path, backbone="resnet18", frozen_layers=("conv1",), weights_path="a.pth"), index)
    assert "these layers are not trained: conv1, bn1" in caplog.text and "WARNING" not in caplog.text
    build(run_of(tmp_path, backbone="resnet18", frozen_layers=("conv1",), weights_path="none"), index)
    assert "WARNING" in caplog.text and "the frozen layers keep random values" in caplog.text
    build(run_of(tmp_path, meta_lr=1e-6, update="joint", weights_path="none"), index)
    assert "meta_lr=1e-06 has no effect: update=joint" in caplog.text


def test_the_network_and_its_session_are_those_asked_for(built, tmp_path):
    build(
        run_of(tmp_path, backbone="squeezenet", width=0.25, evaluation_batch=17, seed=23, device="gpu",
               precision="mixed", intra_op_threads=3, inter_op_threads=2, precision_mode="mode", profile_dir="/p",
               overflow_dump_dir="/o", compile_cache_dir="/c", mix_list="/m", ascend_options=("a=1",), loss_scale=8.0,
               loss_scale_initial=16.0, loss_scale_growth_steps=5, loss_scale_factor=4.0, loss_scale_backoff=0.25),
        SimpleNamespace(classes="abcde", domains=[1, 2, 3]))
    backbone, _, evaluation_batch, _, seed = built["model"]
    assert type(backbone) is SqueezeNet and (backbone.width, backbone.num_classes) == (0.25, 5)
    assert type(backbone.kernels) is Kernels  # a processor's are others
    assert (evaluation_batch, seed) == (17, 23)
    assert built["device"] == ("gpu", "mixed", "mode", 3, 2, AscendSettings("/p", "/o", "/c", "/m", ("a=1",)),
                               ScaleSettings(8.0, 16.0, 5, 4.0, 0.25))


def test_options_of_ascend_are_named_where_they_are_not_used(built, tmp_path, caplog):
    caplog.set_level("INFO")
    preparation.device_of(config_of({"profile_dir": "/p", "ascend_options": ("op_debug_level=1",)}))
    assert "profile_dir, ascend_options: only Ascend uses these settings, and the device is gpu" in caplog.text


def test_images_are_decoded_to_the_side_that_the_network_takes(tmp_path, monkeypatch):
    monkeypatch.setitem(BACKBONES, "small", Entry(*[__name__ + ":Small"] * 2))
    write_folders(tmp_path / "data")
    run = run_of(tmp_path, backbone="small", target_domain="clip", meta_batch_size=3, evaluation_batch=4, device="cpu")
    index, images = preparation.prepare_data(
        run, SimpleNamespace(dataroot=str(tmp_path / "data"), filelist_root=None))
    assert {name: array.shape for name, array in images.items()} == {
        name: (12, 64, 64, 3) for name in ("clip", "photo", "sketch")}
    with build(run, index) as model:
        model.initialise()
        clip = index.domain("clip")
        assert model.evaluate(images["clip"], clip.labels, np.arange(12)).confusion.sum() == 12


def test_run_json_and_the_log_say_what_the_images_are_for(tmp_path, caplog):
    caplog.set_level("INFO")
    write_folders(tmp_path / "data")
    run, told = run_of(tmp_path, target_domain="clip", meta_batch_size=3, seed=7), {}
    run.record.update = told.update
    index = preparation.index_data(run.config, str(tmp_path / "data"), None)
    preparation.note_data(run, index)
    assert told["data"]["use"] == {"train": 18, "validation": 6, "target": 12}
    assert told["data"]["split"] == "no lists: folders split 90/10 by seed 7" and told["data"]["lists"] == []
    assert ("18 images to train on, 6 for validation, 12 of clip to test on (no lists: folders split 90/10 by seed 7)"
            in caplog.text)


def test_lines_at_fault_are_told_rather_than_that_too_few_images_are_left(tmp_path):
    write_folders(tmp_path / "data")
    write_lists(tmp_path / "data")
    for line in range(8):
        os.unlink(str(tmp_path / "data" / "photo" / CLASSES[line % 3] / f"{line // 3}.png"))
    config = run_of(tmp_path, target_domain="clip", meta_batch_size=3).config
    with pytest.raises(DataError, match="16 x missing file"):  # in the train list and in the test list
        preparation.index_data(config, str(tmp_path / "data"), str(tmp_path / "data"), pending=Offences())


@pytest.mark.parametrize("known, taken", [(None, True), ("same", True), ("others", False)])
def test_a_classifier_of_other_classes_begins_afresh(tmp_path, caplog, known, taken):
    write_folders(tmp_path / "data")
    config = run_of(tmp_path, target_domain="photo", meta_batch_size=2, width=0.05).config
    index = preparation.index_data(config, str(tmp_path / "data"), None)
    network = preparation.make_backbone("alexnet", len(index.classes), 0.05)
    with open(str(tmp_path / "network.npz"), "wb") as stream:
        write_npz(stream, {name: np.zeros(shape, np.float32) for name, shape in network.shapes().items()})
    classes = {"same": list(index.classes), "others": ["other " + name for name in index.classes]}.get(known)
    values = preparation.InitialWeights(config, str(tmp_path / "network.npz"), classes).read(index)
    assert ("fc8/weights" in values) is taken and "conv1/weights" in values
    assert ("is initialised again" in caplog.text) is not taken


def test_weights_that_do_not_fit_are_told_before_any_image_is_decoded(tmp_path):
    write_folders(tmp_path / "data")
    np.savez(str(tmp_path / "weights.npz"), conv1_W=np.zeros((3, 3, 3, 4), np.float32), conv1_b=np.zeros(4, np.float32))
    run = run_of(tmp_path, target_domain="photo", meta_batch_size=2)
    inputs = SimpleNamespace(dataroot=str(tmp_path / "data"), filelist_root=None, weights=str(tmp_path / "weights.npz"))
    with pytest.raises(WeightsError, match="conv1/weights: expected shape .*found .3, 3, 3, 4."):
        preparation.prepare_data(run, inputs, preparation.InitialWeights(run.config, inputs.weights).read)
    assert not (tmp_path / "decoded").exists()


def record_of(index, **more):
    return {"run_name": "a", "data": dict({
        "fingerprint": index.fingerprint, "classes": list(index.classes),
        "images": {domain.name: len(domain.used) for domain in index.domains}}, **more)}


@pytest.mark.parametrize("kept", [True, False])
def test_a_run_whose_data_changed_is_told_what_changed(tmp_path, kept):
    write_folders(tmp_path / "data")
    (tmp_path / "store").mkdir()
    run = run_of(tmp_path, target_domain="photo")
    run.store = LocalStore(str(tmp_path / "store"))
    begun = build_index(str(tmp_path / "data"))
    preparation.note_data(run, begun)
    if kept:  # as the publisher does with the logs
        run.store.upload(str(tmp_path / "images.json.gz"), "images.json.gz")
    run.record.content = record_of(begun)
    preparation.note_data(run, begun)
    save_image(tmp_path / "data" / "photo" / "bee" / "new.png")
    with pytest.raises(ConfigError) as caught:
        preparation.note_data(run, build_index(str(tmp_path / "data")))
    detail = " (1 added: photo/bee/new.png)" if kept else ""
    assert str(caught.value).startswith(
        f"The images changed since this run began: photo has 13 images instead of 12{detail}. Restore the")


def test_the_numbers_that_are_recorded_are_those_of_the_images_in_use(tmp_path):
    write_folders(tmp_path / "data")
    (tmp_path / "data" / "photo" / "bee" / "1.png").write_bytes(b"damaged")
    told = {}
    run = run_of(tmp_path, target_domain="clip", meta_batch_size=2, bad_data="skip", width=0.05)
    run.record = SimpleNamespace(content={}, update=lambda **fields: told.update(fields))
    inputs = SimpleNamespace(dataroot=str(tmp_path / "data"), filelist_root=None)
    index, _ = preparation.prepare_data(run, inputs)
    preparation.note_data(run, index)
    assert told["data"]["images"] == {"clip": 12, "photo": 11, "sketch": 12}
    assert "photo 11, sketch 12" in preparation.summary(index, "clip")
