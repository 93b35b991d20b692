"""Collectives through TensorFlow's own runtime: on processors and GPUs, in 1.15 and 2.x.

Each rank runs a TensorFlow server, and a session on it that sees only the devices of this rank. The servers exchange
the parts of the sums in a ring.
"""
from __future__ import annotations

import atexit
import itertools
import random
import socket
from typing import Any, ContextManager

from masf_core.errors import MasfError
from masf_core.ranks.collectives import Collectives
from masf_core.tf1 import tf

GROUP = 1  # all ranks are one group
PORTS = (10000, 32000)  # below the ports that systems give to outgoing connections


class RuntimeCollectives(Collectives):
    """Collectives between TensorFlow servers.

    Args:
        peers: see ``Collectives``.

    Raises:
        ServerError: the TensorFlow server cannot listen.
    """

    def __init__(self, peers: Any) -> None:
        super().__init__(peers)
        self._device = f"/job:rank/replica:0/task:{self.rank}"
        self._keys = itertools.count(1)  # the same on all ranks, since they build the same graph
        addresses = self.gather(f"{peers.host}:{free_port(peers.host)}")
        config = tf.ConfigProto()
        self.configure(config)
        try:
            self._server = tf.train.Server(
                tf.train.ClusterSpec({"rank": addresses}), job_name="rank", task_index=self.rank, config=config)
        except (tf.errors.OpError, RuntimeError) as error:
            raise ServerError(f"the TensorFlow server of rank {self.rank} cannot listen at {addresses[self.rank]}: "
                              f"{error}. Start the job again") from error
        atexit.register(self._forget_server)
        self.target = self._server.target
        self.gather("ready")

    def _forget_server(self) -> None:
        self._server = None  # 1.15 prints errors if the server lives until the interpreter ends

    def configure(self, session_config: tf.ConfigProto) -> None:
        session_config.experimental.collective_group_leader = "/job:rank/replica:0/task:0"
        del session_config.device_filters[:]
        session_config.device_filters.append(self._device)

    def placement(self) -> ContextManager:
        return tf.device(self._device)

    def _sum(self, flat: tf.Tensor) -> tf.Tensor:
        return tf.raw_ops.CollectiveReduce(
            input=flat, group_size=self.size, group_key=GROUP, instance_key=next(self._keys), merge_op="Add",
            final_op="Id", subdiv_offsets=[0])

    def _from_first(self, variable: tf.Variable) -> tf.Operation:
        # The other ranks add zeros, which changes nothing.
        value = variable if self.rank == 0 else tf.zeros_like(variable)
        summed = self._sum(tf.reshape(tf.cast(value, tf.float32), [-1]))
        return tf.assign(variable, tf.cast(tf.reshape(summed, variable.shape), variable.dtype.base_dtype)).op


class ServerError(MasfError, OSError):
    """The TensorFlow server of a rank cannot be started."""


def free_port(host: str) -> int:
    """A port of ``host``, an address of this machine, at which no process listens."""
    for _ in range(200):
        port = random.SystemRandom().randrange(*PORTS)
        with socket.socket() as probe:
            try:
                probe.bind((host, port))
                return port
            except OSError:
                continue
    raise ServerError(f"no port of {host} between {PORTS[0]} and {PORTS[1]} is free")
