"""Do the whole job on this machine, against a mocked OBS."""

from __future__ import annotations

import argparse
import shlex

from job.config.foreign_flags import unknown
from job.config.make_variables import DRY_RUN
from job.config.near_miss import near_miss
from job.config.settings import settings
from job.errors import ConfigError

EXAMPLES = """
  python -m job dry-run
  python -m job dry-run --set train_iterations=20 target_domain=sketch
  python -m job dry-run --faults storm
  python -m job dry-run --pacs_root /data/pacs/images --weights bvlc_alexnet.npy --config configs/pacs_cartoon.yaml
`make dry-run` does the same and installs what it needs; there these are PACS_ROOT=, WEIGHTS=, CONFIG=, SET=, FAULTS=
and FAULT_SEED=.
"""


def add_arguments(parser):
    parser.add_argument("--root", default="dry-run", metavar="DIR",
                        help="everything lies below it, and is used again (default: %(default)s)")
    parser.add_argument("--pacs_root", metavar="DIR",
                        help="real images, domain/class/image (default: a miniature is drawn)")
    parser.add_argument("--weights", metavar="FILE",
                        help="pretrained weights (default: made up for alexnet, none for other networks)")
    parser.add_argument("--config", metavar="FILE", help="YAML file of settings (default: configs/dry_run.yaml)")
    parser.add_argument("--set", nargs="+", action="append", default=[], metavar="NAME=VALUE", dest="settings",
                        help="settings that differ from the file")
    parser.add_argument("--set_text", metavar="TEXT", default="", help=argparse.SUPPRESS)  # make's SET, as it is
    parser.add_argument("--faults", metavar="FAULTS",
                        help="have the mocked OBS fail on purpose while the job runs: storm, slow, flaky, or one fault "
                             "such as \"GetObject key=*.jpg nth=3 cut=0.5\" (obs_sync/mock/faults/plan.py lists them)")
    parser.add_argument("--fault_seed", type=int, default=0, metavar="N",
                        help="of the faults that have a probability (default: %(default)s)")
    parser.add_argument("--lane", metavar="LANE", help="what `make dry-run` runs in; hints then speak of make")


def main(args, console):
    """The exit code is the job's."""
    overrides = [item for group in args.settings for item in group] + words_of(args.set_text)
    problems = [problem for problem in map(problem_of, overrides) if problem]
    if problems:
        raise ConfigError(problems)
    from job.dry_run.hints import Request
    from job.dry_run.story import dry_run
    from obs_sync.mock import FaultError

    try:
        return dry_run(Request(args.root, args.pacs_root, args.weights, args.config, overrides, args.lane, args.faults,
                               args.fault_seed), console)
    except FaultError as error:
        raise ConfigError(f"--faults: {error}") from error


def words_of(text):
    """The settings in one text, quoted as for a shell. Raises ConfigError."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ConfigError(f"SET={text}: {error}; quote a value with blanks as in SET=\"run_name=first 'domains=a,b "
                          "c'\"") from error


def problem_of(item):
    """A sentence about a setting that was given with --set, or None where there is such a one."""
    name, equals, value = item.partition("=")
    if name.lstrip("-").replace("-", "_") in settings() and not name.startswith("-") and equals:
        return None
    if name.startswith("-"):
        return f"--set {item}: expected name=value, without dashes"
    variable = near_miss(name, DRY_RUN)
    if variable is not None and name.isupper():
        return f"--set {item}: not a setting, but a variable of make: make dry-run {variable}={value}"
    if not equals:
        return f"--set {item}: expected name=value"
    return unknown(f"--set {item}: unknown setting {name!r}", name, settings())


def explain_unknown(words):
    """Sentences about words of the command line that are nothing to this command."""
    told = []
    for word in words:
        name, equals, value = word.lstrip("-").partition("=")
        if name.replace("-", "_") in settings():
            told.append("{}: a setting is given to the dry run with --set, as in --set {}={}".format(
                word, name.replace("-", "_"), value if equals else "…"))
        else:
            told.append(unknown(f"unknown argument {word}", name,
                                ("root", "pacs_root", "weights", "config", "set", "faults", "fault_seed"), "--"))
    return told
