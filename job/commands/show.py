"""Show what a run has left behind: its objects, its accuracy interval by interval, its attempts."""

from __future__ import annotations

from job.exits import DONE
from job.standard_output import encodable, telling

EXAMPLES = """
  python -m job show obs://bucket/output/masf_cartoon
  python -m job show masf-work/output/masf_cartoon
"""


def add_arguments(parser):
    parser.add_argument("run", help="train_url/run_name: a URL or a local folder")


def main(args, console):
    """Print to standard output."""
    from job.reports.show import describe_run
    from obs_sync import open_store

    with open_store(args.run) as store:
        told = describe_run(store)
    with telling(DONE):
        print(encodable(told))
