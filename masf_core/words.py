"""Counts, lists of names, values of settings, and words of files in messages."""
from __future__ import annotations

from typing import Any, Sequence

_SHOWN = 80  # characters of a file's own words in a message


def some(names: Sequence[str], shown: int = 5) -> str:
    """The first of these names, and how many more there are."""
    more = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {more} more" if more > 0 else "")


def plural(count: int, noun: str) -> str:
    """``1 image``, ``1,200 images``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def typed(value: Any) -> str:
    """A value of a setting as people type it."""
    if value is None or value == ():
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def shown(words: Any) -> str:
    """Words of the file as a message can hold them: not too long, and without control characters."""
    text = str(words) if isinstance(words, (str, Exception)) else repr(words)
    if len(text) > _SHOWN:
        text = text[:_SHOWN] + "…"
    return text if text.isprintable() else repr(text)
