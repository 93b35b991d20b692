"""List the jobs of ModelArts, the newest first: phase, duration, run, target domain, newest accuracy.

The accuracy comes from the metrics.jsonl of each run in OBS. Where the access key may not read it, the column says so.
"""

from __future__ import annotations

import argparse

from job.console import Console
from job.exits import DONE
from job.modelarts.session import add_json, add_region
from job.standard_output import encodable, json_text, telling

EXAMPLES = """
  python -m job jobs
  python -m job jobs --name=cartoon --limit=5 --json
Exit code 0: done; 2: wrong usage; 8: ModelArts refused the request, or could not be reached.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", default="", metavar="TEXT", help="only jobs whose name holds this text")
    parser.add_argument("--limit", type=positive, default=20, metavar="N", help="at most so many jobs (default: 20)")
    add_region(parser)
    add_json(parser)


def positive(text: str) -> int:
    """A whole number from 1 on."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return number


def main(args: argparse.Namespace, console: Console) -> int:
    """Print to standard output."""
    from job.modelarts.descriptions import JOB_TITLES, columns, job_document, job_row
    from job.modelarts.listing import list_jobs
    from job.modelarts.session import open_session

    session = open_session(args.region)
    found, more = list_jobs(session.service, session.open_at, args.name, args.limit)
    with telling(DONE):
        if args.json:
            print(json_text({"jobs": [job_document(*each) for each in found], "more": more}))
        elif not found:
            print("there are no jobs" + (f" whose name holds {encodable(repr(args.name))}" if args.name else ""))
        else:
            print(encodable("\n".join(columns([JOB_TITLES] + [job_row(*each) for each in found]))))
            if more:
                print(f"there are more; --limit={2 * args.limit} shows them")
    return DONE
