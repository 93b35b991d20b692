"""List files: which there are, and what they say. `list_names` tells them from other files.

A line is the image's path below dataroot and its label, `cartoon/dog/pic_056.jpg 1`. A list does not say whether its
labels count from 0 or from 1; `labels` finds out.
"""

from __future__ import annotations

import os
import re
from typing import Iterable, List, NamedTuple, Optional, Sequence

from masf_core.data.folders import Folder
from masf_core.data.list_names import Lists, find_names
from masf_core.data.naming import canonical, class_of
from masf_core.data.offences import Offences
from masf_core.errors import DataError

REQUIRED = ("train", "crossval")


class Line(NamedTuple):
    """One image of a list; its path is checked in form only."""

    path: str  # <domain>/<class>/<file>, relative to dataroot, no "." or ".." in it
    label: int  # as written
    where: str  # <list file>:<line number>

    @property
    def class_name(self) -> str:
        return class_of(self.path)


def file_name(domain: str, part: str) -> str:
    """The name of PACS's own list of this part."""
    return f"{domain}_{part}_kfold.txt"


def lists_in(folder: Folder, domains: Iterable[str], pattern: Optional[str] = None) -> Lists:
    """The lists in this folder, see `list_names`. A file without one of PACS's own names must begin as a list does."""
    names, known = folder.files, list(domains)
    found = find_names(names, known, pattern)
    if not found.official and pattern is None:
        others = [name for name in found.names() if not _begins_like_a_list(os.path.join(folder.location, name))]
        found = find_names([name for name in names if name not in others], known)
        found = found._replace(unused=sorted(found.unused + others))
    return found._replace(directory=folder.location)


def _begins_like_a_list(path: str) -> bool:
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as stream:
            rows = (row.strip() for row in stream.read(1 << 16).split("\n"))
    except OSError:
        return False
    first = next((row for row in rows if row), "")
    return re.fullmatch(r"[^\0]*/[^\0]*\s[+-]?[0-9]{1,9}", first) is not None


def check_complete(lists: Lists, domains: Sequence[str]) -> None:
    """Raise DataError for domains that have no list to train on; it names the missing files.

    PACS's own lists come with a crossval list each. Of others a train list, or one list of the whole domain, is enough.
    """
    missing = []
    for domain in domains:
        parts = lists.files.get(domain, {})
        if lists.official:
            missing += [file_name(domain, part) for part in REQUIRED if part not in parts]
        elif "train" not in parts and "full" not in parts:
            missing.append(f"{domain}_train.txt")
    if missing:
        raise DataError(
            f"list files missing in {lists.directory}: {', '.join(missing)}. Every domain needs a train "
            f"{'and a crossval list' if lists.official else 'list'} (found lists of: "
            f"{', '.join(lists.files) or 'no domain'}). Add the files, or set filelist_root=none to split the folders "
            "instead.")


def read_list(path: str, domain: str, offences: Offences) -> List[Line]:
    """The well-formed lines of one list file in their order; the others are added to `offences`.

    A list may have blank lines, CRLF and a byte-order mark; a path may have spaces, and folders before the domain's.
    Raises DataError where the file as a whole cannot be read as text.
    """
    try:
        with open(path, encoding="utf-8-sig") as stream:
            rows = stream.read().split("\n")
    except (OSError, UnicodeDecodeError) as problem:
        raise DataError(f"list file {path} cannot be read as UTF-8 text: {problem}") from problem
    lines = []
    for number, row in enumerate(rows, start=1):
        if row.strip():
            line = _parse(row.strip(), f"{os.path.basename(path)}:{number}", domain, offences)
            if line is not None:
                lines.append(line)
    return lines


def _parse(row: str, where: str, domain: str, offences: Offences) -> Optional[Line]:
    fields = row.rsplit(None, 1)
    if len(fields) != 2 or not re.fullmatch(r"[+-]?[0-9]{1,9}", fields[1]):
        offences.add("malformed line", where,
                     f"expected '<domain>/<class>/<file> <label>', found {row[:200]!r}")
        return None
    path, label = fields[0], int(fields[1])
    parts = [part for part in path.split("/") if part != "."]
    if ".." in parts or "\\" in path or "\0" in path:
        offences.add("path outside dataroot", where, f"{path[:200]!r}")
        return None
    parts = _below_dataroot(parts, domain)
    if parts[0] == "":
        offences.add("path outside dataroot", where, f"{path[:200]!r}")
        return None
    if len(parts) < 3 or not all(parts):
        offences.add("malformed line", where, f"expected <domain>/<class>/<file>, found {path[:200]!r}")
        return None
    if canonical(parts[0]) != domain:
        offences.add("path of another domain", where, f"{path} in a list of {domain}")
        return None
    return Line("/".join(parts), label, where)


def _below_dataroot(parts: List[str], domain: str) -> List[str]:
    """The parts from the domain's folder on: some lists have paths as `kfold/photo/…` or `/data/VLCS/SUN/full/…`."""
    if canonical(parts[0]) == domain:
        return parts
    starts = [index for index, part in enumerate(parts) if canonical(part) == domain and index + 2 < len(parts)]
    return parts[starts[-1]:] if starts else parts
