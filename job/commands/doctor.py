"""Check whether a run can work here, before the run does anything expensive.

Use doctor in a ModelArts notebook, on the card, or on any machine with the credentials. It takes the settings of
`python -m job run`. It checks versions, packages, devices, the disk, and the rank of this process. It checks which
operations are allowed at data_url and train_url, and how fast they are. It checks domains, classes and weights by their
names and sizes. It says whether the run name is in use, and which checkpoint a run would resume. To test writing, it
stores a small object below train_url and deletes it again.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Iterable, List, Mapping, Optional, Sequence, Tuple

from job.commands.bench import refuse_misspelt
from job.config.loading import load_config
from job.config.settings import Config
from job.console import Console
from job.environment import read_environment
from job.errors import ConfigError
from job.exits import DONE, FOUND
from job.preflight.rows import BAD, GOOD, NONE, NOTE, Limit, line_of, run_checks
from job.printable import printable_lines
from job.standard_output import json_text, telling
from job.stopping import StopRequest

TAKES_SETTINGS = True
OWN_FLAGS = ("json",)
SECONDS = 40.0  # of all checks; a check that has not ended by then is abandoned
EXAMPLES = """
  python -m job doctor --config=configs/pacs_cartoon.yaml --data_url=obs://bucket/pacs/ --train_url=obs://bucket/output/
  python -m job doctor --data_url=/data/pacs --weights_path=none --json
Exit code 0: nothing to correct; 6: something to correct, and its row says how; 130, 143: stopped by a signal.
It ends within a minute, whatever the network does.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def main(args: argparse.Namespace, console: Console) -> int:
    """Print each row to standard output as soon as its check ends."""
    from job.preflight.checks import Preflight  # imports the OBS SDK

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
                with telling():
                    print(printable_lines(line_of(row, width, getattr(sys.stdout, "encoding", None))))
    bad = sum(row.state == BAD for row in rows)
    code = FOUND if bad else DONE
    with telling(code):
        if args.json:
            print(json_text({"ok": not bad, "checks": [row._asdict() for row in rows]}))
        else:
            good, none, note = (sum(row.state == state for row in rows) for state in (GOOD, NONE, NOTE))
            print(f"\n{f'{bad} to correct' if bad else 'nothing to correct'}; {good} in order, "
                  f"{f'{note} to note, ' if note else ''}{none} not applicable or not checked")
    return code


def resolve(words: Sequence[str], environ: Mapping[str, str]) -> Tuple[Config, Optional[ConfigError]]:
    """The configuration of a command line without its mistaken flags, and the error about them or None.

    The right flags count, so that doctor checks everything else in spite of a mistake.
    """
    try:
        fallback = read_environment(environ).urls
    except ConfigError:
        fallback = {}
    try:
        return load_config(words, fallback).config, None
    except ConfigError as error:
        problem = error
    usable: List[str] = []
    for flag in flags_with_values(words):
        try:
            load_config(usable + flag, fallback)
            usable += flag
        except ConfigError:
            pass
    return load_config(usable, fallback).config, problem


def flags_with_values(words: Iterable[str]) -> List[List[str]]:
    """The words in groups: a flag, and the words behind it that are no flags."""
    groups: List[List[str]] = []
    for word in words:
        if word.startswith("--") or not groups:
            groups.append([])
        groups[-1].append(word)
    return groups
