"""Chaos: is anything ever wrong behind a network that breaks, with processes that are killed?

For each seed a tree is pushed and pulled in two versions (`transfers`), and a miniature run is trained to its end
(`training`). A proxy breaks four connections in ten at a random byte, and processes get SIGKILL or SIGTERM at a random
moment; they are started again until they succeed. Every file, the metrics and the final weights must then be what they
are without any disturbance, and every file and checkpoint that is visible on the way must be whole.

    python -m benchmarks.chaos --seeds 1-20
    python -m benchmarks.chaos --seeds 7 --only transfers
    python -m benchmarks.chaos --seeds 1-100000 --minutes 30

A seed fixes the trees, the places where connections break and the moments of the signals, all of them counted in bytes.
Transfers that race each other may still meet them in another order.
"""
from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import time
from typing import Dict, List

from benchmarks.chaos.tally import Tally
from benchmarks.chaos.training import prepare, training
from benchmarks.chaos.transfers import transfers
from benchmarks.measuring import Figure, lane, parser, report

SCENARIOS = ("transfers", "training")


def main() -> int:
    """Exit status: 0 when nothing was wrong, 1 otherwise."""
    arguments = parser("benchmarks.chaos", __doc__, rounds=1)
    arguments.add_argument("--seeds", type=_seeds, default=range(1, 6), metavar="FIRST-LAST",
                           help="one seed, or the first and the last of several (default 1-5)")
    arguments.add_argument("--only", choices=SCENARIOS, help="only one of the two scenarios")
    arguments.add_argument("--minutes", type=float, default=float("inf"),
                           help="begin no further seed after so many minutes")
    options = arguments.parse_args()
    logging.getLogger("obs_sync.mock").setLevel(logging.ERROR)  # it warns of each request that the proxy has cut
    scenarios = SCENARIOS if options.only is None else (options.only,)
    tallies = {name: Tally() for name in scenarios}
    started = time.monotonic()
    taken = _attack(options.seeds, tallies, started + 60 * options.minutes)
    _report(tallies, options.out, f"seeds {options.seeds[0]} to {taken}", time.monotonic() - started)
    return 1 if any(tally.wrong for tally in tallies.values()) else 0


def _seeds(text: str) -> range:
    first, _, last = text.partition("-")
    if not first.isdecimal() or not (last or first).isdecimal() or int(last or first) < int(first):
        raise argparse.ArgumentTypeError(f"{text!r} is neither a seed nor a range of seeds such as 1-20")
    return range(int(first), int(last or first) + 1)


def _attack(seeds: range, tallies: Dict[str, Tally], end: float) -> int:
    """Runs the scenarios with each seed; returns the last seed that was begun."""
    with tempfile.TemporaryDirectory(prefix="masf-chaos-") as directory:
        miniature = None
        if "training" in tallies:
            os.mkdir(os.path.join(directory, "undisturbed"))
            miniature = prepare(os.path.join(directory, "undisturbed"), tallies["training"])
        seed = seeds[0]
        for seed in seeds:
            for name, tally in tallies.items():
                with tempfile.TemporaryDirectory(dir=directory) as fresh:
                    if name == "transfers":
                        transfers(seed, fresh, tally)
                    elif miniature is not None:
                        training(seed, fresh, tally, miniature)
                print(f"seed {seed}, {name}: {_line(tally)}", flush=True)
            if time.monotonic() > end:
                break
        return seed


def _line(tally: Tally) -> str:
    return (f"{tally.runs} runs, {tally.processes} processes, {tally.kills + tally.stops} killed or stopped, "
            f"{tally.connections} connections, {sum(tally.mishaps.values())} broken or delayed, "
            f"{len(tally.wrong)} wrong")


def _report(tallies: Dict[str, Tally], out: str, seeds: str, seconds: float) -> None:
    figures: List[Figure] = []
    notes = [f"{lane()}: {seeds}, {seconds:.0f} s."]
    for name, tally in tallies.items():
        figures += [
            Figure(f"{name}: wrong results", [len(tally.wrong)], "", ("<=", 0)),
            Figure(f"{name}: runs compared", [tally.runs], ""),
            Figure(f"{name}: processes started", [tally.processes], ""),
            Figure(f"{name}: processes killed (SIGKILL)", [tally.kills], ""),
            Figure(f"{name}: processes stopped (SIGTERM)", [tally.stops], ""),
            Figure(f"{name}: processes that gave up with exit code 4", [tally.refusals], ""),
            Figure(f"{name}: connections", [tally.connections], ""),
            Figure(f"{name}: connections broken or delayed", [sum(tally.mishaps.values())], ""),
            Figure(f"{name}: bytes compared", [tally.compared / 1e6], "MB"),
        ]
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(tally.mishaps.items()))
        notes.append(f"Mishaps of {name} in {lane()}: {kinds or 'none'}.")
    report("chaos", "Chaos: broken connections and killed processes", figures, out, notes)
    for tally in tallies.values():
        for text in tally.wrong:
            print(f"WRONG: {text}")


if __name__ == "__main__":
    sys.exit(main())
