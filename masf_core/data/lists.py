"""The official list files of PACS: `<domain>_{train,crossval,test}_kfold.txt`.

A line is the image's path below dataroot and its label, `cartoon/dog/pic_056.jpg 1`. Whether labels start at 0 or 1
is not said anywhere; `labels` finds out.
"""

from __future__ import annotations

import os
import re
from typing import Dict, List, NamedTuple, Optional, Sequence

from masf_core.data.offences import Offences
from masf_core.errors import DataError

PARTS = ("train", "crossval", "test")
REQUIRED = ("train", "crossval")
_NAME = re.compile(r"(?P<domain>.+)_(?P<part>train|crossval|test)_kfold\.txt")


class Line(NamedTuple):
    """One image of a list; its path is checked in form only."""

    path: str  # <domain>/<class>/<file>, relative to dataroot, no "." or ".." in it
    label: int  # as written
    where: str  # <list file>:<line number>

    @property
    def class_name(self) -> str:
        return self.path.split("/")[1]


def file_name(domain: str, part: str) -> str:
    return "{}_{}_kfold.txt".format(domain, part)


def domains_with_lists(filelist_root: str) -> List[str]:
    """Domains that have any list file in this directory, sorted."""
    matches = (_NAME.fullmatch(name) for name in os.listdir(filelist_root))
    return sorted({match.group("domain") for match in matches if match})


def find_lists(filelist_root: str, domains: Sequence[str]) -> Dict[str, Dict[str, str]]:
    """Paths of the list files, {domain: {part: path}}.

    Every domain needs its train and crossval list; a test list (the whole domain) may be absent.
    Raises DataError that names the files which are not there.
    """
    found, missing = {}, []
    for domain in domains:
        paths = {part: os.path.join(filelist_root, file_name(domain, part)) for part in PARTS}
        found[domain] = {part: path for part, path in paths.items() if os.path.isfile(path)}
        missing += [file_name(domain, part) for part in REQUIRED if part not in found[domain]]
    if missing:
        raise DataError(
            "list files missing in {}: {}. Every domain needs its train and crossval list (found lists of: {}). Put "
            "them there, or set filelist_root=none to split the folders instead.".format(
                filelist_root, ", ".join(missing), ", ".join(domains_with_lists(filelist_root)) or "no domain"))
    return found


def read_list(path: str, domain: str, offences: Offences) -> List[Line]:
    """The well-formed lines of one list file in their order; the others are added to `offences`.

    Blank lines, CRLF, a byte-order mark, a leading "./" and spaces within paths are fine.
    Raises DataError where the file as a whole cannot be read as text.
    """
    try:
        with open(path, encoding="utf-8-sig") as stream:
            rows = stream.read().split("\n")
    except (OSError, UnicodeDecodeError) as problem:
        raise DataError("list file {} cannot be read as UTF-8 text: {}".format(path, problem)) from problem
    lines = []
    for number, row in enumerate(rows, start=1):
        if row.strip():
            line = _parse(row.strip(), "{}:{}".format(os.path.basename(path), number), domain, offences)
            if line is not None:
                lines.append(line)
    return lines


def _parse(row: str, where: str, domain: str, offences: Offences) -> Optional[Line]:
    fields = row.rsplit(None, 1)
    if len(fields) != 2 or not re.fullmatch(r"[+-]?[0-9]{1,9}", fields[1]):
        offences.add("malformed line", where,
                     "expected '<domain>/<class>/<file> <label>', found {!r}".format(row[:200]))
        return None
    path, label = fields[0], int(fields[1])
    parts = [part for part in path.split("/") if part != "."]
    if path.startswith("/") or ".." in parts or "\\" in path or "\0" in path:
        offences.add("path outside dataroot", where, "{!r}".format(path[:200]))
        return None
    if len(parts) < 3 or not all(parts):
        offences.add("malformed line", where, "expected <domain>/<class>/<file>, found {!r}".format(path[:200]))
        return None
    if parts[0] != domain:
        offences.add("path of another domain", where, "{} in a list of {}".format(path, domain))
        return None
    return Line("/".join(parts), label, where)
