"""What belongs where, according to list files."""

from __future__ import annotations

import logging
import os
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from masf_core.data import folders
from masf_core.data.labels import check_labels
from masf_core.data.list_names import PARTS, Lists
from masf_core.data.lists import Line, check_complete, read_list
from masf_core.data.naming import Spelling, canonical, class_of
from masf_core.data.offences import Offences, plural
from masf_core.data.split import stratified_split
from masf_core.data.survey import DomainFolders

log = logging.getLogger(__name__)


class Rows(NamedTuple):
    """Images of one domain and the rows of them that each part names."""

    paths: List[str]
    labels: List[int]  # class indices, from 0
    sizes: List[int]  # bytes
    train: Sequence[int]
    validation: Sequence[int]
    whole: Sequence[int]
    drawn: bool  # whether `validation` was drawn at random, for want of a list or a folder of it


class Listed(NamedTuple):
    """The rows of each domain, and the classes in the order that the lists number them."""

    rows: Dict[str, Rows]
    classes: Tuple[str, ...]


def read_listed(
    dataroot: str,
    filelist_root: str,
    lists: Lists,
    domains: Sequence[DomainFolders],
    classes: Sequence[str],
    label_base: str,
    fraction: float,
    seed: int,
    offences: Offences,
    offenders_path: Optional[str],
    start_progress: Callable,
) -> Listed:
    """What the lists say, the lines at fault left out and added to `offences`.

    Paths are in the order of the test list, then of what only train and crossval name. Where a domain has one list, or
    none to validate on, a stratified part of the images to train on is drawn for that.

    Args:
        fraction, seed: of that draw. start_progress: called with the number of lines; returns a `Progress`.

    Raises:
        DataError: nothing can be left out to mend it: missing lists, labels that fit no order.
    """
    check_complete(lists, filelist_root, [domain.name for domain in domains])
    files = {domain.name: _parts(lists.files[domain.name]) for domain in domains}
    lines = {
        name: _of_known_class(read_list(os.path.join(filelist_root, name), domain, offences), classes, offences)
        for domain, parts in files.items() for name in parts.values()}
    unlisted = sorted(set(classes) - {line.class_name for group in lines.values() for line in group})
    if unlisted:
        log.warning("no list names an image of %s; counted among the classes for its folder", ", ".join(unlisted))
    numbering = check_labels(lines, classes, label_base, offences, offenders_path)
    at_fault = {offence.where for offence in offences.found}
    progress = start_progress(sum(map(len, lines.values())))
    check, spelling = folders.FileCheck(dataroot), Spelling(dataroot)
    position = {name: index for index, name in enumerate(numbering.classes)}
    done, result = 0, {}
    for domain in domains:
        sizes: Dict[str, int] = {}
        kept: Dict[str, List[str]] = {}
        for part in PARTS:
            kept[part] = []
            seen = {path: "crossval leaks from train" for path in kept["train"]} if part == "crossval" else {}
            for line in lines.get(files[domain.name].get(part, ""), ()):
                progress.at(done)
                done += 1
                if line.where in at_fault:
                    continue
                path = spelling.on_disk(line.path)
                size, kind, what = check(path)
                if kind:
                    offences.add(kind, line.where, what)
                elif path in seen:
                    offences.add("repeated path", line.where, f"{path}: {seen[path]}")
                else:
                    seen[path] = f"named before in {line.where}"
                    sizes[path] = size
                    kept[part].append(path)
        rows = _rows(domain.name, kept, sizes, position, "crossval" in files[domain.name])
        if rows.drawn:
            rows = _with_validation(domain.name, rows, fraction, seed)
        _warn_of_unlisted(dataroot, domain, rows)
        result[domain.name] = rows
    progress.finish()
    return Listed(result, numbering.classes)


def _parts(found: Dict[str, str]) -> Dict[str, str]:
    """The lists to read; one list of the whole domain is what it trains on."""
    parts = dict(found)
    if "full" in parts:
        parts["train"] = parts.pop("full")
    return parts


def _with_validation(domain: str, rows: Rows, fraction: float, seed: int) -> Rows:
    """These rows, some of those to train on kept for validation instead."""
    pool = np.asarray(rows.train, np.int64)
    train, validation = stratified_split(
        [canonical(rows.paths[row]) for row in pool], np.asarray(rows.labels, np.int64)[pool], domain, fraction, seed)
    return rows._replace(train=pool[train], validation=pool[validation])


def _warn_of_unlisted(dataroot: str, domain: DomainFolders, rows: Rows) -> None:
    there = sum(len(folders.images(os.path.join(dataroot, directory)))
                for name in domain.classes for directory in domain.whole(name))
    if len(rows.paths) < there:
        log.warning("domain %s: its lists name %d of the %s below its folder; the others are not used",
                    domain.name, len(rows.paths), plural(there, "image"))


def _of_known_class(lines: List[Line], classes: Sequence[str], offences: Offences) -> List[Line]:
    known = [line for line in lines if line.class_name in classes]
    for line in lines:
        if line.class_name not in classes:
            offences.add("unknown class", line.where, "{}: {} is none of the classes, {}".format(
                line.path, line.class_name, ", ".join(classes)))
    return known


def _rows(
    domain: str, kept: Dict[str, List[str]], sizes: Dict[str, int], position: Dict[str, int], has_crossval: bool
) -> Rows:
    test, others = set(kept["test"]), set(kept["train"]) | set(kept["crossval"])
    if test and test != others and has_crossval:
        log.warning("domain %s: its test list is not train and crossval together: %s only in test, %d only in train or "
                    "crossval. As a target it is tested on the %d of the test list.",
                    domain, plural(len(test - others), "image"), len(others - test), len(test))
    row: Dict[str, int] = {}
    for part in ("test", "train", "crossval"):
        for path in kept[part]:
            row.setdefault(path, len(row))
    train, validation = ([row[path] for path in kept[part]] for part in ("train", "crossval"))
    return Rows(
        paths=list(row), labels=[position[class_of(path)] for path in row], sizes=[sizes[path] for path in row],
        train=train, validation=validation,
        whole=[row[path] for path in kept["test"]] or sorted(train + validation),
        drawn=not has_crossval)
