"""Look whether a run can work here, before anything expensive: run it in a ModelArts notebook, or at a job's beginning.

Takes the settings of `python -m job run`. Checks versions, packages and devices, the place among the job's processes,
what may be done at data_url and train_url and how fast, domains, classes and weights by names and sizes, the lease on
the run name, what would be resumed, and the disk. Below train_url it stores a small object and removes it again.
"""

from __future__ import annotations

import json
import os
import sys

from job.commands.bench import refuse_misspelt
from job.config.loading import load_config
from job.environment import read_environment
from job.errors import ConfigError
from job.exits import DONE, FOUND
from job.preflight.rows import BAD, GOOD, NONE, NOTE, Limit, line_of, run_checks
from job.stopping import StopRequest

TAKES_SETTINGS = True
OWN_FLAGS = ("json",)
SECONDS = 40.0  # a check that has not ended by then is given up
EXAMPLES = """
  python -m job doctor --config=configs/pacs_cartoon.yaml --data_url=obs://bucket/pacs/ --train_url=obs://bucket/output/
  python -m job doctor --data_url=/data/pacs --weights_path=none --json
Exit code 0: nothing to mend; 6: something is, with what to do about it; 130, 143: stopped from outside. It ends within
a minute, whatever the network does.
"""


def add_arguments(parser):
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def main(args, console):
    """Print to standard output, row by row as they come."""
    from job.preflight.checks import Preflight  # brings the OBS SDK

    refuse_misspelt(args.settings, OWN_FLAGS)
    config, problem = resolve(args.settings, os.environ)
    console.set_log_level("warning" if config.platform.log_level == "info" else config.platform.log_level)
    limit, rows = Limit(SECONDS), []
    with StopRequest() as stop, Preflight(config, problem, os.environ, limit) as preflight:
        checks = preflight.checks()
        width = max(len(name) for name, _ in checks)
        for row in run_checks(checks, limit, stop.check):
            rows.append(row)
            if not args.json:
                print(line_of(row, width, sys.stdout.encoding), flush=True)
    bad = sum(row.state == BAD for row in rows)
    if args.json:
        print(json.dumps({"ok": not bad, "checks": [row._asdict() for row in rows]}, indent=1))
    else:
        good, none, note = (sum(row.state == state for row in rows) for state in (GOOD, NONE, NOTE))
        print("\n{}; {} in order, {}{} not applicable or not looked at".format(
            f"{bad} to mend" if bad else "nothing to mend", good, f"{note} to note, " if note else "",
            none))
    return FOUND if bad else DONE


def resolve(words, environ):
    """(``Config``, what is wrong with the words or None): the mistaken ones are left out, so that the rest is checked.
    """
    try:
        fallback = read_environment(environ).urls
    except ConfigError:
        fallback = {}
    try:
        return load_config(words, fallback).config, None
    except ConfigError as error:
        problem = error
    usable = []
    for flag in flags_with_values(words):
        try:
            load_config(usable + flag, fallback)
            usable += flag
        except ConfigError:
            pass
    return load_config(usable, fallback).config, problem


def flags_with_values(words):
    """The words in groups: a flag, and the bare words behind it."""
    groups = []
    for word in words:
        if word.startswith("--") or not groups:
            groups.append([])
        groups[-1].append(word)
    return groups
