"""What every device that computes has in common: a processor, a GPU, an Ascend 910.

A ``Device`` answers everything that differs between them: the session's configuration, the precision of matrix
products, the kernels (dropout among them), how losses are scaled, who the other ranks are.

| precision | Ascend | GPU | processor, TF 2.x | processor, TF 1.15 |
|-|-|-|-|-|
| float32 | must_keep_origin_dtype | as is | as is | as is |
| mixed | allow_mix_precision | grappler's float16 | bfloat16 (oneDNN, AVX-512) | refused |

Losses, θ' and optimiser state stay float32. Whatever has float16's range needs its losses scaled.
"""
from __future__ import annotations

from typing import Optional

from masf_core.errors import MasfError
from masf_core.method.gradients import Gradients
from masf_core.method.loss_scale import DYNAMIC, NoScale
from masf_core.network.kernels import Kernels
from masf_core.ranks.one_rank import OneRank
from masf_core.tf1 import tf

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

    def __init__(self, precision: str = "auto", intra_op_threads: int = 0, inter_op_threads: int = 0) -> None:
        if precision not in PRECISIONS:
            raise DeviceError("precision {!r} is not one of {}".format(precision, ", ".join(PRECISIONS)))
        self.mixed = (self.automatic_precision if precision == "auto" else precision) == "mixed"
        self.scaling = DYNAMIC
        self._threads = intra_op_threads, inter_op_threads

    def session_config(self, ranks: Optional[OneRank] = None) -> tf.ConfigProto:
        """The ``tf.ConfigProto`` of a run; it also says which card is taken. ranks: those of the run, one by default.
        """
        intra_op, inter_op = self._threads
        return tf.ConfigProto(
            intra_op_parallelism_threads=intra_op, inter_op_parallelism_threads=inter_op, allow_soft_placement=True)

    def kernels(self) -> Kernels:
        """How the arithmetic of a layer is asked for: ``Kernels``."""
        return Kernels(self.mixed)

    def loss_scale(self, ranks: OneRank) -> NoScale:
        """How losses are scaled for this precision; see ``loss_scale``. ranks: those of the run."""
        return NoScale()

    def ranks(self) -> OneRank:
        """The processes of the run, this one among them; see ``ranks``."""
        return OneRank()

    def gradients(self, ranks: Optional[OneRank] = None) -> Gradients:
        """How gradients are taken and applied here. ranks: those of the run, if they are made already."""
        ranks = ranks or self.ranks()
        return Gradients(self.loss_scale(ranks), ranks, self.kernels().keeping_float32)

    def describe(self) -> str:
        """A word or two for the log."""
        return self.name + (" in mixed precision" if self.mixed else "")
