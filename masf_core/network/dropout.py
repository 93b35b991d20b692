"""Dropout whose masks follow from the iteration, and no dropout."""
from __future__ import annotations

from typing import Callable

from masf_core.tf1 import tf

# (x of any shape, index of the dropout layer within one forward pass) → x with some elements 0 and the rest scaled up.
Dropout = Callable[["tf.Tensor", int], "tf.Tensor"]


def no_dropout(x: tf.Tensor, _index: int) -> tf.Tensor:
    """x unchanged: evaluation and parity checks use no dropout."""
    return x


def stateless_dropout(keep_probability: float, seed: tf.Tensor, stream: int) -> Dropout:
    """Dropout whose masks depend on (seed, stream, layer) and on nothing else.

    A stateful random op would restart its sequence with every session, and a resumed run would then differ from one
    that was never stopped.

    Args:
        keep_probability: in (0, 1].
        seed: int32 [2], another one for each iteration (see ``episodes``).
        stream: distinct for each forward pass of an iteration.
    """
    if keep_probability >= 1.0:
        return no_dropout

    def drop(x: tf.Tensor, index: int) -> tf.Tensor:
        shape = x.shape.as_list()
        uniform = tf.random.stateless_uniform(shape, seed=seed + tf.constant([0, 16 * stream + index], tf.int32))
        keep = tf.cast(uniform < keep_probability, x.dtype)
        return x * keep * (1.0 / keep_probability)

    return drop
