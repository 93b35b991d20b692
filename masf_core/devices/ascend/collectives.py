"""Collectives through HCCL, between the cards of Ascend machines.

The adapter reads the rank table, RANK_ID, RANK_SIZE and JOB_ID by itself and connects the cards when the first session
runs. Fusion is left off: gradients are laid end to end here, in the same order in every rank and release.
"""
from __future__ import annotations

from typing import Any

from masf_core.devices.ascend.adapter import exports
from masf_core.ranks.collectives import Collectives
from masf_core.tf1 import tf


class HcclCollectives(Collectives):
    """Collectives between cards; see ``Collectives``."""

    def __init__(self, peers: Any) -> None:
        super().__init__(peers)
        self._operations = exports().hccl_ops

    def _sum(self, flat: tf.Tensor) -> tf.Tensor:
        return self._operations.allreduce(flat, "sum", fusion=0)

    def _from_first(self, variable: tf.Variable) -> tf.Operation:
        # HCCL needs at least one dimension, and the adapter a list.
        value, = self._operations.broadcast([tf.reshape(variable, [-1])], root_rank=0, fusion=0)
        return tf.assign(variable, tf.reshape(value, variable.shape)).op
