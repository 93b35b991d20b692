"""The graphs of a run as an Ascend would get them, on any machine.

Where the adapter is installed, they contain its operations. Elsewhere other operations stand in for them: where
possible, a substitute is marked with the type that it stands for, so that checks treat it as that type; sentences
describe the other differences.
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
    """What a graph for an Ascend is built with.

    kernels: of the backbone. taking: ``Gradients``. adapter: which adapter this is, for messages. substitutes: one
    sentence, without a full stop, for each difference from a card.
    """

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
                     f"adapter npu_bridge, {adapter.about}", [])
    kernels = _SubstituteKernels(mixed)
    together = _SubstituteCollectives(peers) if ranks > 1 else peers
    substitutes = ["dropout is TensorFlow's stateless one here; a card uses npu_ops.dropout, with other masks"]
    if mixed:
        summed = ", summed over the cards by one more HcomAllReduce" if ranks > 1 else ""
        substitutes += [
            "the loss scale here tests whether gradients are finite, and this project keeps its state; on a card, "
            "NPULossScaleOptimizer reads and clears the status register (npu_get_float_status, npu_clear_float_status"
            f"{summed}), and its manager keeps the state",
            "losses and updates lack the mark of keep_dtype_scope, which keeps them in float32 on a card"]
    if ranks > 1:
        substitutes.append("TensorFlow's CollectiveReduce and CollectiveBcastSend stand in for HCCL's HcomAllReduce "
                           "and HcomBroadcast, one for one")
    return Parts(kernels, Gradients(LossScale(scaling) if mixed else NoScale(), together), reason, substitutes)


def _adapter() -> Tuple[Optional[ascend_adapter.Adapter], Optional[str]]:
    """(``Adapter``, None), or (None, why there is none)."""
    if importlib.util.find_spec("npu_bridge") is None:
        return None, "the adapter npu_bridge is not installed here"
    try:
        return ascend_adapter.load_adapter(), None
    except Exception as error:  # its native code may raise anything on a machine without a driver
        return None, f"the adapter npu_bridge does not load here ({type(error).__name__}: {error})"


class _Imagined(OneRank):
    """Rank 0 of several whose other ranks do not exist: its graph can be built, but not run."""

    def __init__(self, size: int) -> None:
        self.size = size


class _SubstituteKernels(AscendKernels):
    """A card's kernels without the operations of the adapter."""

    def keeping_float32(self) -> ContextManager:
        return contextlib.nullcontext()

    def dropout(self, keep_probability: float, seed: tf.Tensor, stream: int) -> Dropout:
        return Kernels.dropout(self, keep_probability, seed, stream)


class _SubstituteCollectives(Collectives):
    """A TensorFlow collective in place of each one of HCCL."""

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
