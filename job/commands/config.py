"""Print the configuration that a command line resolves to, as a file that can be used again."""

from __future__ import annotations

import os

from job.config_load import load_config, to_yaml, warn_of_unknown
from job.environment import read_environment
from job.exits import DONE
from job.sync_output import telling

TAKES_SETTINGS = True
EXAMPLES = """
  python -m job config --config=configs/pacs_cartoon.yaml --seed=3
  python -m job config --train_iterations=1000 > my_run.yaml
"""


def add_arguments(parser):
    """None of its own; see ``job.config``."""


def main(args, console):
    """Print to standard output; what is ignored goes to the log."""
    environment = read_environment(os.environ)
    config, provenance = load_config(args.settings, fallback=environment.urls, tolerant=environment.on_modelarts)
    warn_of_unknown(args.settings)
    with telling(DONE):
        print(to_yaml(config, provenance), end="")
