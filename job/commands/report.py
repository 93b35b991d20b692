"""Write the report of a run: one page for any browser, and its figures as SVG files.

A run writes its report itself when it is done. This command writes the report of any run, also of one that is running
or was stopped. The figures need matplotlib on this machine only. The worst mistakes and the features of the best
network are those that the run has stored when it was done. The command changes nothing in the run.
"""

from __future__ import annotations

import argparse
import os

from job.config.given_values import refuse_empty, refuse_url
from job.console import Console
from job.errors import ConfigError
from job.exits import DONE
from job.standard_output import encodable, telling

EXAMPLES = """
  python -m job report obs://bucket/output/masf_cartoon
  python -m job report masf-work/output/masf_cartoon --out=reports/masf_cartoon
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="the folder train_url/run_name of the run: a URL or a local path")
    parser.add_argument("--out", metavar="FOLDER", default="report",
                        help="local folder for report.html and the SVG files, outside RUN (default: report)")


def main(args: argparse.Namespace, console: Console) -> None:
    """Write the files, and print where they are."""
    from job.reports.image_results import refuse_inside
    from job.reports.stored_report import stored_report
    from obs_sync import LocalStorageError, open_store

    refuse_empty([("RUN", args.run), ("--out", args.out)])
    refuse_url("--out", args.out)
    if os.path.exists(args.out) and not os.path.isdir(args.out):
        raise ConfigError(f"--out={args.out}: this is a file; expected a folder")
    refuse_inside(f"--out={args.out}", os.path.abspath(args.out), args.run, "report",
                  "give another folder with --out, or call the command in another folder")
    with open_store(args.run) as store:
        report = stored_report(store)
    try:
        os.makedirs(args.out, exist_ok=True)
        report.write(args.out)
    except OSError as error:
        raise LocalStorageError(f"cannot be written ({error.strerror})", args.out,
                                "Choose another folder with --out") from error
    with telling(DONE):
        print(encodable(os.path.join(args.out, "report.html")))
