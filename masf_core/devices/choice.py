"""Which device a run takes, and which engine carries the collectives of several."""
from __future__ import annotations

import importlib.util
from typing import Any, Optional

from masf_core.devices.ascend.options import AscendSettings
from masf_core.devices.bfloat16 import narrows_products
from masf_core.devices.cpu import Cpu
from masf_core.devices.device import Device, DeviceError
from masf_core.devices.gpu import Gpu
from masf_core.method.loss_scale import ScaleSettings
from masf_core.ranks.collectives import Collectives
from masf_core.tf1 import VERSION, native_stderr_held_back, tf

DEVICES = ("auto", "cpu", "gpu", "ascend")


def choose_device(name: str) -> str:
    """``auto`` → ``ascend`` where its adapter is installed, else ``gpu`` where TensorFlow sees one, else ``cpu``.

    Raises:
        DeviceError: the name is unknown, or the device that it names is not present.
    """
    if name not in DEVICES:
        raise DeviceError(f"device {name!r} is not one of {', '.join(DEVICES)}")
    if name == "cpu":
        return "cpu"
    if name in ("auto", "ascend") and importlib.util.find_spec("npu_bridge") is not None:
        return "ascend"
    if name == "ascend":
        raise DeviceError("device=ascend, but the adapter npu_bridge is not installed; ModelArts' Ascend images have "
                          "it. Use --device=auto elsewhere")
    # The driver's message that there is no GPU is printed only where a GPU was asked for.
    with native_stderr_held_back():
        has_gpu = bool(tf.config.experimental.list_physical_devices("GPU"))
        if name == "gpu" and not has_gpu:
            raise DeviceError(f"device=gpu, but TensorFlow {VERSION} finds no GPU; use --device=cpu or --device=auto")
    return "gpu" if has_gpu else "cpu"


def make_device(name: str = "auto", precision: str = "auto", precision_mode: Optional[str] = None,
                intra_op_threads: int = 0, inter_op_threads: int = 0, ascend: Optional[AscendSettings] = None,
                scaling: Optional[ScaleSettings] = None) -> Device:
    """The ``Device`` of that name.

    Args:
        name: one of ``DEVICES``. precision_mode: the Ascend adapter's own, overrides precision there.
        ascend: ``ascend_options.AscendSettings``, which other devices have no use for.
        scaling: ``loss_scale.ScaleSettings``, for mixed precision of float16's range.

    Raises:
        DeviceError: the device is not present, it does not offer the precision, or the adapter does not know an option.
    """
    kind = choose_device(name)
    if kind == "ascend":
        from masf_core.devices.ascend.device import Ascend

        made = Ascend(precision, intra_op_threads, inter_op_threads, precision_mode, ascend)
    elif precision_mode is not None:
        raise DeviceError(f"precision_mode={precision_mode} is an option of the Ascend adapter, but this run is on "
                          f"{kind}; use --precision instead")
    else:
        made = {"cpu": Cpu, "gpu": Gpu}[kind](precision, intra_op_threads, inter_op_threads)
        if kind == "cpu" and made.mixed and not narrows_products(made.session_config()):
            raise DeviceError("mixed precision on a CPU needs products in bfloat16, which oneDNN computes from AVX-512 "
                              "on. This processor lacks AVX-512, or ONEDNN_MAX_CPU_ISA forbids it; use "
                              "--precision=float32")
    made.scaling = scaling or made.scaling
    return made


def make_collectives(device: str, peers: Any) -> Collectives:
    """The engine for a device, ``cpu``, ``gpu`` or ``ascend``: HCCL on Ascend, elsewhere TensorFlow's own runtime."""
    if device == "ascend":
        from masf_core.devices.ascend.collectives import HcclCollectives

        return HcclCollectives(peers)
    from masf_core.ranks.runtime import RuntimeCollectives

    return RuntimeCollectives(peers)
