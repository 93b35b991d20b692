"""Check the graphs of a configuration for operations that an Ascend 910 refuses, and predict the time of an iteration.

The command builds the graphs of training and evaluation as on a card, without weights or data. It lists their
operations with static shapes and types, their arithmetic and memory traffic, and a predicted time. Classes and domains
are those of PACS unless num_classes and domains say otherwise. Where the Ascend adapter is installed, its operations
are in the graph. Elsewhere the first lines say which operations stand for them.
"""

from __future__ import annotations

import argparse
import os
from typing import Iterable

from job.commands.bench import refuse_misspelt, whole_number
from job.config.flags import read_flags, unknown_flag
from job.config.loading import load_config
from job.console import Console
from job.environment import read_environment
from job.errors import ConfigError
from job.exits import DONE, FOUND
from job.standard_output import json_text, telling

TAKES_SETTINGS = True
OWN_FLAGS = ("ops", "json", "ranks")
EXAMPLES = """
  python -m job check-graph --config=configs/pacs_cartoon.yaml
  python -m job check-graph --config=configs/pacs_cartoon.yaml --ops | grep Conv2D
  python -m job check-graph --config=configs/pacs_cartoon.yaml --meta_batch_size=128 --ranks=8
  python -m job check-graph --backbone=squeezenet --num_classes=65 --domains=art,clipart,product,real --json
Exit code 0: no problem found; 2: wrong configuration; 6: there are problems, and each says what is wrong, why, and how
to correct it.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--ops", action="store_true", help="list every operation")
    parser.add_argument("--ranks", metavar="N", help="number of cards that share the batch (default: RANK_SIZE, or 1)")
    parser.add_argument("--json", action="store_true", help="print one JSON document that lists every operation")


def main(args: argparse.Namespace, console: Console) -> int:
    """Print to standard output."""
    refuse_misspelt(args.settings, OWN_FLAGS)
    refuse_platforms(args.settings)
    environment = read_environment(os.environ)
    config, _ = load_config(args.settings, fallback=environment.urls)
    console.set_log_level(config.platform.log_level)
    from job.preflight.graph import check, document, text  # imports TensorFlow, which takes seconds

    checked = check(config, environment.rank_size if args.ranks is None else whole_number("ranks", args.ranks))
    console.close()
    code = FOUND if checked.problems else DONE
    with telling(code):
        print(json_text(document(checked)) if args.json else "\n".join(text(checked, args.ops)))
    return code


def refuse_platforms(words: Iterable[str]) -> None:
    """Refuse flags that the platform adds to a job. The platform does not start this command, so a person gave them.

    Raises:
        ConfigError: there is one; names each.
    """
    platforms = read_flags(words).platform
    if platforms:
        raise ConfigError([unknown_flag(each) for each in platforms])
