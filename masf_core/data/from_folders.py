"""What belongs where, according to the folders alone."""

from __future__ import annotations

import logging
import os
from typing import Callable, Dict, List, Sequence

import numpy as np

from masf_core.data import folders
from masf_core.data.listed import Rows
from masf_core.data.naming import canonical
from masf_core.data.offences import Offences, plural
from masf_core.data.split import stratified_split
from masf_core.data.survey import DomainFolders

log = logging.getLogger(__name__)


def read_folders(
    dataroot: str,
    domains: Sequence[DomainFolders],
    classes: Sequence[str],
    fraction: float,
    seed: int,
    offences: Offences,
    start_progress: Callable,
) -> Dict[str, Rows]:
    """{domain: its rows} of everything on disk.

    A domain with splits trains on `train` and validates on `val` (under any of its names); the whole of it is `full`,
    or all splits together. What has no such folder is drawn by `stratified_split`.
    """
    found = {domain.name: _images(dataroot, domain, classes) for domain in domains}
    progress = start_progress(sum(len(paths) for of_class in found.values() for paths in of_class.values()))
    check = folders.FileCheck(dataroot)
    done, result = 0, {}
    for domain in domains:
        sizes: Dict[str, int] = {}
        labels: List[int] = []
        for index, name in enumerate(classes):
            for path in found[domain.name].get(name, ()):
                progress.at(done)
                done += 1
                size, kind, what = check(path)
                if kind:
                    offences.add(kind, path, what)
                else:
                    sizes[path] = size
                    labels.append(index)
        result[domain.name] = _rows(dataroot, domain, sizes, labels, fraction, seed)
    progress.finish()
    return result


def _images(dataroot: str, domain: DomainFolders, classes: Sequence[str]) -> Dict[str, List[str]]:
    """{class: paths of the images that make up the domain, in the order of their names}."""
    return {name: [f"{directory}/{image}" for directory in domain.whole(name)
                   for image in sorted(folders.images(os.path.join(dataroot, directory)), key=canonical)]
            for name in classes if name in domain.classes}


def _rows(
    dataroot: str, domain: DomainFolders, sizes: Dict[str, int], labels: List[int], fraction: float, seed: int
) -> Rows:
    paths = list(sizes)
    parts = _parts(dataroot, domain, paths)
    drawn = not len(parts["crossval"])
    train, validation = parts["train"], parts["crossval"]
    if drawn:
        chosen, kept = stratified_split(
            [canonical(paths[row]) for row in train], np.array(labels, np.int64)[train], domain.name, fraction, seed)
        train, validation = train[chosen], train[kept]
    return Rows(paths, labels, list(sizes.values()), train, validation, np.arange(len(paths)), drawn)


def _parts(dataroot: str, domain: DomainFolders, paths: List[str]) -> Dict[str, np.ndarray]:
    """The rows to train on and to validate on, as the folders say; without folders for it all train."""
    everything = {"train": np.arange(len(paths)), "crossval": np.arange(0)}
    if not domain.splits:
        return everything
    held = {domain.part(directory) for of_class in domain.classes.values() for directory in of_class}
    if "full" not in held:
        rows = {part: [row for row, path in enumerate(paths) if domain.part(path) == part]
                for part in ("train", "crossval")}
    else:
        # The splits are copies of what `full` has, under the same names.
        row_of = {tuple(canonical(path).split("/")[2:]): row for row, path in enumerate(paths)}
        rows = {"train": [], "crossval": []}
        absent = 0
        for name, directories in domain.classes.items():
            for directory in directories:
                part = domain.part(directory)
                if part in rows:
                    for image in folders.images(os.path.join(dataroot, directory)):
                        row = row_of.get((name, canonical(image)))
                        absent += row is None
                        rows[part] += [] if row is None else [row]
        if absent:
            log.warning("domain %s: %s of its splits are not in its folder full, and are left out",
                        domain.name, plural(absent, "image"))
    if not rows["train"]:
        log.warning("domain %s: its folders %s have no images to train on; all of it trains, and a part validates",
                    domain.name, ", ".join(domain.splits))
        return everything
    shared = set(rows["train"]) & set(rows["crossval"])
    if shared:
        log.warning("domain %s: %s of its folder to train on are also in the one to validate on, and only validate",
                    domain.name, plural(len(shared), "image"))
    return {"train": np.array(sorted(set(rows["train"]) - shared), np.int64),
            "crossval": np.array(sorted(set(rows["crossval"])), np.int64)}
