"""Stop a job of ModelArts, and say what it saved.

The job gets SIGTERM, publishes a last checkpoint and ends. The command waits for both: the end of the job, and its
record in the run's folder in OBS.
"""

from __future__ import annotations

import argparse
import logging

from job.console import Console
from job.exits import INTERRUPTED
from job.modelarts.session import add_job, add_json
from job.standard_output import encodable, json_text, telling
from job.stopping import begin_line

log = logging.getLogger(__name__)

EXAMPLES = """
  python -m job stop masf-cartoon
  python -m job stop masf-cartoon --timeout=60 --json
Exit code 0: the job has ended, and everything that it had is saved; 2: wrong usage, or there is no such job; 4: it has
ended, but not everything could be saved, or the folder of its run cannot be read; 8: it has not ended in time, or
ModelArts refused the request or could not be reached; 130: Ctrl-C, and ModelArts goes on stopping it.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_job(parser)
    parser.add_argument("--timeout", type=seconds, default=180.0, metavar="SECONDS",
                        help="wait no longer than this for the end and the last checkpoint (default: 180)")
    add_json(parser)


def seconds(text: str) -> float:
    """A number of seconds, not negative and not infinite."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0.0 <= number <= 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to 1,000,000")
    return number


def main(args: argparse.Namespace, console: Console) -> int:
    """Print to standard output."""
    from job.modelarts.names import find_job
    from job.modelarts.session import open_session
    from job.modelarts.stop import outcome_document, outcome_lines, stop_job

    session = open_session(args.region)
    job = find_job(session.service, args.name)
    try:
        outcome = stop_job(session.service, job, session.open_at, args.timeout)
    except KeyboardInterrupt:
        begin_line()
        log.info("not waiting any longer. `python -m job status %s` shows how the job goes on", job.id)
        return INTERRUPTED
    with telling(outcome.code):
        print(json_text(outcome_document(outcome)) if args.json
              else encodable("\n".join(outcome_lines(outcome))))
    if outcome.problem:
        log.error("%s", outcome.problem)
    return outcome.code
