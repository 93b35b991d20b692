"""The index of a data set: which images there are, of which class and domain, and what each is for.

Built from PACS's list files or from plain folders `<domain>/<class>/<image>`, and checked on the way: everything that
is wrong is reported at once. Only names and sizes are looked at here; images are opened by `decode_cache`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from masf_core.data import folders
from masf_core.data.listed import Rows, read_listed
from masf_core.data.lists import domains_with_lists
from masf_core.data.offences import Offences, plural
from masf_core.data.progress import OnProgress, Progress
from masf_core.data.split import stratified_split
from masf_core.errors import DataError

log = logging.getLogger(__name__)

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

    Classes are the alphabetically sorted class folders that hold an image in any of the domains: PACS's own order.

    Args:
        dataroot: directory of the domain folders.
        filelist_root: directory of `<domain>_{train,crossval,test}_kfold.txt`; None splits the folders instead.
        domains: domains to index, in this order; None takes those that have lists, or without lists all folders.
        num_classes: how many classes to insist on.
        label_base: "auto" finds whether the lists count from 0 or 1; "0" and "1" insist on it. See `labels`.
        bad_data: "skip" leaves out what is wrong with single images or lines and logs a warning.
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
    names = _domain_names(dataroot, filelist_root, domains)
    of_domain = folders.class_folders(dataroot, names)
    classes = tuple(sorted(set().union(*of_domain.values())))
    _check_classes(dataroot, classes, of_domain, num_classes)
    offences = Offences()

    def start_progress(total: int) -> Progress:
        return Progress(on_progress, total)

    if filelist_root is None:
        rows = _read_folders(dataroot, of_domain, classes, validation_fraction, seed, offences, start_progress)
    else:
        rows = read_listed(
            dataroot, filelist_root, names, classes, label_base, offences, offenders_path, start_progress)
    offences.settle(dataroot, bad_data, offenders_path)
    return _index(dataroot, classes, [_domain_index(name, rows[name]) for name in names])


def _domain_names(dataroot: str, filelist_root: Optional[str], domains: Optional[Sequence[str]]) -> List[str]:
    for setting, directory in (("dataroot", dataroot), ("filelist_root", filelist_root)):
        if directory is not None and not os.path.isdir(directory):
            raise DataError("{}: there is no directory {}".format(setting, directory))
    if domains is not None:
        names = list(domains)
        if not names or len(set(names)) != len(names):
            raise DataError("domains must be named once each, got: {}".format(", ".join(names) or "none"))
        return names
    if filelist_root is None:
        names = [name for name in folders.subdirectories(dataroot)
                 if any(folders.has_image(os.path.join(dataroot, name, folder))
                        for folder in folders.subdirectories(os.path.join(dataroot, name)))]
        if not names:
            raise DataError("no images in {}: expected <domain>/<class>/<image> below it, found {}.".format(
                dataroot, ", ".join(folders.subdirectories(dataroot)[:10]) or "no folders"))
        return names
    names = domains_with_lists(filelist_root)
    if not names:
        raise DataError("no list files in {}: expected <domain>_train_kfold.txt and so on. Correct filelist_root, or "
                        "set it to none to split the folders instead.".format(filelist_root))
    unlisted = sorted(set(folders.subdirectories(dataroot)) - set(names))
    if unlisted:
        log.warning("no lists for %s in %s: left out", ", ".join(unlisted), filelist_root)
    return names


def _check_classes(
    dataroot: str, classes: Tuple[str, ...], of_domain: Dict[str, List[str]], num_classes: Optional[int]
) -> None:
    empty = [domain for domain, names in of_domain.items() if not names]
    if empty:
        raise DataError("no images of domain {} in {}: expected <domain>/<class>/<image>.".format(
            ", ".join(empty), dataroot))
    if num_classes is not None and num_classes != len(classes):
        raise DataError("num_classes={} was asked for, but the class folders in {} are {}: {}. Correct num_classes, "
                        "or remove the folders that are no classes.".format(
                            num_classes, dataroot, len(classes), ", ".join(classes)))
    for domain, names in of_domain.items():
        absent = [name for name in classes if name not in names]
        if absent:
            log.warning("domain %s has no images of %s", domain, ", ".join(absent))


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
