"""Dropout: none, and that of which the masks are known from the iteration."""
from __future__ import annotations

from typing import Callable

from masf_core.tf1 import tf

# x of any shape, index of the dropout layer within one forward pass → x with elements dropped and the rest scaled up.
Dropout = Callable[["tf.Tensor", int], "tf.Tensor"]


def no_dropout(x, _index):
    """The dropout of evaluation and of parity checks: none."""
    return x


def stateless_dropout(keep_probability, seed, stream):
    """Dropout whose masks are a function of (seed, stream, layer) and of nothing else.

    A stateful random op would restart its sequence with every session, and a resumed run would then differ from one
    that was never stopped.

    Args:
        keep_probability: float in (0, 1].
        seed: int32 tensor [2], fed per iteration (see ``episodes``).
        stream: int, distinct for each forward pass of an iteration.

    Returns:
        A ``Dropout``.
    """
    if keep_probability >= 1.0:
        return no_dropout

    def drop(x, index):
        shape = x.shape.as_list()
        uniform = tf.random.stateless_uniform(shape, seed=seed + tf.constant([0, 16 * stream + index], tf.int32))
        keep = tf.cast(uniform < keep_probability, x.dtype)
        return x * keep * (1.0 / keep_probability)

    return drop
