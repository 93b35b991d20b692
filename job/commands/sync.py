"""Move trees of files between OBS and this machine, and look at what is there: pull, push, ls, verify, diff, gc.

URL is obs://bucket/folder/ (or s3://…), with credentials from the environment as in a job; a local folder works in its
place. `python -m job sync ACTION --help` explains each and gives examples.
"""

from __future__ import annotations

import argparse
import re
from typing import NamedTuple

from job.stopping import ended_by_sigterm

EXAMPLES = """
  python -m job sync pull obs://bucket/pacs/ /data/pacs
  python -m job sync push output/masf_cartoon obs://bucket/output/masf_cartoon/
  python -m job sync ls obs://bucket/output/
  python -m job sync verify obs://bucket/output/masf_cartoon/
Exit code 0: done, and verify and diff found no difference; 1: they found some; 2: usage; 4: storage, or the local disk;
130, 143: stopped from outside.
"""

PATTERNS = """
patterns: the first --include or --exclude that matches a key decides about it. A key that none matches is taken, unless
the last pattern is an --include: then it is left out. Keys are relative to the URL, as in photo/dog/1.jpg. * and ? stay
within a name, ** goes across folders, [a-z] is one character. A pattern without / is about names in any folder; one
that ends in / is about everything in that folder; any other begins where the key begins. Quote them.
"""

TRANSFER = """
It ends when everything is there and counted again, or it fails; run again, it goes on with what is missing. --delete
removes what the source does not have, and nothing outside the destination, nothing that the patterns leave out, no
links, and nothing at all while the source is empty. Exit code 0: done; 2: usage; 4: storage, or the local disk.
"""


class Action(NamedTuple):
    """What a sub-command is: its help, its places as (metavar, optional), its groups of options."""

    summary: str
    description: str
    examples: str
    places: tuple
    options: tuple


ACTIONS = {
    "pull": Action(
        "bring a tree from OBS", "Bring everything below URL to the folder PATH.\n" + PATTERNS + TRANSFER, """
  python -m job sync pull obs://bucket/pacs/ /data/pacs
  python -m job sync pull obs://bucket/pacs/ /data/pacs --include 'photo/**' --include '*.txt' --bandwidth 20
  python -m job sync pull obs://bucket/pacs/ /data/pacs --delete --dry-run""",
        (("URL", False), ("PATH", False)), ("patterns", "transfer", "work")),
    "push": Action(
        "store a tree in OBS", "Store everything below the folder PATH at URL; PATH URL and URL PATH are the same.\n"
        + PATTERNS + TRANSFER, """
  python -m job sync push /data/pacs obs://bucket/pacs/
  python -m job sync push /data/pacs obs://bucket/pacs/ --exclude '*.tmp' --exclude '.git/' --dry-run
  python -m job sync push /data/pacs obs://bucket/pacs/ --delete --workers 4""",
        (("PATH", False), ("URL", False)), ("patterns", "transfer", "work")),
    "ls": Action(
        "list objects, and how much they are", """\
List what is below URL: time (UTC), size in bytes, key; then the totals.
""" + PATTERNS, """
  python -m job sync ls obs://bucket/output/
  python -m job sync ls obs://bucket/output/ --include '*.npz' --json""",
        (("URL", False),), ("patterns",)),
    "verify": Action(
        "check a tree, or published checkpoints", """\
With PATH: compare every file below it with its object, by size, then by the digest that the store knows: SHA-256, MD5,
the MD5s of parts, or CRC-64. What it knows none of (through moxing, for instance, or encrypted there, which makes an
ETag no MD5) is told as "size only"; --full reads every object through instead.
Without PATH: read every file of every checkpoint below URL through and compare it with its marker, and say which
checkpoints are whole.
Exit code 0: no difference; 1: differences; 2: usage; 4: storage, or the local disk.
""" + PATTERNS, """
  python -m job sync verify obs://bucket/pacs/ /data/pacs
  python -m job sync verify obs://bucket/pacs/ /data/pacs --full
  python -m job sync verify obs://bucket/output/masf_cartoon/""",
        (("URL", False), ("PATH", True)), ("patterns", "full", "work")),
    "diff": Action(
        "say what a pull or a push would do", """\
List what is only at URL, only below PATH, or differs. Files that a pull has fetched and nobody has touched since are
taken as they are; verify reads them.
Exit code 0: no difference; 1: differences; 2: usage; 4: storage, or the local disk.
""" + PATTERNS, """
  python -m job sync diff obs://bucket/pacs/ /data/pacs
  python -m job sync diff obs://bucket/pacs/ /data/pacs --exclude '*.txt' --json""",
        (("URL", False), ("PATH", False)), ("patterns", "work")),
    "gc": Action(
        "remove what killed jobs have left behind", """\
Find what nobody will finish: files of checkpoints without their marker, in folders called checkpoints; uploads in parts
that were never completed, which are paid for and which no listing shows; shards that no pack names. All are judged by
age alone, by the store's own clock: what is younger may be being written. Nothing is removed without --delete.
Exit code 0: done; 2: usage; 4: storage.
""", """
  python -m job sync gc obs://bucket/output/
  python -m job sync gc obs://bucket/output/ --older-than 7d --delete""",
        (("URL", False),), ("gc",)),
}


def add_arguments(parser):
    """One sub-parser an action."""
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
        sub.add_argument("--json", action="store_true", help="one JSON document on standard output")
        sub.add_argument("--storage", default="auto", choices=["auto", "esdk", "moxing"],
                         help="how OBS is spoken to (default: %(default)s)")


def _pattern_options(parser):
    parser.add_argument("--include", dest="rules", action=_AddRule, metavar="PATTERN", default=[], const=True,
                        help="take keys that match; may be repeated, and the order counts")
    parser.add_argument("--exclude", dest="rules", action=_AddRule, metavar="PATTERN", const=False,
                        help="leave out keys that match; likewise")


def _transfer_options(parser):
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    parser.add_argument("--delete", action="store_true", help="remove what the source does not have")


def _work_options(parser):
    parser.add_argument("--workers", type=_count, metavar="N", default=16,
                        help="transfers at the same time (default: %(default)s)")
    parser.add_argument("--bandwidth", type=_rate, metavar="MB/S",
                        help="limit of all transfers together, in 10^6 bytes per second (default: none; through moxing "
                             "it counts whole files)")


def _full_option(parser):
    parser.add_argument("--full", action="store_true", help="read every object through; needs PATH")


def _gc_options(parser):
    parser.add_argument("--older-than", type=_age, metavar="AGE", default="24h",
                        help="such as 90m, 24h or 7d, at least 1h (default: %(default)s)")
    parser.add_argument("--delete", "--yes", action="store_true", dest="delete", help="remove what was found")


OPTIONS = {"patterns": _pattern_options, "transfer": _transfer_options, "work": _work_options, "full": _full_option,
           "gc": _gc_options}


class _AddRule(argparse.Action):
    """Collects --include and --exclude in one list, because their order counts."""

    def __call__(self, parser, namespace, value, option_string=None):
        namespace.rules = list(namespace.rules) + [(self.const, value)]


def _count(text):
    if not text.isdigit() or not 1 <= int(text) <= 256:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from 1 to 256")
    return int(text)


def _rate(text):
    """Megabytes per second."""
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0.01 <= rate < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}: expected MB per second, at least 0.01")
    return rate


def _age(text):
    """Seconds."""
    found = re.match(r"(\d{1,6})([mhd])\Z", text)
    seconds = int(found.group(1)) * {"m": 60, "h": 3600, "d": 86400}[found.group(2)] if found else 0
    if seconds < 3600:
        raise argparse.ArgumentTypeError(f"{text!r}: expected an age such as 90m, 24h or 7d, at least 1h; what is "
                                         "younger "
                                         "may still be being written")
    return float(seconds)


def main(args, console):
    """Do it, and print what was found or done; returns the exit code."""
    from job.sync import checks, store, transfers

    run = {"pull": transfers.pull, "push": transfers.push, "verify": checks.verify,
           "diff": checks.diff, "ls": store.ls, "gc": store.gc}[args.action]
    with ended_by_sigterm():
        return run(args, console)
