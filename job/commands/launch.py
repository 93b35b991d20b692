"""Start the processes of this machine, one a card, where the platform starts the boot file once.

Each gets its rank in its environment, as ModelArts gives it on Ascend; its lines begin with its rank. If one fails, the
others are stopped, and its exit code is this command's.
"""

from __future__ import annotations

import argparse
import os

from job.errors import ConfigError
from job.ranks.launch import job_command, launch, number_of_processes

EXAMPLES = """
  python -m job launch --processes 8 -- run --config=configs/pacs_cartoon.yaml --data_url=obs://bucket/pacs/
  python -m job launch --processes 2 -- bench --iterations 20
"""


def add_arguments(parser):
    parser.add_argument("--processes", metavar="N", required=True, help="how many, one a card")
    parser.add_argument("words", metavar="-- COMMAND ...", nargs=argparse.REMAINDER, help="what each of them does")


def main(args, console):
    """Returns the exit code."""
    words = args.words[1:] if args.words[:1] == ["--"] else args.words
    if not words:
        raise ConfigError("nothing to start: give the command after --, as in launch --processes 2 -- run …")
    return launch(number_of_processes(args.processes), job_command(words), os.environ)
