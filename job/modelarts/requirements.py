"""Whether a file is a list of packages that pip can install: pip itself would say no only when the job has started.

Only the form of each line is looked at. Nobody is asked whether the packages exist.
"""

from __future__ import annotations

import re
from typing import Iterator, List, Tuple

SHOWN = 60  # characters of a line in a message
_COMMENT = re.compile(r"(^|\s)#.*$")
_OPTION = re.compile(r"(-[a-zA-Z]|--[a-z][a-z-]+)([\s=].*)?$")  # such as --index-url URL
_PLACE = re.compile(r"([a-z+]+://\S+|\.{0,2}/\S+|\S+\.(whl|tar\.gz|zip))(\s*;.*)?$")
_NAME = r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?(\s*\[[A-Za-z0-9._,\s-]*\])?"
_VERSION = r"(===|[=~!<>]=|[<>])\s*[A-Za-z0-9.*+!_-]+"
_REQUIREMENT = re.compile(  # NAME[EXTRA]>=1,<2; python_version < "3.8" --hash=…, or NAME @ URL
    rf"{_NAME}\s*(\(?\s*{_VERSION}(\s*,\s*{_VERSION})*\s*,?\s*\)?|@\s*\S+)?"
    r"(\s*;\s*[A-Za-z(].*)?(\s+--[a-z-]+[\s=]\S+)*\s*$")


def wrong_lines(text: str) -> List[Tuple[int, str]]:
    """(number from 1, line) of each line that is no requirement, comment or option of pip."""
    return [(number, line[:SHOWN]) for number, line in _lines(text)
            if not any(form.match(line) for form in (_OPTION, _PLACE, _REQUIREMENT))]


def _lines(text: str) -> Iterator[Tuple[int, str]]:
    """(number, line) without comments and empty lines. A backslash at the end joins a line to the next one."""
    joined, begun = "", 0
    for number, line in enumerate(text.splitlines() + [""], 1):
        begun = begun if joined else number
        if line.endswith("\\"):
            joined += line[:-1]
            continue
        whole, joined = _COMMENT.sub("", joined + line).strip(), ""
        if whole:
            yield begun, whole
