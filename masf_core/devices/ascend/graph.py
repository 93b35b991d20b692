"""What a run's graphs are made of on an Ascend, on any machine: the adapter's operations where it is installed.

Elsewhere others stand for them. Those that can be told apart are marked with what they stand for, so that whoever reads
the graph takes them for that; the rest is said in words.
"""
from __future__ import annotations

import contextlib
import importlib.util
from typing import ContextManager, List, NamedTuple, Optional, Tuple

from masf_core.devices.ascend import adapter as ascend_adapter
from masf_core.devices.ascend.kernels import AscendKernels
from masf_core.graph_check.limits import standing_for
from masf_core.method.gradients import Gradients
from masf_core.method.loss_scale import AdapterScale, LossScale, NoScale, ScaleSettings
from masf_core.network.dropout import Dropout
from masf_core.network.kernels import Kernels
from masf_core.ranks.collectives import Collectives
from masf_core.ranks.one_rank import OneRank
from masf_core.tf1 import tf


class Parts(NamedTuple):
    """kernels: of the backbone. taking: ``Gradients``. adapter: which it is, for people. substitutes: a sentence,
    without a full stop, for each thing that is another on a card."""

    kernels: Kernels
    taking: Gradients
    adapter: str
    substitutes: List[str]


def make_parts(mixed: bool, scaling: ScaleSettings, ranks: int) -> Parts:
    """``Parts`` of rank 0.

    Args:
        mixed: matrix products are in 16 bits, and losses scaled. scaling: ``ScaleSettings``. ranks: their number.
    """
    peers = _Imagined(ranks)
    adapter, reason = _adapter()
    if adapter is not None:
        from masf_core.devices.ascend.collectives import HcclCollectives

        kernels = AscendKernels(mixed)
        scale = AdapterScale(ascend_adapter.exports(), scaling, ranks > 1) if mixed else NoScale()
        together = HcclCollectives(peers) if ranks > 1 else peers
        return Parts(kernels, Gradients(scale, together, kernels.keeping_float32),
                     f"adapter npu_bridge of about {adapter.about}", [])
    kernels = _SubstituteKernels(mixed)
    together = _SubstituteCollectives(peers) if ranks > 1 else peers
    substitutes = ["dropout is TensorFlow's own stateless one; a card has npu_ops.dropout, with other masks"]
    if mixed:
        substitutes += [
            "the loss scale looks for gradients that are not finite, and its state is ours; on a card "
            "NPULossScaleOptimizer reads and clears the status register (npu_get_float_status, npu_clear_float_status"
            "{}), and the state is its manager's".format(
                ", summed over the cards by one HcomAllReduce more" if ranks > 1 else ""),
            "nothing has the mark that keep_dtype_scope puts on losses and updates, by which they stay float32"]
    if ranks > 1:
        substitutes.append("CollectiveReduce and CollectiveBcastSend, TensorFlow's own, stand for HCCL's HcomAllReduce "
                           "and HcomBroadcast, one for one")
    return Parts(kernels, Gradients(LossScale(scaling) if mixed else NoScale(), together), reason, substitutes)


def _adapter() -> Tuple[Optional[ascend_adapter.Adapter], Optional[str]]:
    """(``Adapter``, None), or (None, why there is none)."""
    if importlib.util.find_spec("npu_bridge") is None:
        return None, "the adapter npu_bridge is not installed here"
    try:
        return ascend_adapter.load_adapter(), None
    except Exception as error:  # whatever its native code makes of a machine without a driver
        return None, f"the adapter npu_bridge does not load here ({type(error).__name__}: {error})"


class _Imagined(OneRank):
    """Rank 0 of several of which the others are not there: a graph can be built, and not run."""

    def __init__(self, size: int) -> None:
        self.size = size


class _SubstituteKernels(AscendKernels):
    """A card's kernels without what they take from the adapter."""

    def keeping_float32(self) -> ContextManager:
        return contextlib.nullcontext()

    def dropout(self, keep_probability: float, seed: tf.Tensor, stream: int) -> Dropout:
        return Kernels.dropout(self, keep_probability, seed, stream)


class _SubstituteCollectives(Collectives):
    """A collective of TensorFlow's for each of HCCL's."""

    def _sum(self, flat: tf.Tensor) -> tf.Tensor:
        with standing_for("HcomAllReduce"):
            return tf.raw_ops.CollectiveReduce(
                input=flat, group_size=self.size, group_key=1, instance_key=1, merge_op="Add", final_op="Id",
                subdiv_offsets=[0])

    def _from_first(self, variable: tf.Variable) -> tf.Operation:
        flat = tf.reshape(variable, [-1])
        with standing_for("HcomBroadcast"):
            value = tf.raw_ops.CollectiveBcastSend(
                input=flat, group_size=self.size, group_key=1, instance_key=1, shape=flat.shape)
        return tf.assign(variable, tf.reshape(value, variable.shape)).op
