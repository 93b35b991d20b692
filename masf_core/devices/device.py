"""What all devices have in common: a processor, a GPU, an Ascend 910.

A ``Device`` decides everything that differs between them: the session's configuration, the precision of matrix
products, the kernels (including dropout), the loss scale, and the collectives between ranks.

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
    """This machine does not offer the device or the precision that was asked for."""


class Device:
    """What processors, GPUs and Ascend cards have in common.

    Args:
        precision: one of ``PRECISIONS``. intra_op_threads, inter_op_threads: 0 lets TensorFlow take all cores.

    Attributes:
        name: ``cpu``, ``gpu`` or ``ascend``. mixed: matrix products are in 16 bits. scaling: ``ScaleSettings``.

    Raises:
        DeviceError: mixed precision on a device that does not offer it.
    """

    name = ""
    automatic_precision = "float32"

    def __init__(self, precision: str = "auto", intra_op_threads: int = 0, inter_op_threads: int = 0) -> None:
        if precision not in PRECISIONS:
            raise DeviceError(f"precision {precision!r} is not one of {', '.join(PRECISIONS)}")
        self.mixed = (self.automatic_precision if precision == "auto" else precision) == "mixed"
        self.scaling = DYNAMIC
        self._threads = intra_op_threads, inter_op_threads

    def session_config(self, ranks: Optional[OneRank] = None) -> tf.ConfigProto:
        """The ``tf.ConfigProto`` of a run, which also chooses the card. ranks: of the run, one by default."""
        intra_op, inter_op = self._threads
        return tf.ConfigProto(
            intra_op_parallelism_threads=intra_op, inter_op_parallelism_threads=inter_op, allow_soft_placement=True)

    def check_graph(self, graph: tf.Graph) -> None:
        """Check a complete graph before a session takes it.

        Raises:
            DeviceError: the device would not compute all of it.
        """

    def kernels(self) -> Kernels:
        """The ``Kernels``, which build the arithmetic of a layer."""
        return Kernels(self.mixed)

    def loss_scale(self, ranks: OneRank) -> NoScale:
        """How losses are scaled in this precision; see ``loss_scale``. ranks: of the run."""
        return NoScale()

    def ranks(self) -> OneRank:
        """The ranks of the run; see ``ranks``."""
        return OneRank()

    def gradients(self, ranks: Optional[OneRank] = None) -> Gradients:
        """How gradients are taken and applied on this device. ranks: of the run, where they exist already."""
        ranks = ranks or self.ranks()
        return Gradients(self.loss_scale(ranks), ranks, self.kernels().keeping_float32)

    def describe(self) -> str:
        """A word or two for the log."""
        return self.name + (" in mixed precision" if self.mixed else "")
