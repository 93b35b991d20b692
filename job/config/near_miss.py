"""Find the name that was probably meant by a misspelt one."""

from __future__ import annotations

import difflib
from typing import Iterable, List, Optional

LONG_NAME = 8  # letters; in a name of at least so many, two slips are allowed, else one


def edits(one: str, other: str) -> int:
    """Slips between two names: a letter missing, added, wrong, or two neighbours exchanged.

    The optimal string alignment distance: row i, column j is the number of slips between one[:i] and other[:j].
    """
    rows: List[List[int]] = [list(range(len(other) + 1))]
    for i in range(1, len(one) + 1):
        row = [i]
        for j in range(1, len(other) + 1):
            slips = min(rows[-1][j] + 1, row[j - 1] + 1, rows[-1][j - 1] + (one[i - 1] != other[j - 1]))
            if i > 1 and j > 1 and one[i - 1] == other[j - 2] and one[i - 2] == other[j - 1]:
                slips = min(slips, rows[-2][j - 2] + 1)
            row.append(slips)
        rows.append(row)
    return rows[-1][-1]


def near_miss(name: str, known: Iterable[str]) -> Optional[str]:
    """The known name that differs from ``name`` by a slip (two in long names), or None. Case does not matter."""
    close = [(edits(name.lower(), each.lower()), each) for each in known]
    close = [(count, each) for count, each in close if count <= (2 if len(each) >= LONG_NAME else 1)]
    return min(close)[1] if close else None


def with_expected(what: str, expected: str) -> str:
    """What is wrong and what was expected, as one message. After a question, a new sentence begins."""
    return f"{what} Expected {expected}" if what.endswith("?") else f"{what}; expected {expected}"


def suggestion(name: str, known: Iterable[str], prefix: str = "") -> str:
    """``; did you mean 'x'?``, or nothing if no known name resembles ``name``.

    prefix: written in front of the known name, as ``--`` for a flag. Such a name gets no quotes.
    """
    known = list(known)
    meant = near_miss(name, known) or next(iter(difflib.get_close_matches(name.lower(), known, 1)), None)
    if meant is None:
        return ""
    return f"; did you mean {prefix + meant if prefix else repr(meant)}?"
