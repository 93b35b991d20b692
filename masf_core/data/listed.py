"""What belongs where, according to list files."""

from __future__ import annotations

import logging
import os
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from masf_core.data.folders import FileCheck
from masf_core.data.labels import check_labels
from masf_core.data.list_names import PARTS, Lists
from masf_core.data.lists import Line, check_complete, read_list
from masf_core.data.naming import Spelling, canonical, class_of
from masf_core.data.offences import Offences
from masf_core.data.progress import OnProgress, Progress
from masf_core.data.split import Draw
from masf_core.data.survey import DomainFolders
from masf_core.words import plural

log = logging.getLogger(__name__)


class Rows(NamedTuple):
    """Images of one domain and the rows of them that each part names."""

    paths: List[str]
    labels: List[int]  # class indices, from 0
    sizes: List[int]  # bytes
    train: Sequence[int]
    validation: Sequence[int]
    whole: Sequence[int]
    drawn: bool  # whether `validation` was drawn at random, because no list or folder names it


class Listed(NamedTuple):
    """The rows of each domain, and the classes in the order that the lists number them."""

    rows: Dict[str, Rows]
    classes: Tuple[str, ...]


class _Images(NamedTuple):
    """The usable images that the lists of one domain name."""

    parts: Dict[str, List[str]]  # part → paths, in the order of its list
    sizes: Dict[str, int]  # path → bytes


def read_listed(
    dataroot: str,
    lists: Lists,
    domains: Sequence[DomainFolders],
    classes: Sequence[str],
    label_base: str,
    draw: Draw,
    offences: Offences,
    offenders_path: Optional[str],
    on_progress: OnProgress,
) -> Listed:
    """What the lists say. Lines at fault are left out and added to `offences`.

    Paths are in the order of the test list, then of what only train and crossval name. Where a domain has one list, or
    none to validate on, a stratified part of the images to train on is drawn for that.

    Args:
        draw: how they are drawn. on_progress: called with (lines checked, lines).

    Raises:
        DataError: missing lists, or labels that fit no order of the classes. Skipping lines would not help.
    """
    check_complete(lists, [domain.name for domain in domains])
    files = {domain.name: _parts(lists.files[domain.name]) for domain in domains}
    lines = {
        name: _of_known_class(read_list(os.path.join(lists.directory, name), domain, offences), classes, offences)
        for domain, parts in files.items() for name in parts.values()}
    unlisted = sorted(set(classes) - {line.class_name for group in lines.values() for line in group})
    if unlisted:
        log.warning("no list names an image of %s, which is a class because of its folder", ", ".join(unlisted))
    numbering = check_labels(lines, classes, label_base, offences, offenders_path)
    position = {name: index for index, name in enumerate(numbering.classes)}
    checker = _Checker(dataroot, offences, Progress(on_progress, sum(map(len, lines.values()))))
    result = {}
    for domain in domains:
        of_part = {part: lines[name] for part, name in files[domain.name].items()}
        rows = _rows(domain.name, checker.usable(of_part), position, "crossval" in of_part)
        result[domain.name] = _with_validation(domain.name, rows, draw) if rows.drawn else rows
        _warn_of_unlisted(domain, rows)
    checker.progress.finish()
    return Listed(result, numbering.classes)


class _Checker:
    """Looks at the file of each line, and for lines that name the same one.

    offences: the problems that were found in lines before; these lines are not checked again.
    """

    def __init__(self, dataroot: str, offences: Offences, progress: Progress) -> None:
        self.progress = progress
        self._offences = offences
        self._at_fault = {offence.where for offence in offences.found}
        self._check, self._spelling = FileCheck(dataroot), Spelling(dataroot)

    def usable(self, lines: Dict[str, Sequence[Line]]) -> _Images:
        """The images of these lines of one domain, {part: its lines}, whose files are usable."""
        images = _Images({part: [] for part in PARTS}, {})
        for part in PARTS:
            seen = {}
            if part == "crossval":  # what is trained on must not be validated on
                seen = {path: "crossval leaks from train" for path in images.parts["train"]}
            for line in lines.get(part, ()):
                self.progress.advance()
                if line.where not in self._at_fault:
                    self._add(line, images, part, seen)
        return images

    def _add(self, line: Line, images: _Images, part: str, seen: Dict[str, str]) -> None:
        """seen: {path that this part must not name again: why}."""
        path = self._spelling.on_disk(line.path)
        size, kind, what = self._check(path)
        if kind:
            self._offences.add(kind, line.where, what)
        elif path in seen:
            self._offences.add("repeated path", line.where, f"{path}: {seen[path]}")
        else:
            seen[path] = f"named before in {line.where}"
            images.sizes[path] = size
            images.parts[part].append(path)


def _parts(found: Dict[str, str]) -> Dict[str, str]:
    """The lists to read; one list of the whole domain is what it trains on."""
    parts = dict(found)
    if "full" in parts:
        parts["train"] = parts.pop("full")
    return parts


def _of_known_class(lines: List[Line], classes: Sequence[str], offences: Offences) -> List[Line]:
    known = [line for line in lines if line.class_name in classes]
    for line in lines:
        if line.class_name not in classes:
            offences.add("unknown class", line.where,
                         f"{line.path}: {line.class_name} is none of the classes, {', '.join(classes)}")
    return known


def _rows(domain: str, images: _Images, position: Dict[str, int], has_crossval: bool) -> Rows:
    """position: {class: its index}."""
    parts, sizes = images
    test, others = set(parts["test"]), set(parts["train"]) | set(parts["crossval"])
    if test and test != others and has_crossval:
        log.warning("domain %s: its test list differs from train and crossval together: %s only in test, %d only in "
                    "train or crossval. If it is the target, it is tested on the %d images of the test list.",
                    domain, plural(len(test - others), "image"), len(others - test), len(test))
    row: Dict[str, int] = {}
    for part in ("test", "train", "crossval"):
        for path in parts[part]:
            row.setdefault(path, len(row))
    train, validation = ([row[path] for path in parts[part]] for part in ("train", "crossval"))
    return Rows(
        paths=list(row), labels=[position[class_of(path)] for path in row], sizes=[sizes[path] for path in row],
        train=train, validation=validation,
        whole=[row[path] for path in parts["test"]] or sorted(train + validation),
        drawn=not has_crossval)


def _with_validation(domain: str, rows: Rows, draw: Draw) -> Rows:
    """These rows, with some of those to train on drawn for validation instead."""
    pool = np.asarray(rows.train, np.int64)
    train, validation = draw.split(
        [canonical(rows.paths[row]) for row in pool], np.asarray(rows.labels, np.int64)[pool], domain)
    return rows._replace(train=pool[train], validation=pool[validation])


def _warn_of_unlisted(domain: DomainFolders, rows: Rows) -> None:
    there = sum(len(folder.images) for name in domain.classes for folder in domain.whole(name))
    if len(rows.paths) < there:
        log.warning("domain %s: its lists name %d of the %s below its folder; the others are not used",
                    domain.name, len(rows.paths), plural(there, "image"))
