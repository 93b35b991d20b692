"""Start one rank (training process) for each card of this machine, where the platform starts the boot file only once.

Each rank gets its number in environment variables, as on ModelArts with Ascend. Each line that a rank prints begins
with this number. If one rank fails, this command stops the others and ends with the exit code of that rank.
"""

from __future__ import annotations

import argparse
import os

from job.console import Console
from job.errors import ConfigError
from job.ranks.launch import job_command, launch, number_of_processes

EXAMPLES = """
  python -m job launch --processes 8 -- run --config=configs/pacs_cartoon.yaml --data_url=obs://bucket/pacs/
  python -m job launch --processes 2 -- bench --iterations 20
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--processes", metavar="N", required=True, help="number of ranks, one for each card")
    parser.add_argument("words", metavar="-- COMMAND ...", nargs=argparse.REMAINDER,
                        help="the command of each rank, as in: -- run --config=FILE")


def main(args: argparse.Namespace, console: Console) -> int:
    """Returns the exit code."""
    words = args.words[1:] if args.words[:1] == ["--"] else args.words
    if not words:
        raise ConfigError("launch has no command to start; give it after --, as in: "
                          "launch --processes 2 -- run --config=FILE")
    return launch(number_of_processes(args.processes), job_command(words), os.environ)
