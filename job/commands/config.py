"""Print the configuration that a command line resolves to, as a YAML file that --config accepts."""

from __future__ import annotations

import argparse
import os

from job.config.loading import load_config, to_yaml, warn_of_unknown
from job.config.page import settings_page
from job.console import Console
from job.environment import read_environment
from job.errors import ConfigError
from job.exits import DONE
from job.standard_output import telling

TAKES_SETTINGS = True
EXAMPLES = """
  python -m job config --config=configs/pacs_cartoon.yaml --seed=3
  python -m job config --train_iterations=1000 > my_run.yaml
  python -m job config --markdown > docs/settings.md
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--markdown", action="store_true",
                        help="print the page docs/settings.md: every setting with its default, values and meaning")


def main(args: argparse.Namespace, console: Console) -> None:
    """Print to standard output. Flags that are ignored are logged."""
    if args.markdown and args.settings:
        raise ConfigError("--markdown describes every setting with its default and takes no other flag; got "
                          + " ".join(args.settings))
    if args.markdown:
        with telling(DONE):
            print(settings_page(), end="")
        return
    environment = read_environment(os.environ)
    config, provenance = load_config(args.settings, fallback=environment.urls, tolerant=environment.on_modelarts)
    warn_of_unknown(args.settings)
    with telling(DONE):
        print(to_yaml(config, provenance), end="")
