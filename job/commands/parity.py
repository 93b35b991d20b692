"""Compare this machine's arithmetic with recorded numbers of the reference graph, at the full size of AlexNet.

A case is a JSON file as in tests/golden/. The README there describes its format, and how weights and images are made.
For each quantity, parity prints the largest relative difference and its tolerance. If a difference is near its
tolerance, the iterations run again with inputs and weights moved by about one unit in the last place. The distance by
which that moves a quantity is its spread. Five times the spread is accepted too, and a case that needs it is called
ill-conditioned.
"""

from __future__ import annotations

import argparse
import os
import time

from job.card_paths import ascend_settings, on_card, place_below
from job.config.settings import Ascend
from job.console import Console
from job.environment import default_work_dir
from job.errors import ConfigError, NoSuchData
from job.ranks.group import ALONE
from job.shipped import parity_cases
from job.standard_output import shown, telling
from masf_core.errors import ParityError

EXAMPLES = """
  python -m job parity
  python -m job parity tests/golden/balanced.json --device=ascend
Exit code 0: every difference is within its tolerance, or rounding explains it in an ill-conditioned case; 3: a file is
not a case, or it is damaged; 4: a file does not exist; 5: a difference exceeds its tolerance. If the difference is in
the first iteration, this machine computes something else. If it is only in later iterations, the reason can be a
triplet that chose another negative image, which depends on the number of threads: try --intra_op_threads=2, then
--intra_op_threads=1.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("cases", nargs="*", metavar="CASE.json",
                        help="files of recorded numbers (default: the three cases that come with the code)")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "gpu", "ascend"],
                        help="device that computes; auto takes the best one present (default: %(default)s)")
    parser.add_argument("--precision", default="auto", choices=["auto", "float32", "mixed"],
                        help="precision of matrix products and convolutions; auto is mixed on Ascend, whose 910 has no "
                             "float32 convolution, and float32 elsewhere (default: %(default)s)")
    parser.add_argument("--precision_mode", metavar="MODE", help="the Ascend adapter's own precision mode")
    parser.add_argument("--intra_op_threads", type=int, default=0, metavar="N",
                        help="number of threads of one operation; 0 takes every core (default: %(default)s)")
    parser.add_argument("--draws", type=int, default=8, metavar="N",
                        help="largest number of perturbed runs that measure the spread; 0 measures none and accepts "
                             "only the tolerances (default: %(default)s)")
    parser.add_argument("--scale_tolerance", type=float, default=1.0, metavar="FACTOR",
                        help="factor for everything that is accepted, for arithmetic that is less precise than float32")


def main(args: argparse.Namespace, console: Console) -> None:
    """Run every case and print its table; raise ParityError at the end if a difference exceeds its tolerance."""
    from masf_core.devices import choice
    from masf_core.parity import case as parity_case, comparison, spread, verdict

    paths = args.cases or parity_cases()
    if not paths:
        raise ConfigError("the cases that come with the code are missing; give the files of other cases")
    for path in paths:
        if not os.path.exists(path):
            raise NoSuchData(f"the file {path} does not exist; expected a parity case")
    cases = [(path, parity_case.load_case(path)) for path in paths]  # all are read before the first one runs
    place = place_below(default_work_dir(), "parity", ALONE)
    here = choice.make_device(args.device, args.precision, args.precision_mode, args.intra_op_threads,
                              ascend=ascend_settings(Ascend(), place))
    failed = []
    for path, case in cases:
        started = time.monotonic()
        with on_card(here.name, place, os.environ):
            differences = comparison.run_case(
                case, here, console.task("parity", "iterations", log_lines=False), args.scale_tolerance, args.draws)
        exceeded = [item for item in differences if item.exceeded]
        with telling():
            print(f"{shown(path)} on {here.name} in {'mixed precision' if here.mixed else 'float32'}:")
            print("\n".join("  " + line for line in verdict.table(differences)))
            remark = spread.remark(differences)
            if remark:
                print("  " + remark)
            print(f"  {len(differences) - len(exceeded)} of {len(differences)} quantities within tolerance, "
                  f"{time.monotonic() - started:.0f} s\n")
        if exceeded:
            failed.append(f"{path}: {verdict.verdict(differences, here.mixed, here.name == 'cpu')}")
    if failed:
        raise ParityError("these are not the numbers of the reference: " + "; ".join(failed))
