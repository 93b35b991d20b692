"""List the flavors of ModelArts: the kinds of nodes on which a job can run."""

from __future__ import annotations

import argparse

from job.console import Console
from job.exits import DONE
from job.modelarts.session import add_json, add_region
from job.standard_output import encodable, json_text, telling

KINDS = ("Ascend", "GPU", "CPU")
EXAMPLES = """
  python -m job flavors --kind=Ascend
  python -m job flavors --region=cn-north-4 --json
Exit code 0: done; 2: wrong usage; 8: ModelArts refused the request, or could not be reached.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kind", choices=KINDS, default="", help="only the flavors of one kind")
    add_region(parser)
    add_json(parser)


def main(args: argparse.Namespace, console: Console) -> int:
    """Print to standard output."""
    from job.modelarts.descriptions import columns, flavor_rows
    from job.modelarts.session import open_session

    flavors = open_session(args.region).service.flavors(args.kind)
    with telling(DONE):
        if args.json:
            print(json_text({"flavors": [each._asdict() for each in flavors]}))
        else:
            print(encodable("\n".join(columns(flavor_rows(flavors)))))
    return DONE
