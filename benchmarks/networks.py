"""Networks: the step of each backbone at full width beside AlexNet's, and what frozen layers save.

Floating-point operations are counted from the graph of an iteration as `check-graph` counts them, at 3 × 126 images.
Times are processor times on one thread, at a small batch: 3 × `--batch` images of noise. Each network runs in turn with
AlexNet in the same process, and is compared with it pair by pair.

A step also reads and writes its weights and the moments of the Adams, once whatever the batch is. AlexNet has 57 M
weights below its classifier, of which a small batch makes little use, so the other networks look faster here beside
it than at the published batch.
"""
from __future__ import annotations

import time
from typing import List, Sequence

from benchmarks.measuring import Figure, alternate, parser, ratios, report
from benchmarks.step import Step

OTHERS = ("squeezenet", "resnet18", "resnet50")
PUBLISHED_BATCH = 126
FROZEN = (("squeezenet", ("conv1", "fire[2-5]/*")), ("resnet18", ("conv1", "layer1.*", "layer2.*")))


def main() -> None:
    arguments = parser("benchmarks.networks", __doc__, rounds=3)
    arguments.add_argument("--batch", type=int, default=6, help="images of each domain")
    arguments = arguments.parse_args()
    from masf_core.memory import keep_freed_memory

    keep_freed_memory()
    figures = [Figure(f"operations of a step of {name}, B = {PUBLISHED_BATCH}",
                      [operations(name, PUBLISHED_BATCH) / 1e9], "GFLOP") for name in ("alexnet",) + OTHERS]
    figures += beside_alexnet(arguments.batch, arguments.rounds)
    for name, layers in FROZEN:
        figures.append(frozen(name, layers, arguments.batch, arguments.rounds))
    report("networks", "Networks", figures, arguments.out)


def beside_alexnet(batch: int, rounds: int) -> List[Figure]:
    """Processor time of a step of each network, the same ÷ AlexNet's, and the rate of its products (see `step`)."""
    figures, of_alexnet = [], []
    for name in OTHERS:
        with Step(batch, threads=1) as alexnet, Step(batch, backbone=name, threads=1) as other:
            busy = alternate({"alexnet": alexnet.run, name: other.run}, rounds, clock=time.process_time)
        of_alexnet += busy["alexnet"]
        figures += [Figure(f"a step of {name}, B = {batch}, processor time", busy[name], "s"),
                    Figure(f"a step of {name} ÷ of alexnet", ratios(busy[name], busy["alexnet"]), ""),
                    _rate(name, other.operations, busy[name])]
    return [Figure(f"a step of alexnet, B = {batch}, processor time", of_alexnet, "s"),
            _rate("alexnet", alexnet.operations, of_alexnet)] + figures


def _rate(name: str, products: int, seconds: Sequence[float]) -> Figure:
    return Figure(f"products of {name} on one thread", [products / 1e9 / each for each in seconds], "GFLOP/s")


def frozen(name: str, layers: Sequence[str], batch: int, rounds: int) -> Figure:
    """Processor time of a step with frozen layers ÷ with all layers trained."""
    with Step(batch, backbone=name, threads=1) as whole, Step(batch, backbone=name, threads=1, frozen=layers) as upper:
        busy = alternate({"whole": whole.run, "upper": upper.run}, rounds, clock=time.process_time)
    return Figure(f"a step of {name} with frozen_layers={','.join(layers)} ÷ without", ratios(
        busy["upper"], busy["whole"]), "")


def operations(name: str, batch: int) -> int:
    """Floating-point operations of an iteration, counted from its graph of TensorFlow's own operations."""
    from masf_core.graph_check.cost import costs, total
    from masf_core.method import meta_step
    from masf_core.network.backbone import make_backbone
    from masf_core.tf1 import tf

    with tf.Graph().as_default() as graph:
        built = meta_step.build(make_backbone(name, 7), meta_step.StepSettings(
            meta_batch_size=batch, source_domains=3))
        return total(costs(graph, [built.train] + list(built.scalars.values()))).flops


if __name__ == "__main__":
    main()
