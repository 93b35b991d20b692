"""What `python -m job sync` prints: lines for people, or one JSON document."""

from __future__ import annotations

import time
from typing import Any, Dict, Iterable, List, Optional

from job.console import amount
from job.standard_output import json_text, shown
from masf_core.words import plural


def print_json(document: Dict[str, Any]) -> None:
    """Print a document; nothing else goes to standard output then."""
    print(json_text(document))


def print_key(first: str, size: int, key: str) -> None:
    """Print a line about one object or file: a word or a time, its size in bytes, its key."""
    print(f"{first}  {size:>15,}  {shown(key)}")


def files(count: int, size: Optional[int] = None) -> str:
    """``3, 1200`` → ``3 files, 1.2 kB``. size: bytes, or None to leave them out."""
    text = plural(count, "file")
    return text if size is None else f"{text}, {amount(size, 'B')}"


def moment(seconds: Optional[float]) -> str:
    """A time in UTC, from seconds since 1970; blanks if it is not known."""
    return " " * 19 if seconds is None else time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))


def age(seconds: Optional[float]) -> str:
    """``90000`` → ``25.0 h old``."""
    if seconds is None:
        return "of unknown age"
    days = seconds / 86400.0
    return f"{days:.1f} days old" if days >= 2.0 else f"{24.0 * days:.1f} h old"


def total(items: Iterable[Any]) -> int:
    """Bytes of objects or files together."""
    return sum(item.size for item in items)


def listed(items: Iterable[Any]) -> List[Dict[str, Any]]:
    """Objects or files as a JSON document lists them."""
    return [{"key": item.key, "size": item.size} for item in items]
