"""Train: what boot_modelarts.py does."""

from __future__ import annotations

import logging
import os

from job.config_load import load_config, to_yaml
from job.environment import read_environment
from job.errors import ConfigError
from job.stopping import StopRequest

TAKES_SETTINGS = True
EXAMPLES = """
  python -m job run --config=configs/pacs_cartoon.yaml --data_url=obs://bucket/pacs/ --train_url=obs://bucket/output/
  python -m job run --data_url=/data/pacs --weights_path=none --width=0.125 --train_iterations=20
Not even SIGKILL loses work that was published: run the same command again, and it goes on.
"""

log = logging.getLogger(__name__)


def add_arguments(parser):
    """None of its own; see ``job.config``."""


def main(args, console):
    """Resolve the configuration, then run the job with it."""
    environment = read_environment(os.environ)
    if environment.rank_size > 1:
        raise ConfigError("RANK_SIZE={}: this version trains on one card; choose a flavour with one, or unset "
                          "RANK_SIZE".format(environment.rank_size))
    config, provenance = load_config(args.settings, fallback=environment.urls)
    console.set_log_level(config.platform.log_level)
    log.info("configuration of run %s:\n%s", config.run_name, to_yaml(config, provenance).rstrip())
    with StopRequest() as stop:
        console.stop = stop
        from job.run import run_job  # brings TensorFlow, which takes seconds
        from masf_core.memory import keep_freed_memory

        keep_freed_memory()
        console.check_stop()
        run_job(config, config.platform.work_dir or environment.work_dir, config.run_name, console, os.environ)
