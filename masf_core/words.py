"""Counts and lists of names in messages."""
from __future__ import annotations

from typing import Sequence


def some(names: Sequence[str], shown: int = 5) -> str:
    """The first of these names, and how many more there are."""
    more = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {more} more" if more > 0 else "")


def plural(count: int, noun: str) -> str:
    """``1 image``, ``2 images``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
