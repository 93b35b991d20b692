"""The published measure: 99 iterations with 126 images of each of three domains; here a few of them on this processor.

The port's figures are those of accelerators. An iteration takes seconds on a processor, so only ``--iterations`` of
them run. The command is the same on any device: ``python -m job bench --iterations 99``.
"""
from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile

from benchmarks.measuring import Figure, parser, report

WHOLE = 99


def main() -> None:
    arguments = parser("benchmarks.published", __doc__, rounds=1)
    arguments.add_argument("--iterations", type=int, default=5)
    arguments = arguments.parse_args()
    seconds, first = [], []
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "bench.json")
        for _ in range(arguments.rounds):
            subprocess.run([sys.executable, "-m", "job", "bench", "--iterations", str(arguments.iterations),
                            "--device=cpu", "--json", path], check=True)
            with open(path) as stream:
                found = json.load(stream)
            seconds += found["seconds"]
            first.append(found["first"])
    report("published", "The published measure, on a processor", [
        Figure("an iteration of 3 × 126 images", seconds, "s", None, "the step; nothing waits for the host"),
        Figure(f"{WHOLE} of them, by the mean", [WHOLE * sum(seconds) / len(seconds)], "s"),
        Figure("the first iteration, in which TensorFlow compiles", first, "s"),
    ], arguments.out, ["The port is published with 115.6 s (Ascend 910, mixed), 133.4 s (GPU) and 198 s (Ascend 910, "
                       "the adapter's default: float16 convolutions, losses not scaled)."])


if __name__ == "__main__":
    main()
