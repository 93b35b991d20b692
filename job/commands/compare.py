"""Compare runs interval by interval, for example MASF and DeepAll, or the rows of the paper's Table 3.

The command prints a table. The interval that the selection policy of a run chose is bold. --page also draws curves.
"""

from __future__ import annotations

import argparse
import posixpath

from job.console import Console
from job.exits import DONE
from job.standard_output import encodable, json_text, telling

EXAMPLES = """
  python -m job compare output/deepall_cartoon output/masf_cartoon
  python -m job compare obs://bucket/output/deepall obs://bucket/output/masf --page compared.html
  python -m job compare output/deepall_cartoon output/masf_cartoon --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", metavar="RUN",
                        help="the folder train_url/run_name of a run: a URL or a local path")
    parser.add_argument("--page", metavar="FILE", help="also write a page with curves to this file, for any browser")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of the table")


def main(args: argparse.Namespace, console: Console) -> None:
    """Print to standard output."""
    from job.reports.compare import document, outcome, page, read_candidate, table
    from masf_core.records.files import replace_text
    from obs_sync import LocalStorageError, open_store

    candidates = []
    for run in args.runs:
        with open_store(run) as store:
            candidates.append(read_candidate(store, posixpath.basename(run.rstrip("/"))))
    if args.page:
        try:
            replace_text(args.page, page(candidates))
        except OSError as error:
            raise LocalStorageError(f"cannot be written ({error.strerror})", args.page,
                                    "Choose another file with --page") from error
    with telling(DONE):  # after the page, which is written even if nobody reads the table
        if args.json:
            print(json_text(document(candidates)))
            return
        print(encodable("\n".join(table(candidates))))
        print(encodable("\n" + "\n".join(outcome(each) for each in candidates)))
