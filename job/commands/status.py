"""Show what ModelArts knows of a job: phase, tasks with their exit codes, restarts, events."""

from __future__ import annotations

import argparse

from job.console import Console
from job.exits import DONE
from job.modelarts.session import add_job, add_json
from job.standard_output import encodable, json_text, telling

EXAMPLES = """
  python -m job status masf-cartoon
  python -m job status masf-cartoon --json
Exit code 0: done; 2: wrong usage, or there is no such job; 8: ModelArts refused the request, or could not be reached.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_job(parser)
    add_json(parser)


def main(args: argparse.Namespace, console: Console) -> int:
    """Print to standard output."""
    from job.modelarts.descriptions import status_document, status_lines
    from job.modelarts.errors import AccessRefused
    from job.modelarts.listing import with_run
    from job.modelarts.names import find_job
    from job.modelarts.session import open_session
    from job.modelarts.submitted_run import RunReader

    session = open_session(args.region)
    told = with_run(RunReader(session.open_at), find_job(session.service, args.name))
    try:
        events = session.service.events(told[0].id)
    except AccessRefused:
        events = None
    with telling(DONE):
        print(json_text(status_document(*told, events)) if args.json
              else encodable("\n".join(status_lines(*told, events))))
    return DONE
