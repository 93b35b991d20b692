"""Train: what boot_modelarts.py does."""

from __future__ import annotations

import logging
import os

from job.config.loading import load_config, to_yaml, warn_of_unknown
from job.environment import read_environment
from job.ranks.group import join
from job.ranks.launch import job_command, launch, number_of_processes
from job.stopping import StopRequest

TAKES_SETTINGS = True
EXAMPLES = """
  python -m job run --config=configs/pacs_cartoon.yaml --data_url=obs://bucket/pacs/ --train_url=obs://bucket/output/
  python -m job run --data_url=/data/pacs --weights_path=none --width=0.125 --train_iterations=20
  python -m job run --processes=8 --config=configs/pacs_cartoon.yaml --data_url=obs://bucket/pacs/ …
With --processes this machine's processes are started, one a card, where the platform has not done so.
Not even SIGKILL loses work that was published: run the same command again, and it goes on.
"""

log = logging.getLogger(__name__)


def add_arguments(parser):
    parser.add_argument("--processes", metavar="N", default="1",
                        help="train on N cards of this machine (default %(default)s, or what the platform started)")


def main(args, console):
    """Resolve the configuration, then run the job with it."""
    environment = read_environment(os.environ)
    processes = number_of_processes(args.processes)
    if processes > 1 and "RANK_ID" not in os.environ:
        # What is wrong shall be said once.
        load_config(args.settings, fallback=environment.urls, tolerant=environment.on_modelarts)
        return launch(processes, job_command(["run"] + args.settings), os.environ)
    config, provenance = load_config(args.settings, fallback=environment.urls, tolerant=environment.on_modelarts)
    console.set_log_level(config.platform.log_level)
    if environment.rank_id:
        console.set_log_level(quieter(config.platform.log_level))
    log.info("configuration of run %s:\n%s", config.run_name, to_yaml(config, provenance).rstrip())
    strange = args.settings if environment.rank_id == 0 else []  # one process tells it for all
    warn_of_unknown(strange)
    try:
        train(config, environment, console)
    finally:
        warn_of_unknown(strange)


def train(config, environment, console):
    """Do this process's part of the job."""
    with StopRequest() as stop:
        console.stop = stop
        from masf_core.memory import keep_freed_memory  # brings NumPy

        keep_freed_memory()
        console.detach()
        work_dir = config.platform.work_dir or environment.work_dir
        with join(environment, console, work_dir) as group:
            group.check_same_config(config)
            if group.rank == 0:
                from job.run import run_job as do
            else:
                from job.follower import follow as do  # brings TensorFlow, which takes seconds
            do(config, work_dir, config.run_name, console, os.environ, group)


def quieter(level):
    """What the processes beside rank 0 say: they would only repeat it."""
    return "warning" if level == "info" else level
