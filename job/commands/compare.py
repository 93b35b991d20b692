"""Put runs beside each other, interval by interval: MASF and DeepAll, say, or the rows of the paper's Table 3.

Prints a table in which the interval that each run's selection policy chose is bold; --page writes curves as well.
"""

from __future__ import annotations

import posixpath

from job.exits import DONE
from job.standard_output import encodable, telling

EXAMPLES = """
  python -m job compare output/deepall_cartoon output/masf_cartoon
  python -m job compare obs://bucket/output/deepall obs://bucket/output/masf --page compared.html
"""


def add_arguments(parser):
    parser.add_argument("runs", nargs="+", metavar="RUN", help="train_url/run_name: a URL or a local folder")
    parser.add_argument("--page", metavar="FILE", help="write a page with curves there, for any browser")


def main(args, console):
    """Print to standard output."""
    from job.reports.compare import outcome, page, read_candidate, table
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
    with telling(DONE):  # last: the page is written even where nobody reads on
        print(encodable("\n".join(table(candidates))))
        print(encodable("\n" + "\n".join(outcome(each) for each in candidates)))
