"""Wheels: the step under another build of TensorFlow than the lane's, process by process, in turn.

    python -m venv intel && intel/bin/pip install 'intel-tensorflow==1.15.2' 'protobuf<3.21' Pillow PyYAML
    python -m benchmarks.wheels intel/bin/python

Both run ``benchmarks.step`` on one batch size. The wall time of a step is compared pair by pair, and the share that
each reaches of the rate of its own matrix product. Intel's wheel needs OMP_NUM_THREADS set to the number of cores and
KMP_BLOCKTIME=0; this benchmark sets both.
"""
from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from typing import Dict

from benchmarks.measuring import Figure, lane, parser, ratios, report

BATCH = 42


def main() -> None:
    arguments = parser("benchmarks.wheels", __doc__, rounds=3)
    arguments.add_argument("python", help="interpreter of an environment that has the other wheel")
    arguments = arguments.parse_args()
    seconds, reached = {"own": [], "other": []}, {"own": [], "other": []}
    for _ in range(arguments.rounds):
        for name, python in (("own", sys.executable), ("other", arguments.python)):
            figures = step_figures(python)
            seconds[name].append(figures[f"a step, B = {BATCH}"])
            reached[name].append(figures[f"rate of a step ÷ rate of a product, B = {BATCH}"])
    title = f"a step with this lane's wheel ÷ with the other, B = {BATCH}"
    report("wheels", "Wheels", [
        Figure(title, ratios(seconds["own"], seconds["other"]), ""),
        Figure("the other's rate of a step ÷ rate of its own product", reached["other"], ""),
        Figure("this lane's", reached["own"], ""),
    ], arguments.out, ["The other wheel: " + described(arguments.python)])


def step_figures(python: str) -> Dict[str, float]:
    """Title to median of the figures of ``benchmarks.step`` under an interpreter."""
    cores = str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([python, "-m", "benchmarks.step", "--batch", str(BATCH), "--rounds", "2", "--alone",
                        "--out", directory], check=True, stdout=subprocess.DEVNULL,
                       env=dict(os.environ, OMP_NUM_THREADS=cores, KMP_BLOCKTIME="0"))
        with open(os.path.join(directory, f"{lane()}-step.json"), encoding="utf-8") as stream:
            return {figure["what"]: figure["median"] for figure in json.load(stream)["figures"]}


def described(python: str) -> str:
    """Name and version of the TensorFlow of an interpreter."""
    installed = subprocess.run([python, "-m", "pip", "freeze"], check=True, stdout=subprocess.PIPE,
                               universal_newlines=True).stdout.splitlines()
    return next((line for line in installed if "tensorflow==" in line), "no TensorFlow")


if __name__ == "__main__":
    main()
