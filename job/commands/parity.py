"""Compare this machine's arithmetic with recorded numbers of the reference graph, at the full size of AlexNet.

A case is a JSON file as in tests/golden/, whose README states the format and the rule that makes weights and images.
Each quantity's largest relative difference is printed beside its tolerance.
"""

from __future__ import annotations

import os
import time

from job.errors import ConfigError, NoSuchData
from job.shipped import parity_cases
from masf_core.errors import ParityError

EXAMPLES = """
  python -m job parity
  python -m job parity tests/golden/balanced.json --device=ascend
Exit code 0: every difference is within its tolerance; 3: a file is no case, or a damaged one; 4: there is no such file;
5: a difference exceeds its tolerance. In the first iteration that means that something else is computed; if it does so
only later, a triplet that takes another negative can be the reason, which depends on the number of threads: try
--intra_op_threads=2, and 1.
"""


def add_arguments(parser):
    parser.add_argument("cases", nargs="*", metavar="CASE.json",
                        help="recorded numbers (default: the three cases that the package carries)")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "gpu", "ascend"], help="what computes")
    parser.add_argument("--precision", default="auto", choices=["auto", "float32", "mixed"],
                        help="precision of matrix products and convolutions; auto is mixed on Ascend, whose 910 has no "
                             "float32 convolution, and float32 elsewhere")
    parser.add_argument("--precision_mode", help="the Ascend adapter's own mode")
    parser.add_argument("--intra_op_threads", type=int, default=0, metavar="N", help="0 takes every core")
    parser.add_argument("--scale_tolerance", type=float, default=1.0, metavar="FACTOR",
                        help="multiplies every tolerance, for arithmetic that is coarser than float32")


def main(args, console):
    """Run every case, print its table, and fail at the end if one is out of tolerance."""
    from masf_core.devices import choice
    from masf_core.parity import comparison, case as parity_case

    paths = args.cases or parity_cases()
    if not paths:
        raise ConfigError("the cases that come with the code are missing; name files of your own")
    for path in paths:
        if not os.path.exists(path):
            raise NoSuchData(f"there is no file {path}; expected a parity case")
    cases = [(path, parity_case.load_case(path)) for path in paths]  # all read before the first one runs
    here = choice.make_device(args.device, args.precision, args.precision_mode, args.intra_op_threads)
    failed = []
    for path, case in cases:
        started = time.monotonic()
        differences = comparison.run_case(
            case, here, console.task("parity", "iterations", log_lines=False), args.scale_tolerance)
        print(f"{path} on {here.name} in {'mixed precision' if here.mixed else 'float32'}:")
        print("\n".join("  " + line for line in comparison.table(differences)))
        exceeded = [item for item in differences if item.exceeded]
        print(f"  {len(differences) - len(exceeded)} of {len(differences)} quantities within tolerance, "
              f"{time.monotonic() - started:.0f} s\n")
        if exceeded:
            failed.append("{}: {}".format(path, comparison.verdict(differences, here.mixed, here.name == "cpu")))
    if failed:
        raise ParityError("not the reference's numbers: " + "; ".join(failed))
