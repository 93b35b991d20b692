"""Products that a processor of 16 bits might have computed: float32's, moved at random by up to a rounding."""
from __future__ import annotations

import numpy as np

from masf_core.network.kernels import processor_kernels
from masf_core.tf1 import tf

BFLOAT16 = 2.0 ** -8  # a bfloat16 and the next one are so far apart, at most, of themselves


class RoundingOtherwise(type(processor_kernels())):
    """A processor's kernels whose convolutions and products, and the gradients that come back to them, are moved.

    Args:
        seed: two of them are two processors. size: by how much of itself a number is moved at most.
    """

    def __init__(self, seed: int, size: float = BFLOAT16) -> None:
        super().__init__()
        self._random, self._size = np.random.RandomState(seed), size

    def convolution(self, x, filters, stride, padding):
        return self._moved(super().convolution(x, filters, stride, padding))

    def product(self, x, weights):
        return self._moved(super().product(x, weights))

    def _moved(self, y):
        forward, backward = (self._factors(y.shape.as_list()) for _ in range(2))

        @tf.custom_gradient
        def moved(y):
            return y * forward, lambda dy: dy * backward

        return moved(y)

    def _factors(self, shape):
        seed = [int(number) for number in self._random.randint(2 ** 30, size=2)]
        return 1.0 + self._size * tf.random.stateless_uniform(shape, seed, -1.0, 1.0)
