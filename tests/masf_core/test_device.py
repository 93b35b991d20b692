"""Which device a run takes, and what its session is told."""
from __future__ import annotations

import os
import sys
import types

import pytest

from masf_core import device
from masf_core.device import DeviceError
from masf_core.tf1 import IS_TF2


@pytest.fixture
def npu_bridge(monkeypatch):
    """The adapter is installed: just enough of it to be found and imported."""
    package, init = types.ModuleType("npu_bridge"), types.ModuleType("npu_bridge.npu_init")
    package.__spec__ = types.SimpleNamespace(name="npu_bridge", loader=None)
    package.__path__ = []
    monkeypatch.setitem(sys.modules, "npu_bridge", package)
    monkeypatch.setitem(sys.modules, "npu_bridge.npu_init", init)


def test_auto_takes_the_adapter_where_it_is_installed(npu_bridge):
    assert device.choose_device("auto") == "ascend"
    assert device.choose_device("cpu") == "cpu"


def test_a_device_that_is_not_there_is_refused_by_name():
    assert device.choose_device("auto") == "cpu"
    for name in ("ascend", "gpu"):
        with pytest.raises(DeviceError, match=name):
            device.choose_device(name)
    with pytest.raises(DeviceError, match="cpu, gpu, ascend"):
        device.choose_device("tpu")


def test_the_drivers_complaint_is_shown_only_to_who_asked_for_a_gpu(monkeypatch, capfd):
    monkeypatch.setattr(device.tf.config.experimental, "list_physical_devices",
                        lambda kind: os.write(2, b"no driver") and [])
    assert device.choose_device("auto") == "cpu"
    assert "no driver" not in capfd.readouterr().err
    with pytest.raises(DeviceError):
        device.choose_device("gpu")
    assert "no driver" in capfd.readouterr().err


def test_ascend_options_have_the_names_and_types_that_the_adapter_knows(npu_bridge):
    config = device.session_config("ascend", "auto")
    rewrite = config.graph_options.rewrite_options
    (optimizer,) = rewrite.custom_optimizers
    assert optimizer.name == "NpuOptimizer"
    assert {name: value.WhichOneof("value") for name, value in optimizer.parameter_map.items()} == {
        "use_off_line": "b", "graph_run_mode": "i", "precision_mode": "s"}
    assert optimizer.parameter_map["precision_mode"].s == b"must_keep_origin_dtype"
    assert (rewrite.remapping, rewrite.memory_optimization) == (rewrite.OFF, rewrite.OFF)
    chosen = device.session_config("ascend", "auto", precision_mode="allow_mix_precision")
    assert chosen.graph_options.rewrite_options.custom_optimizers[0].parameter_map["precision_mode"].s == (
        b"allow_mix_precision")


def test_mixed_precision_without_its_loss_scaling_is_refused(npu_bridge):
    for name in ("ascend", "gpu"):
        with pytest.raises(DeviceError, match="loss scaling"):
            device.session_config(name, "mixed")


def test_mixed_precision_on_a_cpu_is_tensorflow_2s():
    if IS_TF2:
        config = device.session_config("cpu", "mixed")
        rewrite = config.graph_options.rewrite_options
        assert rewrite.auto_mixed_precision_onednn_bfloat16 == rewrite.ON
    else:
        with pytest.raises(DeviceError, match="TensorFlow 2"):
            device.session_config("cpu", "mixed")


def test_threads_and_the_adapters_mode_elsewhere():
    config = device.session_config("cpu", intra_op_threads=3, inter_op_threads=2)
    assert (config.intra_op_parallelism_threads, config.inter_op_parallelism_threads) == (3, 2)
    with pytest.raises(DeviceError, match="precision_mode"):
        device.session_config("cpu", precision_mode="force_fp16")
