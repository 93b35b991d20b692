"""Kernels: ways to compute the parts of AlexNet's step, each beside the one that is in use, in turn.

A ratio is the processor time of another way ÷ that of the way in use on this lane, for the forward pass and the
gradient together, at the shapes of the full width and of the meta-train images at B = 42. Above 1, the way in use is
faster. The note says why a way with a ratio below 1 was not adopted.
"""
from __future__ import annotations

import time
from typing import Any, Callable, Dict, List

import numpy as np

from benchmarks.measuring import Figure, alternate, lane, parser, ratios, report

IMAGES = 84
GROUP = 126  # images of the local loss at the published batch


def main() -> None:
    arguments = parser("benchmarks.kernels", __doc__, rounds=5).parse_args()
    from masf_core.memory import keep_freed_memory

    keep_freed_memory()
    figures = (normalisation(arguments.rounds) + convolutions(arguments.rounds) + dense(arguments.rounds)
               + triplets(arguments.rounds) + updates(arguments.rounds))
    report("kernels", "Kernels", figures, arguments.out, [
        "The local loss by sorting is faster, but it is 0.1 % of a full-width step, and its operations are not known "
        "to run on an Ascend.",
    ])


class Way:
    """A function of arrays in its own graph. ``run`` computes it, and its gradients by all float arrays."""

    def __init__(self, function: Callable[..., Any], *arrays: np.ndarray):
        from masf_core.devices import choice
        from masf_core.tf1 import tf

        graph = tf.Graph()
        with graph.as_default():
            inputs = [tf.Variable(array, use_resource=True).read_value() for array in arrays]
            result = function(*inputs)
            floats = [each for each in inputs if each.dtype == tf.float32]
            self._wanted = [result.op] + [gradient.op for gradient in tf.gradients(
                result, floats, tf.ones_like(result)) if gradient is not None]
            initialise = tf.global_variables_initializer()
        self._session = tf.Session(graph=graph, config=choice.make_device("cpu").session_config())
        self._session.run(initialise)

    def run(self) -> None:
        self._session.run(self._wanted)


def compared(what: str, others: Dict[str, Callable[..., Any]], own: Callable[..., Any], rounds: int,
             *arrays: np.ndarray) -> List[Figure]:
    """A figure for each of ``others`` (title to function): its time ÷ that of ``own``."""
    ways = {"own": Way(own, *arrays)}
    ways.update((title, Way(function, *arrays)) for title, function in others.items())
    seconds = alternate({title: way.run for title, way in ways.items()}, rounds, clock=time.process_time)
    return [Figure(f"{what}: {title}", ratios(seconds[title], seconds["own"]), "") for title in others]


def noise(*shape: int) -> np.ndarray:
    """float32 normal noise of this shape, the same in every call."""
    return np.random.RandomState(sum(shape)).standard_normal(shape).astype(np.float32)


def normalisation(rounds: int) -> List[Figure]:
    from masf_core.network.kernels import CpuKernels, EigenKernels, Kernels, processor_kernels

    title, other = (("band matrix without XLA", CpuKernels()) if lane() == "tf1" else
                    ("band matrix with XLA, as in tf1", EigenKernels()))
    figures = []
    for layer, shape in (("conv1", (57, 57, 96)), ("conv2", (28, 28, 256))):
        figures += compared(f"normalisation after {layer}", {
            "TensorFlow's own": Kernels().local_response_normalisation, title: other.local_response_normalisation,
        }, processor_kernels().local_response_normalisation, rounds, 100.0 * noise(IMAGES, *shape))
    return figures


def convolutions(rounds: int) -> List[Figure]:
    from masf_core.network import layers
    from masf_core.network.kernels import Kernels, processor_kernels
    from masf_core.tf1 import tf

    def whole(kernels):
        return lambda x, filters: kernels.convolution(x, filters, 1, "SAME")

    def halves(kernels):
        return lambda x, filters, biases: tf.concat(
            layers.grouped_convolution(tf.split(x, 2, axis=3), filters, biases, kernels), axis=3)

    def one_operation(x, filters, biases):
        return tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, filters, strides=[1] * 4, padding="SAME"), biases))

    def block_diagonal(x, filters, biases):
        one, two = tf.split(filters, 2, axis=3)
        zeros = tf.zeros_like(one)
        return one_operation(x, tf.concat([tf.concat([one, zeros], 3), tf.concat([zeros, two], 3)], 2), biases)

    own, plain = processor_kernels(), Kernels()
    others = {"zeros between the groups": block_diagonal}
    if lane() == "tf1":
        others["TensorFlow's own gradients"] = halves(plain)
    else:
        others["one grouped operation"] = one_operation
    figures = compared("conv2, two groups", others, halves(own), rounds, noise(IMAGES, 28, 28, 96),
                       0.02 * noise(5, 5, 48, 256), noise(256))
    if lane() == "tf1":
        figures += compared("conv3", {"TensorFlow's own gradients": whole(plain)}, whole(own), rounds,
                            noise(IMAGES, 13, 13, 256), noise(3, 3, 256, 384))
    return figures


def dense(rounds: int) -> List[Figure]:
    from masf_core.network.kernels import EigenKernels, Kernels, processor_kernels

    other = Kernels() if lane() == "tf1" else EigenKernels()
    title = "TensorFlow's own gradients" if lane() == "tf1" else "gradient by plain products, as in tf1"
    return compared("fc6", {title: other.product}, processor_kernels().product, rounds, noise(IMAGES, 9216),
                    noise(9216, 4096))


def triplets(rounds: int) -> List[Figure]:
    from masf_core.method import losses
    from masf_core.tf1 import tf

    def by_sorting(embeddings, labels):
        """The closest farther negative by binary search among an anchor's sorted negatives."""
        distances = losses.squared_distances(embeddings)
        same = tf.equal(labels[:, tf.newaxis], labels[tf.newaxis, :])
        positive = tf.cast(same, tf.float32) * (1.0 - tf.eye(GROUP))
        nearest = -tf.nn.top_k(-tf.where(same, tf.fill([GROUP, GROUP], tf.float32.max), distances), GROUP)[0]
        place = tf.searchsorted(nearest, distances, side="right")
        count = tf.reduce_sum(tf.cast(tf.logical_not(same), tf.int32), axis=1, keepdims=True)
        negative = tf.gather(nearest, tf.minimum(place, count - 1), batch_dims=1)
        return tf.reduce_sum(tf.maximum(10.0 + distances - negative, 0.0) * positive) / tf.reduce_sum(positive)

    return compared("local loss, 126 embeddings", {"by sorting, without the cube": by_sorting},
                    lambda embeddings, labels: losses.local_loss(embeddings, labels, 10.0), rounds,
                    noise(GROUP, 256), (np.arange(GROUP) % 7).astype(np.int32))


def updates(rounds: int) -> List[Figure]:
    """One Adam over all of AlexNet's variables, and over one vector of as many weights."""
    from masf_core.devices import choice
    from masf_core.network.alexnet import AlexNet
    from masf_core.tf1 import tf

    def update(shapes):
        graph = tf.Graph()
        with graph.as_default():
            variables = [tf.Variable(tf.zeros(shape), use_resource=False) for shape in shapes]
            gradients = [tf.Variable(tf.ones(shape), use_resource=False) for shape in shapes]
            train = tf.train.AdamOptimizer(1e-5).apply_gradients(list(zip(gradients, variables)))
            initialise = tf.global_variables_initializer()
        session = tf.Session(graph=graph, config=choice.make_device("cpu").session_config())
        session.run(initialise)
        return lambda: session.run(train)

    shapes = list(AlexNet(7).shapes().values())
    seconds = alternate({"each": update(shapes), "flat": update([(sum(int(np.prod(each)) for each in shapes),)])},
                        rounds, clock=time.process_time)
    return [Figure("Adam on 57 M weights: all variables as one vector", ratios(seconds["flat"], seconds["each"]), "")]


if __name__ == "__main__":
    main()
