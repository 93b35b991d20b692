"""Print the log of a job of ModelArts.

With --follow the command goes on until the job has ended and its log is whole; its exit code is then that of the job.
The log comes from ModelArts, or, if the access key may not read it there, from the object in OBS below the job's
log_url. With --log_url the command needs no right in ModelArts: NAME is then the id of the job. Phases and restarts
go to standard error.
"""

from __future__ import annotations

import argparse
from typing import Sequence

from job.console import Console
from job.exits import DONE
from job.modelarts.session import add_job, add_json

EXAMPLES = """
  python -m job logs masf-cartoon --follow
  python -m job logs masf-cartoon --task=worker-1 > worker-1.log
  python -m job logs 0f3cd3c8-1f5c-4f0d-9d6b-6f3a1c0a8e11 --log_url=obs://bucket/log/
Exit code 0: done; 2: wrong usage, or there is no such job or task; 4: the log in OBS cannot be read; 8: ModelArts
refused the request, or could not be reached. With --follow: the exit code of the job; 130 after Ctrl-C, which does not
stop the job.
"""
WITHOUT_RIGHTS = "With the id as NAME, --log_url=obs://bucket/folder/ reads the log without any right in ModelArts"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_job(parser)
    parser.add_argument("--follow", "-f", action="store_true", help="go on until the job ends")
    parser.add_argument("--task", default="", metavar="TASK",
                        help="a node of the job, such as worker-1 (default: the first)")
    parser.add_argument("--log_url", default="", metavar="URL",
                        help="folder in OBS with the job's log, for keys without rights in ModelArts")
    add_json(parser, "print a JSON document in each line: for each line of the log, each phase, each restart, the end")


def main(args: argparse.Namespace, console: Console) -> int:
    """Print to standard output."""
    from job.modelarts.errors import AccessRefused
    from job.modelarts.follow import follow, tell_log
    from job.modelarts.log_folder import open_log_folder, tell_log_object
    from job.modelarts.names import find_job
    from job.modelarts.session import open_session
    from job.reports.events import Event, print_events

    def tell(events: Sequence[Event]) -> None:
        print_events(events, args.json)

    if args.log_url:
        with open_log_folder(args.log_url, args.region) as store:
            return tell_log_object(store, args.name, args.task, tell, args.follow)
    try:
        session = open_session(args.region)
        job = find_job(session.service, args.name)
    except AccessRefused as error:
        raise AccessRefused(error.what, error.where, ". ".join(filter(None, (error.mend, WITHOUT_RIGHTS)))) from None
    if args.follow:
        return follow(session.service, job.id, session.open_at, tell, args.task)
    tell_log(session.service, job, session.open_at, tell, args.task)
    return DONE
