"""Sums over the ranks as operations of the graph, independent of what carries them.

Every rank builds the same graph, and each collective waits for the one before, so their order is the same on every
rank. Gradients are concatenated into few collectives, in the order in which the backward pass computes them.
"""
from __future__ import annotations

import abc
import collections
from typing import Any, Dict, Iterable, List, Mapping, Sequence, Tuple

from masf_core.ranks.one_rank import OneRank
from masf_core.tf1 import tf

BUCKET = 8 * 2 ** 20  # values that are concatenated at most: 32 MB; a larger tensor has a collective of its own


class Collectives(OneRank, abc.ABC):
    """``OneRank`` for several ranks; a subclass implements ``_sum`` and ``_from_first``.

    Args:
        peers: the ranks as they are known without TensorFlow: ``rank``, ``size``, ``gather``, ``stop`` and ``blame``
            are as in ``OneRank``, and ``host`` is the address at which the other ranks reach this machine.
    """

    def __init__(self, peers: Any) -> None:
        self.rank, self.size, self.stop = peers.rank, peers.size, peers.stop
        self.gather, self.blame = peers.gather, peers.blame
        self._last = []  # the collective that the next one waits for

    @abc.abstractmethod
    def _sum(self, flat: tf.Tensor) -> tf.Tensor:
        """The sum over the ranks of a float32 [n]."""

    @abc.abstractmethod
    def _from_first(self, variable: tf.Variable) -> tf.Operation:
        """An operation that assigns rank 0's value of a variable."""

    def mean(self, tensors: Mapping[str, tf.Tensor]) -> Dict[str, tf.Tensor]:
        means = {}
        for bucket in buckets(list(reversed(list(tensors.items())))):
            parts = self._sums([tensor for _, tensor in bucket])
            means.update((name, part / float(self.size)) for (name, _), part in zip(bucket, parts))
        return collections.OrderedDict((name, means[name]) for name in tensors)

    def total(self, *tensors: tf.Tensor) -> Sequence[tf.Tensor]:
        # Every rank computes the same loss from the same sums, so the gradient that arrives here is the full gradient
        # with respect to this rank's part, and the gradient of the loss is the sum over ranks. The gradients are
        # averaged later: hence the factor.
        @tf.custom_gradient
        def summed(*parts):
            return self._sums(parts), lambda *arriving: [float(self.size) * each for each in arriving]

        return summed(*tensors)

    def union(self, rows: tf.Tensor, labels: tf.Tensor, domains: int, count: int) -> Tuple[tf.Tensor, tf.Tensor]:
        own, most, width = self.share(count), -(-count // self.size), rows.shape.as_list()[1]
        values = tf.concat([rows, tf.cast(labels, tf.float32)[:, tf.newaxis]], axis=1)
        values = tf.reshape(values, [domains, own, 1, width + 1])
        # Row j of a domain goes to place rank + size · j; the places of the other ranks' rows are zeros.
        dealt = tf.pad(values, [[0, 0], [0, most - own], [self.rank, self.size - 1 - self.rank], [0, 0]])
        dealt = tf.reshape(dealt, [domains, most * self.size, width + 1])[:, :count]
        everyone, = self.total(tf.reshape(dealt, [domains * count, width + 1]))
        return everyone[:, :width], tf.cast(tf.round(tf.stop_gradient(everyone[:, width])), tf.int32)

    def broadcast(self, variables: Sequence[tf.Variable]) -> tf.Operation:
        last = []
        for variable in variables:
            with tf.control_dependencies(last):  # one by one: a copy of all variables at once may not fit into memory
                last = [self._from_first(variable)]
        return last[0]

    def _sums(self, tensors: Sequence[tf.Tensor]) -> List[tf.Tensor]:
        """The sum over the ranks of each tensor, in one collective."""
        shapes = [tensor.shape.as_list() for tensor in tensors]
        flat = [tf.reshape(tf.cast(tensor, tf.float32), [-1]) for tensor in tensors]
        with tf.control_dependencies(self._last):
            whole = self._sum(flat[0] if len(flat) == 1 else tf.concat(flat, axis=0))
        self._last = [whole]
        parts = tf.split(whole, [part.shape.as_list()[0] for part in flat]) if len(flat) > 1 else [whole]
        return [tf.reshape(part, shape) for part, shape in zip(parts, shapes)]


def buckets(items: Iterable[Tuple[str, tf.Tensor]]) -> List[List[Tuple[str, tf.Tensor]]]:
    """(name, tensor) pairs in groups of at most ``BUCKET`` values, in the same order."""
    groups, room = [], 0
    for name, tensor in items:
        values = tensor.shape.num_elements()
        if values > room or not groups:
            groups.append([])
            room = BUCKET
        groups[-1].append((name, tensor))
        room -= values
    return groups
