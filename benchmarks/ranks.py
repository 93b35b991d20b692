"""Averaging over processes: bytes and seconds per iteration, for AlexNet's gradients and for the small sums.

Processes of this machine average tensors with the shapes that an iteration averages, and do nothing else: the task
gradient, the meta gradient, then the tensors of the global and the local loss. They share the cores and the memory of
the machine, so this is an upper bound for the cost of TensorFlow's runtime; between machines the link is the limit.
HCCL cannot be measured here.
"""
from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any, Dict, List

from benchmarks.measuring import Figure, parser, report

BATCH, DOMAINS, CLASSES, EMBEDDING = 128, 3, 7, 256
MEMBER = "MEMBER_OF_BENCHMARK"


def main() -> None:
    arguments = parser("benchmarks.ranks", __doc__, rounds=5)
    arguments.add_argument("--processes", type=int, nargs="+", default=[2, 4], metavar="N",
                           help="numbers of processes, measured one after the other (default 2 4)")
    arguments.add_argument("--width", type=float, default=1.0, help="width of AlexNet (default %(default)s)")
    arguments = arguments.parse_args()
    if os.environ.get(MEMBER):
        print(json.dumps(measured(arguments.rounds, arguments.width)))
        return
    found = {size: members(size, arguments.rounds, arguments.width) for size in arguments.processes}
    report("ranks", "Averaging over processes of one machine", figures(found), arguments.out)


def figures(found: Dict[int, Dict[str, Any]]) -> List[Figure]:
    """The figures of number of processes to result of ``measured``."""
    rows = [Figure("bytes averaged an iteration", [next(iter(found.values()))["bytes"] / 1e6], "MB",
                   limit="two sets of gradients, float32")]
    for size, each in found.items():
        rows += [
            Figure(f"{size} processes: bytes that each sends", [sent(each["bytes"], size) / 1e6], "MB",
                   limit="a ring"),
            Figure(f"{size} processes: the sums of the global and local loss",
                   [1000.0 * seconds for seconds in each["small"]], "ms", limit="latency"),
            Figure(f"{size} processes: averaging both sets of gradients and these sums", each["gradients"], "s",
                   limit="memory and cores shared by all")]
    return rows


def sent(size: int, ranks: int) -> float:
    """Bytes that each of ``ranks`` ranks sends in a ring to sum tensors of ``size`` bytes."""
    return 2 * size * (ranks - 1) / ranks


def members(size: int, rounds: int, width: float) -> Dict[str, Any]:
    """Starts a group of ``size`` processes; returns what its rank 0 measures."""
    from job.ranks.launch import free_port

    environ = dict(os.environ, RANK_SIZE=str(size), RANK_CONTROL=f"127.0.0.1:{free_port()}")
    environ[MEMBER] = "1"
    command = [sys.executable, "-m", "benchmarks.ranks", "--rounds", str(rounds), "--width", str(width)]
    started = [subprocess.Popen(command, env=dict(environ, RANK_ID=str(rank)), stdout=subprocess.PIPE)
               for rank in range(size)]
    outputs = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        sys.exit(f"a process failed: {[process.returncode for process in started]}")
    return json.loads(outputs[0].decode().splitlines()[-1])


def measured(rounds: int, width: float) -> Dict[str, Any]:
    """Bytes and lists of seconds, as this process of the group measures them."""
    from job.console import Console
    from job.environment import read_environment
    from job.ranks.group import join
    from masf_core.network import metric_net
    from masf_core.network.backbone import make_backbone
    from masf_core.tf1 import tf

    with join(read_environment(os.environ), Console(), os.curdir) as group:
        ranks = group.ranks("cpu")
        backbone = make_backbone("alexnet", CLASSES, width)
        theta = list(backbone.shapes().items())
        phi = list(metric_net.shapes(backbone.feature_width, metric_net.HIDDEN, metric_net.EMBEDDING).items())
        config = tf.ConfigProto(device_count={"GPU": 0})
        ranks.configure(config)
        with tf.Graph().as_default() as graph, ranks.placement():
            task, meta = ({name: tf.fill(shape, float(ranks.rank)) for name, shape in shapes}
                          for shapes in (theta, theta + phi))
            size = 4 * sum(tensor.shape.num_elements() for each in (task, meta) for tensor in each.values())
            rows = ranks.share(BATCH // DOMAINS)
            small = [ranks.total(tf.ones([CLASSES, CLASSES]), tf.ones([CLASSES]))[0].op for _ in range(DOMAINS)]
            small.append(ranks.union(tf.ones([DOMAINS * rows, EMBEDDING]), tf.ones([DOMAINS * rows], tf.int32),
                                     DOMAINS, BATCH // DOMAINS)[0].op)
            # A collective waits for the one before, so the group that is built last runs all of them.
            means = [tensor.op for each in (task, meta) for tensor in ranks.mean(each).values()]
            gradients, small = tf.group(*means), tf.group(*small)
        with tf.Session(ranks.target, graph=graph, config=config) as session:
            found = {"bytes": size, "gradients": timed(session, gradients, rounds),
                     "small": timed(session, small, 4 * rounds)}
        group.disband()
    return found


def timed(session: Any, operation: Any, rounds: int) -> List[float]:
    """Seconds of each run, without the first two."""
    seconds = []
    for _ in range(rounds + 2):
        started = time.perf_counter()
        session.run(operation)
        seconds.append(time.perf_counter() - started)
    return seconds[2:]


if __name__ == "__main__":
    main()
