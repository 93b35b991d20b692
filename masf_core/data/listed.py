"""What belongs where, according to list files."""

from __future__ import annotations

import logging
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence

from masf_core.data.folders import FileCheck
from masf_core.data.labels import check_labels
from masf_core.data.lists import PARTS, Line, file_name, find_lists, read_list
from masf_core.data.offences import Offences, plural

log = logging.getLogger(__name__)


class Rows(NamedTuple):
    """Images of one domain and the rows of them that each part names."""

    paths: List[str]
    labels: List[int]  # class indices, from 0
    sizes: List[int]  # bytes
    train: List[int]
    validation: List[int]
    whole: List[int]


def read_listed(
    dataroot: str,
    filelist_root: str,
    domains: Sequence[str],
    classes: Sequence[str],
    label_base: str,
    offences: Offences,
    offenders_path: Optional[str],
    start_progress: Callable,
) -> Dict[str, Rows]:
    """{domain: its rows}, the lines at fault left out and added to `offences`.

    Paths are in the order of the test list, then of what only train and crossval name.
    start_progress: called with the number of lines; returns a `Progress`.
    Raises DataError where nothing can be left out to mend it: missing lists, labels that fit no base.
    """
    files = find_lists(filelist_root, domains)
    lists = {
        file_name(domain, part): _of_known_class(read_list(files[domain][part], domain, offences), classes, offences)
        for domain in domains for part in PARTS if part in files[domain]}
    unlisted = sorted(set(classes) - {line.class_name for group in lists.values() for line in group})
    if unlisted:
        log.warning("no list names an image of %s; counted among the classes for its folder", ", ".join(unlisted))
    check_labels(lists, classes, label_base, offences, offenders_path)
    at_fault = {offence.where for offence in offences.found}
    progress = start_progress(sum(map(len, lists.values())))
    check = FileCheck(dataroot)
    position = {name: index for index, name in enumerate(classes)}
    done, result = 0, {}
    for domain in domains:
        sizes: Dict[str, int] = {}
        kept: Dict[str, List[str]] = {}
        for part in PARTS:
            kept[part] = []
            seen = {path: "crossval leaks from train" for path in kept["train"]} if part == "crossval" else {}
            for line in lists.get(file_name(domain, part), ()):
                progress.at(done)
                done += 1
                if line.where in at_fault:
                    continue
                size, kind, what = check(line.path)
                if kind:
                    offences.add(kind, line.where, what)
                elif line.path in seen:
                    offences.add("repeated path", line.where, "{}: {}".format(line.path, seen[line.path]))
                else:
                    seen[line.path] = "named before in {}".format(line.where)
                    sizes[line.path] = size
                    kept[part].append(line.path)
        result[domain] = _rows(domain, kept, sizes, position)
    progress.finish()
    return result


def _of_known_class(lines: List[Line], classes: Sequence[str], offences: Offences) -> List[Line]:
    known = [line for line in lines if line.class_name in classes]
    for line in lines:
        if line.class_name not in classes:
            offences.add("unknown class", line.where, "{}: {} is none of the classes, {}".format(
                line.path, line.class_name, ", ".join(classes)))
    return known


def _rows(domain: str, kept: Dict[str, List[str]], sizes: Dict[str, int], position: Dict[str, int]) -> Rows:
    test, others = set(kept["test"]), set(kept["train"]) | set(kept["crossval"])
    if test and test != others:
        log.warning("domain %s: its test list is not train and crossval together: %s only in test, %d only in train or "
                    "crossval. As a target it is tested on the %d of the test list.",
                    domain, plural(len(test - others), "image"), len(others - test), len(test))
    row: Dict[str, int] = {}
    for part in ("test", "train", "crossval"):
        for path in kept[part]:
            row.setdefault(path, len(row))
    train, validation = ([row[path] for path in kept[part]] for part in ("train", "crossval"))
    return Rows(
        paths=list(row), labels=[position[path.split("/")[1]] for path in row], sizes=[sizes[path] for path in row],
        train=train, validation=validation,
        whole=[row[path] for path in kept["test"]] or sorted(train + validation))
