"""Float16 on a processor: a network whose gradients pass through it, and gradients that overflow on request."""
from __future__ import annotations

import numpy as np

from masf_core.method.gradients import Gradients
from masf_core.method.loss_scale import PREFIX, LossScale, ScaleSettings
from masf_core.network import layers
from masf_core.tf1 import tf
from tests.masf_core import toy

STATE = ("hidden/weights", "hidden/weights", "metric1/weights")  # the variables whose gradients can be spoilt


class HalfBackbone(toy.TinyBackbone):
    """``TinyBackbone`` whose features' gradients are rounded to float16 on their way back.

    Deep networks have gradients at the ends of float16's range; this one is shallow, so they are brought there.

    Args:
        depth: they are smaller by 2^depth where they are rounded.
    """

    def __init__(self, depth=0):
        super().__init__(toy.CLASSES)
        self.depth = depth

    def forward(self, inputs, weights, dropout, done=0):
        flat = tf.reshape(inputs, [inputs.shape.as_list()[0], -1])
        hidden = tf.nn.relu(layers.dense(flat, weights["hidden/weights"], weights["hidden/biases"]))
        features = through_float16(hidden, 2.0 ** -self.depth)
        return features, layers.dense(dropout(features, 0), weights["top/weights"], weights["top/biases"])


def through_float16(x, factor):
    """x, whose gradient is rounded to float16 after it was multiplied by ``factor``, a power of two."""
    @tf.custom_gradient
    def rounded(x):
        return tf.identity(x), lambda dy: tf.cast(tf.cast(dy * factor, tf.float16), tf.float32) / factor

    return rounded(x)


class Spoilt(Gradients):
    """``Gradients`` to one number of which something can be added, in one run: see ``step``."""

    def prepare(self):
        self.poison = [tf.placeholder_with_default(0.0, []) for _ in range(2)]  # of the task and of the meta gradient
        self.where = STATE[0]
        self._calls = 0
        super().prepare()

    def of(self, loss, sources):
        gradients = super().of(loss, sources)
        for name in set(STATE) & set(gradients):
            shape = gradients[name].shape.as_list()
            first = np.zeros(shape, bool)
            first.flat[-1] = True
            gradients[name] = tf.where(first, gradients[name] + self.poison[self._calls], gradients[name])
        self._calls += 1
        return gradients


def spoilt_model(scale=None, **changes):
    """(a toy model, its ``Spoilt``); by default with a dynamic scale of 1024 that grows after 3 iterations."""
    taking = Spoilt(scale or LossScale(ScaleSettings(initial=1024.0, growth_steps=3)))
    return toy.model(taking=taking, **changes), taking


def step(model, taking, number, task=0.0, meta=0.0, sampler=None):
    """Scalars of iteration ``number``, with something added to the task or the meta gradient."""
    episode = (sampler or toy.sampler()).draw(number)
    graph = model.training
    scalars, _ = model.session.run([graph.scalars, graph.train], {
        graph.images: episode.images, graph.labels: episode.labels, graph.dropout_seed: [1, number],
        taking.poison[0]: task, taking.poison[1]: meta})
    return {name: float(value) for name, value in scalars.items()}


def without_scale(arrays):
    """The arrays that no loss scale has to do with."""
    return {name: array for name, array in arrays.items() if not name.startswith(PREFIX)}
