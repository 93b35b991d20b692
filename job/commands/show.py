"""Show what a run has stored: its objects, its accuracy interval by interval, and its attempts."""

from __future__ import annotations

import argparse

from job.console import Console
from job.exits import DONE
from job.standard_output import encodable, telling

EXAMPLES = """
  python -m job show obs://bucket/output/masf_cartoon
  python -m job show masf-work/output/masf_cartoon
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="the folder train_url/run_name of the run: a URL or a local path")


def main(args: argparse.Namespace, console: Console) -> None:
    """Print to standard output."""
    from job.reports.show import describe_run
    from obs_sync import open_store

    with open_store(args.run) as store:
        told = describe_run(store)
    with telling(DONE):
        print(encodable(told))
