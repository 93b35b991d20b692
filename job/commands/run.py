"""Train: the command that boot_modelarts.py runs."""

from __future__ import annotations

import argparse
import logging
import os
from typing import Optional

from job.config.loading import load_config, to_yaml, warn_of_unknown
from job.config.settings import Config
from job.console import Console
from job.environment import Environment, read_environment
from job.ranks.group import join
from job.ranks.launch import job_command, launch, number_of_processes
from job.stopping import StopRequest

TAKES_SETTINGS = True
EXAMPLES = """
  python -m job run --config=configs/pacs_cartoon.yaml --data_url=obs://bucket/pacs/ --train_url=obs://bucket/output/
  python -m job run --data_url=/data/pacs --weights_path=none --width=0.125 --train_iterations=20
  python -m job run --processes=8 --config=configs/pacs_cartoon.yaml --data_url=/data/pacs
--processes starts one rank for each card of this machine, unless the platform has started the ranks already.
Start the same command again to resume a run that was stopped or killed: it continues from its newest checkpoint.
"""

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--processes", metavar="N", default="1",
                        help="number of ranks to start, one for each card of this machine (default: %(default)s, or "
                             "the ranks that the platform has started)")


def main(args: argparse.Namespace, console: Console) -> Optional[int]:
    """Resolve the configuration, then run the job with it."""
    environment = read_environment(os.environ)
    processes = number_of_processes(args.processes)
    if processes > 1 and "RANK_ID" not in os.environ:
        # Checked here, so that a mistake is reported once and not by every rank.
        load_config(args.settings, fallback=environment.urls, tolerant=environment.on_modelarts)
        return launch(processes, job_command(["run"] + args.settings), os.environ)
    config, provenance = load_config(args.settings, fallback=environment.urls, tolerant=environment.on_modelarts)
    console.set_log_level(config.platform.log_level)
    if environment.rank_id:
        console.set_log_level(quieter(config.platform.log_level))
    log.info("configuration of run %s:\n%s", config.run_name, to_yaml(config, provenance).rstrip())
    strange = args.settings if environment.rank_id == 0 else []  # rank 0 warns for all ranks
    warn_of_unknown(strange)
    try:
        train(config, environment, console)
    finally:
        warn_of_unknown(strange)


def train(config: Config, environment: Environment, console: Console) -> None:
    """Do the part of the job that belongs to this rank."""
    with StopRequest() as stop:
        console.stop = stop
        from masf_core.memory import keep_freed_memory  # imports NumPy

        keep_freed_memory()
        console.detach()
        work_dir = config.platform.work_dir or environment.work_dir
        with join(environment, console, work_dir) as group:
            group.check_same_config(config)
            if group.rank == 0:
                from job.run import run_job as do
            else:
                from job.follower import follow as do  # imports TensorFlow, which takes seconds
            do(config, work_dir, config.run_name, console, os.environ, group)


def quieter(level: str) -> str:
    """The log level of the other ranks, which would repeat the lines of rank 0."""
    return "warning" if level == "info" else level
