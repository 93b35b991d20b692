"""Evaluation: in padded batches and one image at a time; and whether memory or the graph grow over 100 evaluations.

The speed is that of ``evaluation.evaluate`` on AlexNet at full width with random weights. A graph for 128 images and
a graph for one image, as the reference and its port have it, run in turn. A batch reads the 230 MB of weights of the
fully connected layers once instead of for every image. That is about half of an image's processor time, which is
given as well. The rest is arithmetic, at almost the rate of a matrix product. So where one image keeps all cores
busy, as in TF 2.x, the limit is about 2.3. TF 1.15 multiplies a vector by a matrix on one core only, so idle cores
add to its gain.

Growth is measured with a small network in the model that training uses, over 100 evaluations that each have to pad. The
figures are the operations of the graph and anonymous memory, as the kernel decides about pages of mapped files. TF
1.15's allocator returns memory and takes it again, so memory varies by tens of MB. A leak shows in its lowest level:
that of the second fifty evaluations less that of the first.
"""
from __future__ import annotations

import time
from typing import List

import numpy as np

from benchmarks import images
from benchmarks.measuring import Figure, alternate, parser, ratios, report
from benchmarks.small_memory import memory_mb
from masf_core.data import SourceDomain

BATCH = 128  # the job's default
BATCHED, SINGLE = 128, 24  # images in one timing
PROCESSOR_ROUNDS = 3
EVALUATIONS, WARM_UP = 100, 20
SMALL_BATCH, SMALL_SET, WIDTH = 16, 40, 0.1


def main() -> None:
    arguments = parser("benchmarks.evaluation", __doc__, rounds=7).parse_args()
    with images.scratch() as directory:
        index, sources = images.decoded_sources(directory)
        grown = growth(sources[0], len(index.classes))  # first, while the process is small
        figures = speed(sources[0], len(index.classes), arguments.rounds) + grown
    report("evaluation", "Evaluation", figures, arguments.out)


def speed(source: SourceDomain, classes: int, rounds: int) -> List[Figure]:
    """Figures of the images per second in batches and one by one."""
    from masf_core import evaluation
    from masf_core.devices import choice
    from masf_core.method.variables import make_variables
    from masf_core.network.backbone import make_backbone
    from masf_core.network.kernels import processor_kernels
    from masf_core.tf1 import tf

    backbone = make_backbone("alexnet", classes, kernels=processor_kernels())
    graph = tf.Graph()
    with graph.as_default():
        network = make_variables(backbone.shapes())
        batched, single = evaluation.build(backbone, network, BATCH), evaluation.build(backbone, network, 1)
        # The values of the weights do not change the time, except perhaps zeros.
        fill = [tf.assign(variable, tf.random.normal(variable.shape, stddev=0.01)).op for variable in network.values()]
    with tf.Session(graph=graph, config=choice.make_device("cpu").session_config()) as session:
        for one in fill:
            session.run(one)

        def evaluate(part, count):
            rows = np.arange(count, dtype=np.int64) % len(source.images)
            return evaluation.evaluate(session, part, source.images, source.labels, rows, classes)

        actions = {"batched": lambda: evaluate(batched, BATCHED), "single": lambda: evaluate(single, SINGLE)}
        seconds = alternate(actions, rounds)
        processor = alternate(actions, PROCESSOR_ROUNDS, warm_up=0, clock=time.process_time)
    rates = {"batched": [BATCHED / taken for taken in seconds["batched"]],
             "single": [SINGLE / taken for taken in seconds["single"]]}
    return [
        Figure(f"AlexNet evaluated {BATCH} at a time", rates["batched"], "images/s", None, "the convolutions"),
        Figure("AlexNet evaluated one at a time", rates["single"], "images/s", None, "reading the weights"),
        Figure("batched ÷ one at a time", ratios(rates["batched"], rates["single"]), "", (">=", 4),
               "the arithmetic left"),
        Figure("one at a time, processor time of an image", [1000.0 * taken / SINGLE for taken in processor["single"]],
               "ms"),
        Figure("batched, processor time of an image", [1000.0 * taken / BATCHED for taken in processor["batched"]],
               "ms"),
    ]


def growth(source: SourceDomain, classes: int) -> List[Figure]:
    """Figures of the growth over 100 evaluations."""
    from masf_core.devices import choice
    from masf_core.method.meta_step import StepSettings
    from masf_core.model import Model
    from masf_core.network.backbone import make_backbone

    settings = StepSettings(meta_batch_size=images.SOURCES, source_domains=images.SOURCES)
    rows = np.arange(SMALL_SET, dtype=np.int64)
    with Model(make_backbone("squeezenet", classes, width=WIDTH), settings, SMALL_BATCH,
               choice.make_device("cpu").session_config(), images.SEED) as model:
        model.initialise()
        anonymous, operations = [], None
        for number in range(WARM_UP + EVALUATIONS):
            model.evaluate(source.images, source.labels, rows)
            if number >= WARM_UP:  # by now the allocators have the memory that they keep
                operations = operations or len(model.session.graph.get_operations())
                anonymous.append(memory_mb()["RssAnon"])
        added = len(model.session.graph.get_operations()) - operations
    half = EVALUATIONS // 2
    return [
        Figure(f"memory, least in evaluations {half + 1}–{EVALUATIONS} less least in 1–{half}",
               [min(anonymous[half:]) - min(anonymous[:half])], "MB", ("<=", 5), "a batch is 2.5 MB"),
        Figure("memory during them", anonymous, "MB", None, "buffers come and go"),
        Figure("operations added to the graph by them", [added], "", ("<=", 0)),
    ]


if __name__ == "__main__":
    main()
