"""The index of a data set: which images there are, of which class and domain, and what each is for.

Built from PACS's list files or from plain folders `<domain>/<class>/<image>`, and checked on the way: everything that
is wrong is reported at once. Only names and sizes are looked at here; images are opened by `decode_cache`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from typing import Dict, Optional, Sequence, Tuple

import numpy as np

from masf_core.data import folders
from masf_core.data.listed import Rows, read_listed
from masf_core.data.offences import Offences, plural
from masf_core.data.progress import OnProgress, Progress
from masf_core.data.split import stratified_split
from masf_core.data.structure import check_classes, class_names, domain_names
from masf_core.errors import DataError

LABEL_BASES = ("auto", "0", "1")
BAD_DATA = ("refuse", "skip")


@dataclasses.dataclass(frozen=True, eq=False)
class DomainIndex:
    """The images of one domain. The row arrays point into `paths`, `labels` and the domain's decoded images."""

    name: str
    paths: Tuple[str, ...]  # n relative paths with "/", <domain>/<class>/<file>
    labels: np.ndarray  # int32 [n], indices into the classes
    sizes: np.ndarray  # int64 [n], bytes
    train: np.ndarray  # int64 rows to train on when this domain is a source
    validation: np.ndarray  # int64 rows to select on when this domain is a source
    whole: np.ndarray  # int64 rows to report accuracy on when this domain is the target


@dataclasses.dataclass(frozen=True, eq=False)
class DatasetIndex:
    """What `build_index` found. `fingerprint` is equal on two machines exactly if they see the same data and split."""

    dataroot: str
    classes: Tuple[str, ...]
    domains: Tuple[DomainIndex, ...]
    fingerprint: str  # SHA-256 over classes, domains, paths, labels, file sizes and rows

    def domain(self, name: str) -> DomainIndex:
        for domain in self.domains:
            if domain.name == name:
                return domain
        raise DataError("there is no domain {!r}; the data has: {}".format(
            name, ", ".join(domain.name for domain in self.domains)))

    def without(self, rows: Dict[str, Sequence[int]]) -> DatasetIndex:
        """The index with these rows, {domain: rows}, taken out of train, validation and whole; paths stay numbered."""
        return _index(self.dataroot, self.classes, [
            dataclasses.replace(domain, **{
                part: np.setdiff1d(getattr(domain, part), rows[domain.name]) for part in ("validation", "whole")},
                train=domain.train[~np.isin(domain.train, rows[domain.name])])
            if len(rows.get(domain.name, ())) else domain for domain in self.domains])


def build_index(
    dataroot: str,
    filelist_root: Optional[str] = None,
    domains: Optional[Sequence[str]] = None,
    num_classes: Optional[int] = None,
    label_base: str = "auto",
    bad_data: str = "refuse",
    validation_fraction: float = 0.1,
    seed: int = 0,
    offenders_path: Optional[str] = None,
    on_progress: OnProgress = None,
) -> DatasetIndex:
    """Index the data below `dataroot`.

    Classes are the alphabetically sorted class folders that hold an image in any two of the domains: PACS's own order.
    See `structure` for which folders count.

    Args:
        dataroot: directory of the domain folders.
        filelist_root: directory of `<domain>_{train,crossval,test}_kfold.txt`; None splits the folders instead.
        domains: domains to index, in this order; None takes those that have lists, or without lists all folders.
        num_classes: how many classes to insist on.
        label_base: "auto" finds whether the lists count from 0 or 1; "0" and "1" insist on it. See `labels`.
        bad_data: "skip" leaves out the images, lines and folders that something is wrong with, and logs a warning.
        validation_fraction, seed: the split without lists, see `split`.
        offenders_path: file for the whole list of what is wrong, `where<TAB>what` a line; written only if anything is.
        on_progress: called with (images looked at, images).

    Raises:
        DataError: the data is not usable as it is; says everything that is wrong with it.
        ValueError: an argument is none of its choices.
    """
    if label_base not in LABEL_BASES:
        raise ValueError("label_base must be one of {}, got {!r}".format(", ".join(LABEL_BASES), label_base))
    if bad_data not in BAD_DATA:
        raise ValueError("bad_data must be one of {}, got {!r}".format(", ".join(BAD_DATA), bad_data))
    offences = Offences()
    names = domain_names(dataroot, filelist_root, domains, bad_data, offences)
    of_domain = class_names(dataroot, names, offences)
    if bad_data == "refuse":  # at once: everything that follows depends on which folders there are
        offences.settle(dataroot, bad_data, offenders_path)
    classes = tuple(sorted(set().union(*of_domain.values())))
    check_classes(dataroot, classes, of_domain, num_classes)

    def start_progress(total: int) -> Progress:
        return Progress(on_progress, total)

    if filelist_root is None:
        rows = _read_folders(dataroot, of_domain, classes, validation_fraction, seed, offences, start_progress)
    else:
        rows = read_listed(
            dataroot, filelist_root, names, classes, label_base, offences, offenders_path, start_progress)
    offences.settle(dataroot, bad_data, offenders_path)
    return _index(dataroot, classes, [_domain_index(name, rows[name]) for name in names])


def _read_folders(dataroot, of_domain, classes, fraction, seed, offences, start_progress) -> Dict[str, Rows]:
    """{domain: Rows} of everything on disk, split by `stratified_split`."""
    found = {domain: ["/".join((domain, name, image)) for name in names
                      for image in folders.images(os.path.join(dataroot, domain, name))]
             for domain, names in of_domain.items()}
    progress = start_progress(sum(map(len, found.values())))
    check = folders.FileCheck(dataroot)
    done, result = 0, {}
    for domain, paths in found.items():
        sizes = {}
        for path in paths:
            progress.at(done)
            done += 1
            size, kind, what = check(path)
            if kind:
                offences.add(kind, path, what)
            else:
                sizes[path] = size
        labels = [classes.index(path.split("/")[1]) for path in sizes]
        train, validation = stratified_split(list(sizes), np.array(labels), domain, fraction, seed)
        result[domain] = Rows(list(sizes), labels, list(sizes.values()), train, validation, np.arange(len(sizes)))
    progress.finish()
    return result


def _domain_index(name: str, rows: Rows) -> DomainIndex:
    return DomainIndex(
        name, tuple(rows.paths), np.array(rows.labels, np.int32), np.array(rows.sizes, np.int64),
        *(np.array(part, np.int64) for part in (rows.train, rows.validation, rows.whole)))


def _index(dataroot: str, classes: Tuple[str, ...], domains: Sequence[DomainIndex]) -> DatasetIndex:
    """The index of these domains. Raises DataError where one has nothing to train, select or report on."""
    for domain in domains:
        for part in ("train", "validation", "whole"):
            if len(getattr(domain, part)) == 0:
                raise DataError("domain {} has no {} images (of {} in {}). Without lists a class needs two images to "
                                "have one for validation.".format(
                                    domain.name, part, plural(len(domain.paths), "image"), dataroot))
    content = [list(classes)] + [
        [domain.name, list(domain.paths)] + [
            getattr(domain, name).tolist() for name in ("labels", "sizes", "train", "validation", "whole")]
        for domain in domains]
    fingerprint = hashlib.sha256(json.dumps(content).encode("ascii")).hexdigest()
    return DatasetIndex(dataroot, classes, tuple(domains), fingerprint)
