"""Print the configuration that a command line resolves to, as a file that can be used again."""

from __future__ import annotations

import os

from job.config_load import load_config, to_yaml
from job.environment import read_environment

TAKES_SETTINGS = True
EXAMPLES = """
  python -m job config --config=configs/pacs_cartoon.yaml --seed=3
  python -m job config --train_iterations=1000 > my_run.yaml
"""


def add_arguments(parser):
    """None of its own; see ``job.config``."""


def main(args, console):
    """Print to standard output; what is ignored goes to the log."""
    config, provenance = load_config(args.settings, fallback=read_environment(os.environ).urls)
    print(to_yaml(config, provenance), end="")
