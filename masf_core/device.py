"""Session configuration of a device: processor threads, memory growth, precision, the Ascend adapter's options.

Precision ``mixed`` lets the matrix products run in 16 bits; losses, θ' and optimiser state stay float32.
"""
from __future__ import annotations

import importlib
import importlib.util

from masf_core.errors import MasfError
from masf_core.tf1 import IS_TF2, VERSION, native_stderr_held_back, tf

DEVICES = ("auto", "cpu", "gpu", "ascend")
PRECISIONS = ("auto", "float32", "mixed")


class DeviceError(MasfError, ValueError):
    """The device or precision asked for is not to be had here."""


def choose_device(device):
    """``auto`` → ``ascend`` where its adapter is installed, else ``gpu`` where TensorFlow sees one, else ``cpu``.

    Raises:
        DeviceError: unknown, or asked for by name and not present.
    """
    if device not in DEVICES:
        raise DeviceError("device {!r} is not one of {}".format(device, ", ".join(DEVICES)))
    if device == "cpu":
        return "cpu"
    if device in ("auto", "ascend") and importlib.util.find_spec("npu_bridge") is not None:
        return "ascend"
    if device == "ascend":
        raise DeviceError("device 'ascend' was asked for, but the adapter npu_bridge is not installed; the Ascend "
                          "images of ModelArts have it. Use --device=auto elsewhere")
    # The driver's complaint that there is no GPU is news only to who asked for one: then it is printed after all.
    with native_stderr_held_back():
        has_gpu = bool(tf.config.experimental.list_physical_devices("GPU"))
        if device == "gpu" and not has_gpu:
            raise DeviceError("device 'gpu' was asked for, but TensorFlow {} sees none; use --device=cpu or "
                              "auto".format(VERSION))
    return "gpu" if has_gpu else "cpu"


def session_config(device, precision="float32", intra_op_threads=0, inter_op_threads=0, precision_mode=None):
    """The ``tf.ConfigProto`` of a run.

    Args:
        device: ``cpu``, ``gpu`` or ``ascend``. precision: one of ``PRECISIONS``; auto is float32.
        threads: 0 lets TensorFlow take all cores. precision_mode: the Ascend adapter's own, overrides precision.

    Raises:
        DeviceError: mixed precision where it cannot be done.
    """
    config = tf.ConfigProto(
        intra_op_parallelism_threads=intra_op_threads,
        inter_op_parallelism_threads=inter_op_threads,
        allow_soft_placement=True)
    if device == "ascend":
        _add_npu_optimizer(config, precision, precision_mode)
        return config
    if precision_mode is not None:
        raise DeviceError("precision_mode={} is the Ascend adapter's, and this run is on {}; use --precision".format(
            precision_mode, device))
    if device == "cpu":
        config.device_count["GPU"] = 0
    else:
        config.gpu_options.allow_growth = True
    if precision == "mixed":
        if device == "gpu":
            raise DeviceError("mixed precision on a GPU needs loss scaling, which this version does not have; "
                              "use --precision=float32")
        if not IS_TF2:
            raise DeviceError("mixed precision on a CPU needs TensorFlow 2.x (oneDNN bfloat16), this is {}; "
                              "use --precision=float32".format(VERSION))
        rewrite = config.graph_options.rewrite_options
        rewrite.auto_mixed_precision_onednn_bfloat16 = rewrite.ON
    return config


def _add_npu_optimizer(config, precision, precision_mode):
    """Hand the graph to the Ascend adapter. It ignores options of unknown name or wrong type, so each is spelt here."""
    if precision == "mixed" and precision_mode is None:
        raise DeviceError("precision=mixed on Ascend needs loss scaling, which this version does not have. Use "
                          "--precision=float32, or --precision_mode=allow_mix_precision to take it without")
    # Importing registers the adapter with TensorFlow.
    importlib.import_module("npu_bridge.npu_init")
    rewrite = config.graph_options.rewrite_options
    optimizer = rewrite.custom_optimizers.add()
    optimizer.name = "NpuOptimizer"
    optimizer.parameter_map["use_off_line"].b = True
    optimizer.parameter_map["graph_run_mode"].i = 1  # training
    optimizer.parameter_map["precision_mode"].s = (precision_mode or "must_keep_origin_dtype").encode("ascii")
    # Grappler's own rewrites produce nodes that the adapter's compiler does not take.
    rewrite.remapping = rewrite.OFF
    rewrite.memory_optimization = rewrite.OFF
