"""Measure iterations as the published port does: total and mean time of 99 iterations, without evaluation or saving.

The port took 115.6 s on an Ascend 910 in mixed precision, 198 s there in the adapter's default mode, and 133.4 s on a
GPU, with 126 images of each of three domains in an iteration. This command draws random images and keeps them in
memory. Everything else of an iteration is as in a run.
"""

from __future__ import annotations

import argparse
import json
import os
from typing import Iterable, Sequence

from job.config.loading import load_config
from job.config.near_miss import near_miss
from job.console import Console
from job.environment import read_environment
from job.errors import ConfigError, NoSuchFolder
from job.exits import DONE
from job.ranks.group import join
from job.standard_output import telling

TAKES_SETTINGS = True
OWN_FLAGS = ("iterations", "json", "modelzoo")
EXAMPLES = """
  python -m job bench --iterations 99
  python -m job bench --iterations 99 --device=ascend --precision=mixed --json bench.json
  python -m job bench --iterations 5 --modelzoo > MASF_ID1191_for_TensorFlow_bs126_1p_perf.log
  python -m job launch --processes 8 -- bench --iterations 99 --meta_batch_size=128
  python -m job bench --iterations 5 --meta_batch_size=42 --width=0.5
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--iterations", default="99", metavar="N",
                        help="number of iterations to measure (default: %(default)s)")
    parser.add_argument("--json", metavar="FILE",
                        help="also write the seconds of every iteration to this file, as JSON")
    parser.add_argument("--modelzoo", action="store_true",
                        help="also print the result lines of ModelZoo's scripts, such as ActualFPS, for tools that "
                             "read them; as there, ActualFPS counts the images of one domain of three")


def main(args: argparse.Namespace, console: Console) -> None:
    """Print the table; write the JSON. Only rank 0 does."""
    iterations = whole_number("iterations", args.iterations)
    if args.json and not os.path.isdir(os.path.dirname(os.path.abspath(args.json))):
        raise NoSuchFolder(f"--json {args.json}: there is no folder {os.path.dirname(os.path.abspath(args.json))}; "
                           "make it, or give another file")
    environment = read_environment(os.environ)
    refuse_misspelt(args.settings)
    config, _ = load_config(args.settings, fallback=environment.urls)
    console.set_log_level(config.platform.log_level)
    from job.published_measure import measure, modelzoo_lines, table  # imports TensorFlow, which takes seconds
    from masf_core.memory import keep_freed_memory
    from masf_core.records.files import replace_text

    keep_freed_memory()
    work_dir = config.platform.work_dir or environment.work_dir
    with join(environment, console, work_dir) as group:
        group.check_same_config(config)
        found = measure(config, iterations, console.task("bench", "iterations", log_lines=False), work_dir, os.environ,
                        group)
    console.close()
    if group.rank:
        return
    if args.json:
        replace_text(args.json, json.dumps(dict(found._asdict(), total=found.total, mean=found.mean), indent=1) + "\n")
    with telling(DONE):
        print("\n".join(table(found) + (modelzoo_lines(found) if args.modelzoo else [])))


def refuse_misspelt(words: Iterable[str], own: Sequence[str] = OWN_FLAGS) -> None:
    """Refuse a flag whose name is a near miss of one of the command's ``own`` flags: no setting has such a name.

    Raises:
        ConfigError: there is one; names it.
    """
    for word in words:
        name = word[2:].partition("=")[0]
        meant = near_miss(name, own) if word.startswith("--") else None
        if meant:
            raise ConfigError(f"unknown flag --{name}; did you mean --{meant}?")


def whole_number(flag: str, text: str) -> int:
    """The value of ``flag``, a whole number from 1. Raises ConfigError if ``text`` is none."""
    if not text.isdigit() or int(text) < 1:
        raise ConfigError(f"--{flag}={text}: expected a whole number from 1")
    return int(text)
