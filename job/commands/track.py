"""Copy a run into an experiment tracker: settings, metrics by iteration, tags, and the small files. For MLflow.

The command may be repeated at any time. It adds what is new, for example the latest intervals of a running run, and
changes nothing where the tracker has everything. It changes nothing in the run.
"""

from __future__ import annotations

import argparse
import logging

from job.config.given_values import secret_in_url
from job.console import Console
from job.errors import ConfigError
from job.exits import DONE
from job.standard_output import encodable, telling
from masf_core.words import plural

log = logging.getLogger(__name__)

EXAMPLES = """
  python -m job track obs://bucket/output/masf_cartoon --to mlflow:http://127.0.0.1:5000
  python -m job track masf-work/output/masf_cartoon --to mlflow:mlruns --experiment "PACS, seed 0"
It needs the extra `track`. Credentials of the server are read from MLFLOW_TRACKING_USERNAME and
MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN.
Exit code 0: done; 2: wrong usage or address; 4: the run cannot be read, or the server did not take everything.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="the folder train_url/run_name of the run: a URL or a local path")
    parser.add_argument("--to", metavar="mlflow:URI", required=True,
                        help="the tracker: mlflow: and the address of its server, or a local folder")
    parser.add_argument("--experiment", metavar="NAME", default="masf",
                        help="experiment in which the run is; it is created (default: masf)")


def main(args: argparse.Namespace, console: Console) -> None:
    """Print what was copied."""
    secret = secret_in_url("RUN", args.run)
    if secret:
        raise ConfigError(secret)
    from job.tracking.copying import copy_run
    from job.tracking.mlflow_tracker import open_mlflow
    from obs_sync import open_store

    tracker = open_mlflow(args.to, args.experiment)
    with open_store(args.run) as store:
        copied = copy_run(store, tracker)
    with telling(DONE):
        if copied.nothing:
            print(encodable(f"nothing is new: {copied.where}"))
        else:
            print(encodable(f"copied {plural(copied.values, 'value')}, {plural(copied.params, 'parameter')}, "
                            f"{plural(copied.tags, 'tag')} and {plural(len(copied.files), 'file')}: {copied.where}"))
