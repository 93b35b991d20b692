"""Look through the graphs of a configuration for what an Ascend 910 refuses, and say what an iteration costs there.

Builds training and evaluation as on a card, without weights or data, and lists their operations with static shapes and
types, their arithmetic and memory traffic, and a predicted time. Classes and domains are those of PACS unless
num_classes and domains say otherwise. The adapter's operations are in the graph where it is installed; what takes their
place elsewhere is said at the top.
"""

from __future__ import annotations

import json
import os

from job.commands.bench import refuse_misspelt, whole_number
from job.config.flags import read_flags, unknown_flag
from job.config.loading import load_config
from job.environment import read_environment
from job.errors import ConfigError
from job.exits import DONE, FOUND

TAKES_SETTINGS = True
OWN_FLAGS = ("ops", "json", "ranks")
EXAMPLES = """
  python -m job check-graph --config=configs/pacs_cartoon.yaml
  python -m job check-graph --config=configs/pacs_cartoon.yaml --ops | grep Conv2D
  python -m job check-graph --config=configs/pacs_cartoon.yaml --meta_batch_size=128 --ranks=8
  python -m job check-graph --backbone=squeezenet --num_classes=65 --domains=art,clipart,product,real --json
Exit code 0: no problem found; 6: there are problems, each with what, why and how to mend it; 2: configuration.
"""


def add_arguments(parser):
    parser.add_argument("--ops", action="store_true", help="list every single operation")
    parser.add_argument("--ranks", metavar="N", help="cards that the batch is shared by (default: RANK_SIZE, or 1)")
    parser.add_argument("--json", action="store_true", help="print one JSON document, with every operation")


def main(args, console):
    """Print to standard output."""
    refuse_misspelt(args.settings, OWN_FLAGS)
    refuse_platforms(args.settings)
    environment = read_environment(os.environ)
    config, _ = load_config(args.settings, fallback=environment.urls)
    console.set_log_level(config.platform.log_level)
    from job.preflight.graph import check, document, text  # bring TensorFlow, which takes seconds

    checked = check(config, environment.rank_size if args.ranks is None else whole_number("ranks", args.ranks))
    console.close()
    print(json.dumps(document(checked), indent=1) if args.json else "\n".join(text(checked, args.ops)))
    return FOUND if checked.problems else DONE


def refuse_platforms(words):
    """The platform does not start this command: a flag of the platform was meant to change something here. Raises
    ConfigError."""
    platforms = read_flags(words).platform
    if platforms:
        raise ConfigError([unknown_flag(each) for each in platforms])
