"""Do the whole job on this machine: submit it to a mocked ModelArts, with its data in a mocked OBS."""

from __future__ import annotations

import argparse
import shlex
from typing import List, Optional, Sequence

from job.config.foreign_flags import unknown
from job.config.given_values import refuse_url
from job.config.make_variables import DRY_RUN
from job.config.near_miss import near_miss
from job.config.settings import settings
from job.console import Console
from job.errors import ConfigError

EXAMPLES = """
  python -m job dry-run
  python -m job dry-run --set train_iterations=20 target_domain=sketch
  python -m job dry-run --faults storm
  python -m job dry-run --platform_faults "RunJob nth=1 lose-node=0 log='interval 20'"
  python -m job dry-run --pacs_root /data/pacs/images --weights bvlc_alexnet.npy --config configs/pacs_cartoon.yaml
`make dry-run` installs what it needs and then does the same. It takes RESULTS= in place of --root, and PACS_ROOT=,
WEIGHTS=, CONFIG=, SET=, FAULTS=, PLATFORM_FAULTS= and FAULT_SEED= in place of the flags of these names.
"""
FLAGS = ("root", "pacs_root", "weights", "config", "set", "faults", "platform_faults", "fault_seed")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root", default="dry-run", metavar="DIR",
                        help="folder of everything that the dry run makes; it is used again (default: %(default)s)")
    parser.add_argument("--pacs_root", metavar="DIR",
                        help="folder of real images, domain/class/image (default: a miniature PACS is drawn)")
    parser.add_argument("--weights", metavar="FILE",
                        help="file of pretrained weights (default: random ones for alexnet, none for other networks)")
    parser.add_argument("--config", metavar="FILE", help="YAML file of settings (default: configs/dry_run.yaml)")
    parser.add_argument("--set", nargs="+", action="append", default=[], metavar="NAME=VALUE", dest="settings",
                        help="settings that override the file")
    parser.add_argument("--set_text", metavar="TEXT", default="", help=argparse.SUPPRESS)  # make's SET, as it is
    parser.add_argument("--faults", metavar="FAULTS",
                        help="faults of the mocked OBS while the job runs: storm, slow, flaky, or one fault such as "
                             "\"GetObject key=*.jpg nth=3 cut=0.5\" (obs_sync/FAULTS.md describes them)")
    parser.add_argument("--platform_faults", metavar="FAULTS",
                        help="faults of the mocked ModelArts: storm, node-loss, preemption, or one fault such as "
                             "\"RunJob nth=1 kill=5\" (docs/mock.md describes them)")
    parser.add_argument("--fault_seed", "--fault-seed", type=int, default=0, metavar="N",
                        help="seed of the faults that have a probability (default: %(default)s)")
    parser.add_argument("--lane", choices=("tf1", "tf2"),
                        help="lane of `make dry-run`, which sets this flag; the hints then name make's variables")


def main(args: argparse.Namespace, console: Console) -> int:
    """Returns the exit code of the job."""
    overrides = [item for group in args.settings for item in group] + words_of(args.set_text)
    problems = [problem for problem in map(problem_of, overrides) if problem]
    if problems:
        raise ConfigError(problems)
    for flag, given in (("--root", args.root), ("--pacs_root", args.pacs_root), ("--weights", args.weights)):
        refuse_url(flag, given)
    empty = [flag for flag, given in (("--faults", args.faults), ("--platform_faults", args.platform_faults))
             if given is not None and not given.strip()]
    if empty:
        raise ConfigError([f"{flag} is empty; expected a preset such as storm, or one fault; leave it out for none"
                           for flag in empty])
    from job.dry_run.hints import Request
    from job.dry_run.story import dry_run
    from obs_sync.mock import FaultError

    try:
        return dry_run(Request(args.root, args.pacs_root, args.weights, args.config, overrides, args.lane, args.faults,
                               args.fault_seed, args.platform_faults), console)
    except FaultError as error:
        raise ConfigError(f"--faults: {error}") from error


def words_of(text: str) -> List[str]:
    """The settings in one text, which are quoted as for a shell. Raises ConfigError if a quote is not closed."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ConfigError(f"SET={text}: {error}; quote a value with blanks as in SET=\"run_name=first 'domains=a,b "
                          "c'\"") from error


def problem_of(item: str) -> Optional[str]:
    """A sentence about what was given with --set, or None if it is the value of a setting."""
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


def explain_unknown(words: Sequence[str]) -> List[str]:
    """Sentences about words of the command line that this command does not know."""
    told = []
    for word in words:
        name, equals, value = word.lstrip("-").partition("=")
        if name.replace("-", "_") in settings():
            told.append(f"{word}: a setting is given to the dry run with --set, as in "
                        f"--set {name.replace('-', '_')}={value if equals else 'VALUE'}")
        else:
            told.append(unknown(f"unknown argument {word}", name, FLAGS, "--"))
    return told
