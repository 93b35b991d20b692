"""Carries out the collectives of the stand-in of npu_bridge between real processes, by TensorFlow's collective runtime.

A card's collective is an operation of its own in the graph that is compiled. Here it hands its tensor to a second
session, on a server of TensorFlow's as a processor's ranks have one, which sums it with those of the other processes.
The port at which these meet is in FAKE_HCCL_PORT.
"""
from __future__ import annotations

import itertools
import os
from types import SimpleNamespace

from job.ranks.channel import Channel
from masf_core.ranks.one_rank import NeverStop
from masf_core.ranks.runtime import RuntimeCollectives
from masf_core.tf1 import tf

MERGING = {"sum": "Add", "max": "Max", "min": "Min", "prod": "Mul"}


class Engine:
    """The stand-in's ``Engine`` of several ranks."""

    def __init__(self):
        self.rank, self.size = int(os.environ["RANK_ID"]), int(os.environ["RANK_SIZE"])
        channel = Channel(self.rank, self.size, ("127.0.0.1", int(os.environ["FAKE_HCCL_PORT"])), "hccl")
        channel.__enter__()
        self._runtime = RuntimeCollectives(SimpleNamespace(
            rank=self.rank, size=self.size, host="127.0.0.1", gather=channel.gather, blame=channel.blame,
            stop=NeverStop()))
        channel.disband()  # the job's own channel looks after the processes
        self._graph, self._session = tf.Graph(), None
        self._keys = itertools.count(1)  # equal in all ranks, since they build equal graphs

    def all_reduce(self, tensor, reduction):
        return self._merged(tensor, MERGING[reduction])

    def broadcast(self, tensor, root):
        return self._merged(tensor if self.rank == root else tf.zeros_like(tensor), "Add")  # which changes nothing

    def _merged(self, tensor, operation):
        with self._graph.as_default(), self._runtime.placement():
            given = tf.placeholder(tensor.dtype.base_dtype, tensor.shape)
            merged = tf.raw_ops.CollectiveReduce(
                input=given, group_size=self.size, group_key=1, instance_key=next(self._keys), merge_op=operation,
                final_op="Id", subdiv_offsets=[0])
        result = tf.py_func(lambda values: self._opened().run(merged, {given: values}), [tensor], given.dtype)
        result.set_shape(tensor.shape)
        return result

    def _opened(self):
        if self._session is None:
            from npu_bridge.fake import aside

            config = tf.ConfigProto()
            self._runtime.configure(config)
            with aside():
                self._session = tf.Session(self._runtime.target, self._graph, config)
        return self._session


engine = Engine
