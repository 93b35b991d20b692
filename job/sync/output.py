"""What `python -m job sync` prints: lines for people, or one JSON document."""

from __future__ import annotations

import json
import time

from job.console import amount
from job.standard_output import shown


def print_json(document):
    """The only thing on standard output."""
    print(json.dumps(document, indent=1))


def print_key(first, size, key):
    """A line about one object or file: a word or a time, bytes, key."""
    print(f"{first}  {size:>15,}  {shown(key)}")


def files(count, size=None):
    """``3, 1200`` → ``3 files, 1.2 kB``."""
    text = "{:,} file{}".format(count, "" if count == 1 else "s")
    return text if size is None else "{}, {}".format(text, amount(size, "B"))


def moment(seconds):
    """UTC; blank if it is not known."""
    return " " * 19 if seconds is None else time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))


def age(seconds):
    """``90000`` → ``25.0 h old``."""
    if seconds is None:
        return "of unknown age"
    days = seconds / 86400.0
    return f"{days:.1f} days old" if days >= 2.0 else f"{24.0 * days:.1f} h old"


def total(items):
    """Bytes of objects or files."""
    return sum(item.size for item in items)


def listed(items):
    """For JSON."""
    return [{"key": item.key, "size": item.size} for item in items]
