"""What belongs where, according to the folders alone."""

from __future__ import annotations

import logging
from typing import Dict, List, NamedTuple, Sequence, Set, Tuple

import numpy as np

from masf_core.data.folders import FileCheck
from masf_core.data.listed import Rows
from masf_core.data.naming import canonical
from masf_core.data.offences import Offences
from masf_core.data.progress import OnProgress, Progress
from masf_core.data.split import Draw
from masf_core.data.survey import DomainFolders
from masf_core.words import plural

log = logging.getLogger(__name__)


class _Parts(NamedTuple):
    """Rows of one domain, int64, ascending."""

    train: np.ndarray
    validation: np.ndarray


def read_folders(
    dataroot: str,
    domains: Sequence[DomainFolders],
    classes: Sequence[str],
    draw: Draw,
    offences: Offences,
    on_progress: OnProgress,
) -> Dict[str, Rows]:
    """{domain: its rows} of everything on disk. Files at fault are left out and added to `offences`.

    A domain with splits trains on `train` and validates on `val` (under any of its names); the whole of it is `full`,
    or all splits together. Where no folder is for validation, `draw` splits what is trained on.

    on_progress: called with (images checked, images).
    """
    found = {domain.name: _images(domain, classes) for domain in domains}
    progress = Progress(on_progress, sum(len(paths) for of_class in found.values() for paths in of_class.values()))
    check = FileCheck(dataroot)
    result = {}
    for domain in domains:
        sizes: Dict[str, int] = {}
        labels: List[int] = []
        for index, name in enumerate(classes):
            for path in found[domain.name].get(name, ()):
                progress.advance()
                size, kind, what = check(path)
                if kind:
                    offences.add(kind, path, what)
                else:
                    sizes[path] = size
                    labels.append(index)
        result[domain.name] = _rows(domain, sizes, labels, draw)
    progress.finish()
    return result


def _images(domain: DomainFolders, classes: Sequence[str]) -> Dict[str, List[str]]:
    """{class: paths of the images that make up the domain, in the order of their names}."""
    return {name: [path for folder in domain.whole(name) for path in sorted(folder.images, key=canonical)]
            for name in classes if name in domain.classes}


def _rows(domain: DomainFolders, sizes: Dict[str, int], labels: List[int], draw: Draw) -> Rows:
    paths = list(sizes)
    train, validation = _parts(domain, paths)
    drawn = not len(validation)
    if drawn:
        chosen, kept = draw.split(
            [canonical(paths[row]) for row in train], np.array(labels, np.int64)[train], domain.name)
        train, validation = train[chosen], train[kept]
    return Rows(paths, labels, list(sizes.values()), train, validation, np.arange(len(paths)), drawn)


def _parts(domain: DomainFolders, paths: Sequence[str]) -> _Parts:
    """What the folders of the domain say; without folders that say it, everything trains."""
    everything = _Parts(np.arange(len(paths)), np.arange(0))
    if not domain.splits:
        return everything
    if any(domain.part(folder.path) == "full" for folder in domain.class_folders):
        train, validation = _copies_in_full(domain, paths)
    else:
        train, validation = ({row for row, path in enumerate(paths) if domain.part(path) == part}
                             for part in ("train", "crossval"))
    if not train:
        log.warning("domain %s: its folders %s hold no training images; the job splits all its images into training "
                    "and validation images itself", domain.name, ", ".join(split.name for split in domain.splits))
        return everything
    shared = train & validation
    if shared:
        log.warning("domain %s: %s both in its training and in its validation folder, and used only for validation",
                    domain.name, plural(len(shared), "image") + (" is" if len(shared) == 1 else " are"))
    return _Parts(np.array(sorted(train - shared), np.int64), np.array(sorted(validation), np.int64))


def _copies_in_full(domain: DomainFolders, paths: Sequence[str]) -> Tuple[Set[int], Set[int]]:
    """The rows of `full` to train on and to validate on: the splits hold copies of these images under their names."""
    row_of = {tuple(canonical(path).split("/")[2:]): row for row, path in enumerate(paths)}
    rows: Dict[str, Set[int]] = {"train": set(), "crossval": set()}
    absent = 0
    for folder in domain.class_folders:
        part = domain.part(folder.path)
        for path in folder.images if part in rows else ():
            row = row_of.get(tuple(canonical(path).split("/")[2:]))
            if row is None:
                absent += 1
            else:
                rows[part].add(row)
    if absent:
        log.warning("domain %s: %s of its splits are not in its folder full, and are skipped",
                    domain.name, plural(absent, "image"))
    return rows["train"], rows["crossval"]
