"""Show what a run has stored: its objects, its accuracy interval by interval, and its attempts.

With --follow the command tells each interval as it is published, and ends when the run ends. It reads nothing but the
run's folder. Its exit code is that of the run. A run that does not exist yet is waited for.
"""

from __future__ import annotations

import argparse
from typing import Any, Sequence

from job.console import Console
from job.exits import DONE, INTERRUPTED
from job.standard_output import encodable, json_text, telling
from job.stopping import begin_line

EXAMPLES = """
  python -m job show obs://bucket/output/masf_cartoon
  python -m job show masf-work/output/masf_cartoon --json
  python -m job show obs://bucket/output/masf_cartoon --follow
With --follow: the exit code of the run; 1 if it has shown no sign of life for half an hour; 130 after Ctrl-C, which
does not stop the run.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="the folder train_url/run_name of the run: a URL or a local path")
    parser.add_argument("--follow", "-f", action="store_true", help="tell what happens in the run until it ends")
    parser.add_argument("--json", action="store_true",
                        help="print one JSON document; with --follow, one in each line for each event")


def main(args: argparse.Namespace, console: Console) -> int:
    """Print to standard output."""
    from job.reports.show import describe_run, run_document
    from obs_sync import open_store

    with open_store(args.run) as store:
        if args.follow:
            return _follow(store, args.json)
        told = json_text(run_document(store)) if args.json else encodable(describe_run(store))
    with telling(DONE):
        print(told)
    return DONE


def _follow(store: Any, as_json: bool) -> int:
    from job.reports.events import Event, print_events
    from job.reports.watch import follow_run

    def tell(events: Sequence[Event]) -> None:
        print_events(events, as_json)

    try:
        return follow_run(store, tell)
    except KeyboardInterrupt:
        begin_line()
        return INTERRUPTED
