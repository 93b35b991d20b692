"""Session configuration of a device: processor threads, memory growth, precision.

Precision ``mixed`` lets the matrix products run in 16 bits; losses, θ' and optimiser state stay float32.
"""
from __future__ import annotations

from masf_core.tf1 import IS_TF2, VERSION, tf

DEVICES = ("auto", "cpu", "gpu")
PRECISIONS = ("auto", "float32", "mixed")


class DeviceError(ValueError):
    """The device or precision asked for is not to be had here."""


def choose_device(device):
    """``auto`` → ``gpu`` where TensorFlow sees one, otherwise ``cpu``; a device asked for by name must exist.

    Raises:
        DeviceError: unknown, or not present.
    """
    if device not in DEVICES:
        raise DeviceError("device {!r} is not one of {}".format(device, ", ".join(DEVICES)))
    if device == "cpu":
        return "cpu"
    has_gpu = bool(tf.config.experimental.list_physical_devices("GPU"))
    if device == "gpu" and not has_gpu:
        raise DeviceError("device 'gpu' was asked for, but TensorFlow {} sees none; use --device=cpu or auto".format(
            VERSION))
    return "gpu" if has_gpu else "cpu"


def session_config(device, precision="float32", intra_op_threads=0, inter_op_threads=0):
    """The ``tf.ConfigProto`` of a run.

    Args:
        device: ``cpu`` or ``gpu``. precision: one of ``PRECISIONS``. threads: 0 lets TensorFlow take all cores.

    Raises:
        DeviceError: mixed precision where this TensorFlow cannot do it.
    """
    config = tf.ConfigProto(
        intra_op_parallelism_threads=intra_op_threads,
        inter_op_parallelism_threads=inter_op_threads,
        allow_soft_placement=True)
    if device == "cpu":
        config.device_count["GPU"] = 0
    else:
        config.gpu_options.allow_growth = True
    if precision == "mixed":
        rewrite = config.graph_options.rewrite_options
        if device == "gpu":
            raise DeviceError("mixed precision on a GPU needs loss scaling, which this version does not have; "
                              "use --precision=float32")
        if not IS_TF2:
            raise DeviceError("mixed precision on a CPU needs TensorFlow 2.x (oneDNN bfloat16), this is {}; "
                              "use --precision=float32".format(VERSION))
        rewrite.auto_mixed_precision_onednn_bfloat16 = rewrite.ON
    return config
