"""Copy folders between OBS and this machine, and check or clean what is stored: pull, push, ls, verify, diff, gc.

URL is obs://bucket/folder/ or s3://bucket/folder/, with credentials from environment variables as in a job. A local
folder works in place of a URL. `python -m job sync ACTION --help` explains an action and gives examples.
"""

from __future__ import annotations

import argparse
import re
from typing import Any, NamedTuple, Optional, Tuple

from job.console import Console
from job.stopping import ended_by_sigterm

EXAMPLES = """
  python -m job sync pull obs://bucket/pacs/ /data/pacs
  python -m job sync push output/masf_cartoon obs://bucket/output/masf_cartoon/
  python -m job sync ls obs://bucket/output/
  python -m job sync verify obs://bucket/output/masf_cartoon/
Exit code 0: done, and verify and diff found no difference; 1: verify or diff found a difference; 2: wrong usage;
4: storage or the local disk failed; 130, 143: stopped by a signal.
"""

PATTERNS = """
Patterns: --include and --exclude choose keys. The first pattern that matches a key decides about it. A key that no
pattern matches is taken, unless the last pattern is an --include. Keys are relative to the URL, as in photo/dog/1.jpg.
* and ? match within one name, ** matches across folders, [a-z] matches one character. A pattern without / matches names
in every folder. A pattern that ends in / matches everything in that folder. Any other pattern starts at the beginning
of the key. Quote patterns, so that the shell does not expand them.
"""

TRANSFER = """
The command ends when everything is transferred and counted again, or it fails. Start it again to transfer what is
missing. --delete deletes what the source does not have, but nothing outside the destination, nothing that the patterns
leave out, no links, and nothing while the source is empty.
Exit code 0: done; 2: wrong usage; 4: storage or the local disk failed.
"""


class Action(NamedTuple):
    """A sub-command."""

    summary: str  # its line in the list of actions
    description: str
    examples: str
    places: Tuple[Tuple[str, bool], ...]  # (metavar, optional) of each place on the command line
    options: Tuple[str, ...]  # names in ``OPTIONS``


ACTIONS = {
    "pull": Action(
        "copy a folder from OBS to this machine",
        "Copy everything below URL to the folder PATH.\n" + PATTERNS + TRANSFER, """
  python -m job sync pull obs://bucket/pacs/ /data/pacs
  python -m job sync pull obs://bucket/pacs/ /data/pacs --include 'photo/**' --include '*.txt' --bandwidth 20
  python -m job sync pull obs://bucket/pacs/ /data/pacs --delete --dry-run""",
        (("URL", False), ("PATH", False)), ("patterns", "transfer", "work")),
    "push": Action(
        "copy a folder from this machine to OBS",
        "Copy everything below the folder PATH to URL, which may be given in any order.\n" + PATTERNS + TRANSFER, """
  python -m job sync push /data/pacs obs://bucket/pacs/
  python -m job sync push /data/pacs obs://bucket/pacs/ --exclude '*.tmp' --exclude '.git/' --dry-run
  python -m job sync push /data/pacs obs://bucket/pacs/ --delete --workers 4""",
        (("PATH", False), ("URL", False)), ("patterns", "transfer", "work")),
    "ls": Action(
        "list objects and their sizes", """\
List what is below URL: time (UTC), size in bytes, and key. The last line holds the totals.
""" + PATTERNS, """
  python -m job sync ls obs://bucket/output/
  python -m job sync ls obs://bucket/output/ --include '*.npz' --json""",
        (("URL", False),), ("patterns",)),
    "verify": Action(
        "check a folder against its objects, or published checkpoints", """\
With PATH: compare every file below PATH with its object, first by size, then by the digest that the store knows:
SHA-256, MD5, the MD5s of parts, or CRC-64. Where the store knows no digest, "size only" is printed. This is so through
moxing, and for encrypted objects, whose ETag is not an MD5. --full reads every object instead.
Without PATH: read every file of every checkpoint below URL, compare it with the checkpoint's marker, and print which
checkpoints are whole.
Exit code 0: no difference; 1: differences; 2: wrong usage; 4: storage or the local disk failed.
""" + PATTERNS, """
  python -m job sync verify obs://bucket/pacs/ /data/pacs
  python -m job sync verify obs://bucket/pacs/ /data/pacs --full
  python -m job sync verify obs://bucket/output/masf_cartoon/""",
        (("URL", False), ("PATH", True)), ("patterns", "full", "work")),
    "diff": Action(
        "print what a pull or a push would transfer", """\
List what is only at URL, what is only below PATH, and what differs. diff does not read files that a pull has fetched
and nobody has changed since; verify reads them.
Exit code 0: no difference; 1: differences; 2: wrong usage; 4: storage or the local disk failed.
""" + PATTERNS, """
  python -m job sync diff obs://bucket/pacs/ /data/pacs
  python -m job sync diff obs://bucket/pacs/ /data/pacs --exclude '*.txt' --json""",
        (("URL", False), ("PATH", False)), ("patterns", "work")),
    "gc": Action(
        "find what killed jobs left in a store, and delete it", """\
Find what killed jobs left: files of checkpoints without a marker, in folders called checkpoints; multipart uploads
that were never completed, which cost money although no listing shows them; shards that no pack names. gc finds only
files that are older than --older-than by the clock of the store, because a job may still be writing younger ones. It
deletes nothing without --delete.
Exit code 0: done; 2: wrong usage; 4: storage failed.
""", """
  python -m job sync gc obs://bucket/output/
  python -m job sync gc obs://bucket/output/ --older-than 7d --delete""",
        (("URL", False),), ("gc",)),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add a sub-parser for each action."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions")
    actions.required = True
    for name, action in ACTIONS.items():
        sub = actions.add_parser(
            name, help=action.summary, description=action.description, epilog="examples:" + action.examples,
            allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter)
        for number, (metavar, optional) in enumerate(action.places):
            sub.add_argument(f"place{number}", metavar=metavar, nargs="?" if optional else None,
                             help="obs://bucket/folder/, or a local folder" if metavar == "URL" else "a local folder")
        for option in action.options:
            OPTIONS[option](sub)
        sub.add_argument("--json", action="store_true", help="print one JSON document")
        sub.add_argument("--storage", default="auto", choices=["auto", "esdk", "moxing"],
                         help="client for OBS; auto takes the one that has credentials (default: %(default)s)")


def _pattern_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--include", dest="rules", action=_AddRule, metavar="PATTERN", default=[], const=True,
                        help="take keys that match PATTERN; may be repeated, and the order matters")
    parser.add_argument("--exclude", dest="rules", action=_AddRule, metavar="PATTERN", const=False,
                        help="leave out keys that match PATTERN; may be repeated, and the order matters")


def _transfer_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="print what would be done, and do nothing")
    parser.add_argument("--delete", action="store_true",
                        help="delete from the destination what the source does not have")


def _work_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workers", type=_count, metavar="N", default=16,
                        help="number of transfers at the same time (default: %(default)s)")
    parser.add_argument("--bandwidth", type=_rate, metavar="MB/S",
                        help="limit of all transfers together, in 10^6 bytes per second; through moxing it counts "
                             "whole files (default: no limit)")


def _full_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--full", action="store_true", help="read every object and compare its content; needs PATH")


def _gc_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--older-than", type=_age, metavar="AGE", default="24h",
                        help="age from which something counts as abandoned, such as 90m, 24h or 7d, at least 1h "
                             "(default: %(default)s)")
    parser.add_argument("--delete", "--yes", action="store_true", dest="delete", help="delete what was found")


OPTIONS = {"patterns": _pattern_options, "transfer": _transfer_options, "work": _work_options, "full": _full_option,
           "gc": _gc_options}


class _AddRule(argparse.Action):
    """Collects --include and --exclude in one list, because their order matters."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, value: Any,
                 option_string: Optional[str] = None) -> None:
        namespace.rules = list(namespace.rules) + [(self.const, value)]


def _count(text: str) -> int:
    """A number of transfers."""
    if not text.isdigit() or not 1 <= int(text) <= 256:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from 1 to 256")
    return int(text)


def _rate(text: str) -> float:
    """Megabytes per second."""
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0.01 <= rate < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}: expected MB per second, at least 0.01")
    return rate


def _age(text: str) -> float:
    """Seconds."""
    found = re.match(r"(\d{1,6})([mhd])\Z", text)
    seconds = int(found.group(1)) * {"m": 60, "h": 3600, "d": 86400}[found.group(2)] if found else 0
    if seconds < 3600:
        raise argparse.ArgumentTypeError(f"{text!r}: expected an age such as 90m, 24h or 7d, at least 1h; a job may "
                                         "still be writing what is younger")
    return float(seconds)


def main(args: argparse.Namespace, console: Console) -> int:
    """Run the action, which prints what it found or did. Returns the exit code."""
    from job.sync import checks, store, transfers

    run = {"pull": transfers.pull, "push": transfers.push, "verify": checks.verify,
           "diff": checks.diff, "ls": store.ls, "gc": store.gc}[args.action]
    with ended_by_sigterm():
        return run(args, console)
