"""The step: the share of the machine's arithmetic rate that an iteration reaches, on AlexNet at full width.

An iteration of MASF needs 5 forward and 5 backward passes of B images. A backward pass counts as two forward ones, so
these are 15 · B · F floating-point operations, with F (1.49 · 10⁹) counted from the shapes of the network's products.
That number ÷ the time of a step is compared with the rate of a product of two 4096 × 4096 matrices, in the same
session, process and precision, in turn.

Limits: memory bandwidth limits everything that is not a product (normalisation, pools, rectifiers, updates of 57 M
weights), which is not counted. The gradient of the images, which nobody needs, is counted (5 %). For mixed precision
the limit is what the product itself gains from bfloat16, which is given. A processor that has the instructions but
not the units for them (AVX512-BF16 without AMX) can even lose.
"""
from __future__ import annotations

import collections
import time
from typing import TYPE_CHECKING, Any, List, Optional, Sequence

import numpy as np

from benchmarks.measuring import Figure, alternate, lane, parser, ratios, report

if TYPE_CHECKING:
    from masf_core.network.kernels import Kernels

SIDE = 4096  # of the matrices
PRODUCTS = 4  # in one timing
TARGETS = {"tf1": 0.65, "tf2": 0.88}
MIXED_TARGET = 1.8
COMPARED_BATCH = 42  # at which two models fit into memory at once


def main() -> None:
    arguments = parser("benchmarks.step", __doc__, rounds=3)
    arguments.add_argument("--batch", type=int, nargs="+", default=[126, 42], help="images of each domain")
    arguments.add_argument("--alone", action="store_true", help="leave out the comparisons between two models")
    arguments.add_argument("--profile", action="store_true", help="only print where the time of a step goes")
    arguments = arguments.parse_args()
    from masf_core.memory import keep_freed_memory

    keep_freed_memory()
    if arguments.profile:
        for batch in arguments.batch:
            print_profile(batch)
        return
    figures = []
    for batch in arguments.batch:
        figures += utilisation(batch, arguments.rounds)
    notes = []
    if not arguments.alone:
        figures.append(against_plain(arguments.rounds))
        if lane() == "tf2":
            figures += mixed(arguments.rounds)
        else:
            notes.append("Mixed precision on a processor needs TensorFlow 2.x and is refused here.")
    report("step", "Step", figures, arguments.out, notes)


def utilisation(batch: int, rounds: int) -> List[Figure]:
    """Figures of one batch size: the share of the matrix product's rate, and the seconds of a step."""
    with Step(batch) as step, Product("float32") as product:
        wall = alternate({"product": product.run, "step": step.run}, rounds)
        busy = alternate({"product": product.run, "step": step.run}, max(1, rounds - 1), 0, time.process_time)
    reached = ratios([step.operations / seconds for seconds in wall["step"]],
                     [product.operations / seconds for seconds in wall["product"]])
    by_core = ratios([step.operations / seconds for seconds in busy["step"]],
                     [product.operations / seconds for seconds in busy["product"]])
    return [
        Figure(f"rate of a step ÷ rate of a product, B = {batch}", reached, "", (">=", TARGETS[lane()]),
               "memory-bound operations between the products"),
        Figure(f"the same by processor time, B = {batch}", by_core, "",
               None, "what others on the machine do shows less"),
        Figure(f"a step, B = {batch}", wall["step"], "s"),
        Figure("rate of the product", [product.operations / seconds / 1e9 for seconds in wall["product"]], "GFLOP/s"),
    ]


def against_plain(rounds: int) -> Figure:
    """The time of a step with TensorFlow's own operations throughout ÷ that of a step with this job's kernels."""
    from masf_core.network.kernels import Kernels

    with Step(COMPARED_BATCH) as own, Step(COMPARED_BATCH, kernels=Kernels()) as plain:
        busy = alternate({"plain": plain.run, "own": own.run}, rounds, clock=time.process_time)
    return Figure(f"a step with TensorFlow's own operations ÷ with ours, processor time, B = {COMPARED_BATCH}",
                  ratios(busy["plain"], busy["own"]), "")


def mixed(rounds: int) -> List[Figure]:
    """Figures of bfloat16 compared with float32, in the same process."""
    with Step(COMPARED_BATCH) as exact, Step(COMPARED_BATCH, precision="mixed") as coarse, \
            Product("float32") as exact_product, Product("bfloat16") as coarse_product:
        wall = alternate({"float32": exact.run, "mixed": coarse.run,
                          "product": exact_product.run, "bfloat16 product": coarse_product.run}, rounds)
    return [
        Figure(f"rate of a step in mixed precision ÷ in float32, B = {COMPARED_BATCH}",
               ratios(wall["float32"], wall["mixed"]), "", (">=", MIXED_TARGET), "the product's own gain, below"),
        Figure("rate of a product in bfloat16 ÷ in float32", ratios(wall["product"], wall["bfloat16 product"]), ""),
    ]


class Step:
    """A step of a backbone at full width on one fixed batch of noise.

    Args:
        threads: 0 takes all cores. frozen: patterns of layers that are not trained.
    """

    def __init__(self, batch: int, precision: str = "float32", kernels: Optional[Kernels] = None,
                 backbone: str = "alexnet", threads: int = 0, frozen: Sequence[str] = ()):
        from masf_core.devices import choice
        from masf_core.method import meta_step
        from masf_core.model import Model
        from masf_core.network.backbone import make_backbone
        from masf_core.network.kernels import processor_kernels

        device = choice.make_device("cpu", precision, intra_op_threads=threads, inter_op_threads=threads)
        self._model = Model(make_backbone(backbone, 7, kernels=kernels or processor_kernels()),
                            meta_step.StepSettings(
                                meta_batch_size=batch, source_domains=3, frozen_layers=tuple(frozen)), 1,
                            device.session_config(), seed=0)
        self._model.initialise()
        random = np.random.RandomState(0)
        graph = self._model.training
        self._feed = {graph.images: random.randint(0, 256, graph.images.shape.as_list()).astype(np.uint8),
                      graph.labels: random.randint(0, 7, graph.labels.shape.as_list()).astype(np.int32),
                      graph.dropout_seed: [0, 0]}
        self.operations = 15 * batch * forward_operations(backbone)

    def run(self, **options: Any) -> None:
        graph = self._model.training
        self._model.session.run([graph.scalars, graph.train], self._feed, **options)

    def __enter__(self) -> "Step":
        return self

    def __exit__(self, *_: object) -> None:
        self._model.close()


class Product:
    """Products of two square matrices that stay on the device. dtype: ``float32`` or ``bfloat16``."""

    operations = PRODUCTS * 2 * SIDE ** 3

    def __init__(self, dtype: str):
        from masf_core.devices import choice
        from masf_core.tf1 import tf

        graph = tf.Graph()
        with graph.as_default():
            noise = tf.cast(tf.random.normal([SIDE, SIDE], seed=0), dtype)
            factor = tf.Variable(noise, use_resource=True).read_value()
            self._product = tf.matmul(factor, factor).op
            initialise = tf.global_variables_initializer()
        self._session = tf.Session(graph=graph, config=choice.make_device("cpu").session_config())
        self._session.run(initialise)

    def run(self) -> None:
        for _ in range(PRODUCTS):
            self._session.run(self._product)

    def __enter__(self) -> "Product":
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()


def forward_operations(name: str = "alexnet") -> int:
    """F: floating-point operations of one image's forward pass, from the shapes of its products."""
    from masf_core.network.backbone import make_backbone
    from masf_core.network.dropout import no_dropout
    from masf_core.tf1 import tf

    backbone = make_backbone(name, 7)
    side = backbone.image_size
    with tf.Graph().as_default() as graph:
        weights = {name: tf.placeholder(tf.float32, shape) for name, shape in backbone.shapes().items()}
        backbone.forward(tf.placeholder(tf.float32, [1, side, side, 3]), weights, no_dropout)
        total = 0
        for op in graph.get_operations():
            if op.type in ("Conv2D", "MatMul"):
                terms = op.inputs[1].shape.as_list()[:-1]  # number of terms of the sum for each output
                total += 2 * int(np.prod(terms)) * int(np.prod(op.outputs[0].shape.as_list()))
    return total


def print_profile(batch: int) -> None:
    """Prints the milliseconds for each kind of operation, from TensorFlow's own trace."""
    from masf_core.tf1 import tf

    with Step(batch) as step:
        step.run()
        trace = tf.RunMetadata()
        step.run(options=tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE), run_metadata=trace)
    spent, times = collections.Counter(), collections.Counter()
    for device in trace.step_stats.dev_stats:
        for node in device.node_stats:
            kind = node.timeline_label.partition(" = ")[2].partition("(")[0] or node.node_name
            spent[kind] += node.op_end_rel_micros - node.op_start_rel_micros
            times[kind] += 1
    whole = sum(spent.values())
    print(f"B = {batch}: {whole / 1000.0:.0f} ms in operations")
    for kind, micros in spent.most_common(24):
        print(f"  {kind:<40} {times[kind]:5d} × {micros / 1000.0:9.1f} ms {100.0 * micros / whole:5.1f} %")


if __name__ == "__main__":
    main()
