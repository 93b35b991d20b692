"""List the engines of ModelArts: the images that it provides."""

from __future__ import annotations

import argparse

from job.console import Console
from job.exits import DONE
from job.modelarts.session import add_json, add_region
from job.standard_output import encodable, json_text, telling

EXAMPLES = """
  python -m job engines
  python -m job engines --region=cn-north-4 --json
Exit code 0: done; 2: wrong usage; 8: ModelArts refused the request, or could not be reached.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_region(parser)
    add_json(parser)


def main(args: argparse.Namespace, console: Console) -> int:
    """Print to standard output."""
    from job.modelarts.descriptions import columns, engine_rows
    from job.modelarts.session import open_session

    engines = open_session(args.region).service.engines()
    with telling(DONE):
        if args.json:
            print(json_text({"engines": [each._asdict() for each in engines]}))
        else:
            print(encodable("\n".join(columns(engine_rows(engines)))))
    return DONE
