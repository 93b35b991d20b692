"""What computes, behind one interface: a processor, a GPU, an Ascend 910.

A ``Device`` answers everything that differs between them: the session's configuration, the precision of matrix
products, the kernels (dropout among them), how losses are scaled, who the other ranks are.

| precision | Ascend | GPU | processor, TF 2.x | processor, TF 1.15 |
|-|-|-|-|-|
| float32 | must_keep_origin_dtype | as is | as is | as is |
| mixed | allow_mix_precision | grappler's float16 | grappler's bfloat16 (oneDNN) | refused |

Losses, θ' and optimiser state stay float32. Whatever has float16's range needs its losses scaled.
"""
from __future__ import annotations

import importlib.util

from masf_core.errors import MasfError
from masf_core.gradients import Gradients
from masf_core.loss_scale import DYNAMIC, LossScale, NoScale
from masf_core.network.kernels import Kernels, processor_kernels
from masf_core.ranks import OneRank
from masf_core.tf1 import IS_TF2, VERSION, native_stderr_held_back, tf

DEVICES = ("auto", "cpu", "gpu", "ascend")
PRECISIONS = ("auto", "float32", "mixed")


class DeviceError(MasfError, ValueError):
    """The device or precision asked for is not to be had here."""


class Device:
    """What the three have in common.

    Args:
        precision: one of ``PRECISIONS``. intra_op_threads, inter_op_threads: 0 lets TensorFlow take all cores.

    Attributes:
        name: ``cpu``, ``gpu`` or ``ascend``. mixed: matrix products are in 16 bits. scaling: ``ScaleSettings``.

    Raises:
        DeviceError: mixed precision where it cannot be done.
    """

    name = ""
    automatic_precision = "float32"

    def __init__(self, precision="auto", intra_op_threads=0, inter_op_threads=0):
        if precision not in PRECISIONS:
            raise DeviceError("precision {!r} is not one of {}".format(precision, ", ".join(PRECISIONS)))
        self.mixed = (self.automatic_precision if precision == "auto" else precision) == "mixed"
        self.scaling = DYNAMIC
        self._threads = intra_op_threads, inter_op_threads

    def session_config(self, ranks=None):
        """The ``tf.ConfigProto`` of a run; it also says which card is taken. ranks: those of the run, one by default.
        """
        intra_op, inter_op = self._threads
        return tf.ConfigProto(
            intra_op_parallelism_threads=intra_op, inter_op_parallelism_threads=inter_op, allow_soft_placement=True)

    def kernels(self):
        """How the arithmetic of a layer is asked for: ``Kernels``."""
        return Kernels(self.mixed)

    def loss_scale(self, ranks):
        """How losses are scaled for this precision; see ``loss_scale``. ranks: those of the run."""
        return NoScale()

    def ranks(self):
        """The processes of the run, this one among them; see ``ranks``."""
        return OneRank()

    def gradients(self, ranks=None):
        """How gradients are taken and applied here. ranks: those of the run, if they are made already."""
        ranks = ranks or self.ranks()
        return Gradients(self.loss_scale(ranks), ranks, self.kernels().keeping_float32)

    def describe(self):
        """A word or two for the log."""
        return self.name + (" in mixed precision" if self.mixed else "")


class Cpu(Device):
    """A processor. Its bfloat16 has float32's range: nothing needs scaling."""

    name = "cpu"

    def __init__(self, precision="auto", intra_op_threads=0, inter_op_threads=0):
        super().__init__(precision, intra_op_threads, inter_op_threads)
        if self.mixed and not IS_TF2:
            raise DeviceError("mixed precision on a CPU needs TensorFlow 2.x (oneDNN bfloat16), this is {}; "
                              "use --precision=float32".format(VERSION))

    def session_config(self, ranks=None):
        config = super().session_config(ranks)
        config.device_count["GPU"] = 0
        if self.mixed:
            rewrite = config.graph_options.rewrite_options
            rewrite.auto_mixed_precision_onednn_bfloat16 = rewrite.ON
        return config

    def kernels(self):
        return processor_kernels(self.mixed)


class Gpu(Device):
    """A GPU; its memory is taken as it is needed."""

    name = "gpu"

    def session_config(self, ranks=None):
        config = super().session_config(ranks)
        config.gpu_options.allow_growth = True
        if IS_TF2:
            # TensorFlow 2 lets float32 products of newer cards run in TF32, whose mantissa has float16's ten bits.
            # Who asks for float32 gets it. It is a setting of the process, and so made before the session.
            tf.config.experimental.enable_tensor_float_32_execution(self.mixed)
        if self.mixed:
            rewrite = config.graph_options.rewrite_options
            rewrite.auto_mixed_precision = rewrite.ON
        return config

    def loss_scale(self, ranks):
        return LossScale(self.scaling) if self.mixed else NoScale()


def choose_device(name):
    """``auto`` → ``ascend`` where its adapter is installed, else ``gpu`` where TensorFlow sees one, else ``cpu``.

    Raises:
        DeviceError: unknown, or asked for by name and not present.
    """
    if name not in DEVICES:
        raise DeviceError("device {!r} is not one of {}".format(name, ", ".join(DEVICES)))
    if name == "cpu":
        return "cpu"
    if name in ("auto", "ascend") and importlib.util.find_spec("npu_bridge") is not None:
        return "ascend"
    if name == "ascend":
        raise DeviceError("device 'ascend' was asked for, but the adapter npu_bridge is not installed; the Ascend "
                          "images of ModelArts have it. Use --device=auto elsewhere")
    # The driver's complaint that there is no GPU is news only to who asked for one: then it is printed after all.
    with native_stderr_held_back():
        has_gpu = bool(tf.config.experimental.list_physical_devices("GPU"))
        if name == "gpu" and not has_gpu:
            raise DeviceError("device 'gpu' was asked for, but TensorFlow {} sees none; use --device=cpu or "
                              "auto".format(VERSION))
    return "gpu" if has_gpu else "cpu"


def make_device(name="auto", precision="auto", precision_mode=None, intra_op_threads=0, inter_op_threads=0,
                ascend=None, scaling=None):
    """The ``Device`` of that name.

    Args:
        name: one of ``DEVICES``. precision_mode: the Ascend adapter's own, overrides precision there.
        ascend: ``ascend_options.AscendSettings``, which other devices have no use for.
        scaling: ``loss_scale.ScaleSettings``, for mixed precision of float16's range.

    Raises:
        DeviceError: not present, a precision that cannot be had there, or an option that the adapter does not know.
    """
    kind = choose_device(name)
    if kind == "ascend":
        from masf_core.ascend_device import Ascend

        made = Ascend(precision, intra_op_threads, inter_op_threads, precision_mode, ascend)
    elif precision_mode is not None:
        raise DeviceError("precision_mode={} is the Ascend adapter's, and this run is on {}; use --precision".format(
            precision_mode, kind))
    else:
        made = {"cpu": Cpu, "gpu": Gpu}[kind](precision, intra_op_threads, inter_op_threads)
    made.scaling = scaling or made.scaling
    return made
