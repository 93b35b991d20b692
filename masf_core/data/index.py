"""The index of a data set: which images there are, of which class and domain, and what each is for.

Built from list files or from folders, `<domain>/<class>/<image>` or `<domain>/<split>/<class>/<image>`, and checked on
the way: everything that is wrong is reported at once. Only names and sizes are looked at here; images are opened by
`decode_cache`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from masf_core.data import folders, left_out
from masf_core.data.from_folders import read_folders
from masf_core.data.listed import Rows, read_listed
from masf_core.data.lists import lists_in
from masf_core.data.naming import canonical
from masf_core.data.offences import Offences, plural
from masf_core.data.origin import Origin, origin_of_folders, origin_of_lists
from masf_core.data.progress import OnProgress, Progress
from masf_core.data.structure import check_classes, domain_folders, domain_names, survey_domains
from masf_core.data.survey import warn_of_strays
from masf_core.errors import DataError

LABEL_BASES = ("auto", "0", "1")
BAD_DATA = ("refuse", "skip")


@dataclasses.dataclass(frozen=True, eq=False)
class DomainIndex:
    """The images of one domain. The row arrays point into `paths`, `labels` and the domain's decoded images."""

    name: str
    paths: Tuple[str, ...]  # n paths below dataroot with "/", as the disk spells them
    labels: np.ndarray  # int32 [n], indices into the classes
    sizes: np.ndarray  # int64 [n], bytes
    train: np.ndarray  # int64 rows to train on when this domain is a source
    validation: np.ndarray  # int64 rows to select on when this domain is a source
    whole: np.ndarray  # int64 rows to report accuracy on when this domain is the target

    @property
    def used(self) -> np.ndarray:
        """The rows that are for anything, which are all but those taken out by `DatasetIndex.without`."""
        return np.unique(np.concatenate((self.train, self.validation, self.whole)))


@dataclasses.dataclass(frozen=True, eq=False)
class DatasetIndex:
    """What `build_index` found. `fingerprint` is equal on two machines exactly if they see the same data and split."""

    dataroot: str
    classes: Tuple[str, ...]
    domains: Tuple[DomainIndex, ...]
    fingerprint: str  # SHA-256 over classes, domains, paths, labels, file sizes and rows
    origin: Origin = Origin()

    def domain(self, name: str) -> DomainIndex:
        for domain in self.domains:
            if domain.name == canonical(name):
                return domain
        raise DataError("there is no domain {!r}; the data has: {}".format(
            name, ", ".join(domain.name for domain in self.domains)))

    def without(self, rows: Dict[str, Sequence[int]]) -> DatasetIndex:
        """The index with these rows, {domain: rows}, taken out of train, validation and whole; paths stay numbered.

        Raises DataError where nothing of a class would be left in a domain.
        """
        for domain in self.domains:
            if len(rows.get(domain.name, ())):
                kept = np.setdiff1d(domain.used, rows[domain.name])
                left_out.refuse_emptied(domain.name, *(
                    [self.classes[label] for label in np.unique(domain.labels[some])] for some in (domain.used, kept)))
        return _index(self.dataroot, self.classes, [
            dataclasses.replace(domain, **{
                part: np.setdiff1d(getattr(domain, part), rows[domain.name]) for part in ("validation", "whole")},
                train=domain.train[~np.isin(domain.train, rows[domain.name])])
            if len(rows.get(domain.name, ())) else domain for domain in self.domains], self.origin)

    def use(self, target: str) -> Dict[str, int]:
        """How many images are for training, for validation, and of the target domain for its test."""
        sources = [domain for domain in self.domains if domain.name != canonical(target)]
        return {"train": sum(len(domain.train) for domain in sources),
                "validation": sum(len(domain.validation) for domain in sources),
                "target": len(self.domain(target).whole)}


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
    list_pattern: Optional[str] = None,
    pending: Optional[Offences] = None,
) -> DatasetIndex:
    """Index the data below `dataroot`.

    Classes are the sorted class folders that hold an image in any two of the domains: PACS's own order. Lists that
    agree on another order give theirs. See `structure` for which folders count.

    Args:
        dataroot: directory of the domain folders.
        filelist_root: directory of the list files, see `list_names`; None goes by the folders instead.
        domains: domains to index, in this order; None takes those that have lists, or without lists all folders.
        num_classes: how many classes to insist on.
        label_base: "auto" finds whether the lists count from 0 or 1; "0" and "1" insist on it. See `labels`.
        bad_data: "skip" leaves out the images, lines and folders that something is wrong with, and logs a warning.
        validation_fraction, seed: the split without lists, see `split`.
        offenders_path: file for the whole list of what is wrong, `where<TAB>what` a line; written only if anything is.
        on_progress: called with (images looked at, images).
        list_pattern: names of the list files, such as `{domain}-{part}.lst`; None knows the usual ones.
        pending: takes what is wrong with single files instead of an error, for `decode` to tell with what it finds.

    Raises:
        DataError: the data is not usable as it is; says everything that is wrong with it.
        ValueError: an argument is none of its choices.
    """
    if label_base not in LABEL_BASES:
        raise ValueError("label_base must be one of {}, got {!r}".format(", ".join(LABEL_BASES), label_base))
    if bad_data not in BAD_DATA:
        raise ValueError("bad_data must be one of {}, got {!r}".format(", ".join(BAD_DATA), bad_data))
    offences = Offences() if pending is None else pending
    for setting, directory in (("dataroot", dataroot), ("filelist_root", filelist_root)):
        if directory is not None and not os.path.isdir(directory):
            raise DataError(f"{setting}: there is no directory {directory}")
    lists = lists_in(filelist_root, domain_folders(dataroot), list_pattern) if filelist_root is not None else None
    names = domain_names(dataroot, filelist_root, lists, domains, bad_data, offences)
    surveyed = survey_domains(dataroot, names, offences)
    left_out.check_empty_folders(dataroot, list(surveyed.values()), domains is None and filelist_root is None, offences)
    if bad_data == "refuse":  # at once: everything that follows depends on which folders there are
        offences.settle(dataroot, bad_data, offenders_path)
    of_domain = {name: sorted(found.classes) for name, found in surveyed.items()}
    classes = tuple(sorted(set().union(*of_domain.values())))
    check_classes(dataroot, classes, of_domain, num_classes)
    strays = [path for found in surveyed.values() for path in found.strays]
    if domains is None:
        strays = folders.images(dataroot) + strays

    def start_progress(total: int) -> Progress:
        return Progress(on_progress, total)

    found = list(surveyed.values())
    if lists is None:
        left_out.note_other_files(dataroot, found, offences)
        rows = read_folders(dataroot, found, classes, validation_fraction, seed, offences, start_progress)
        origin = origin_of_folders(
            {each.name: each.splits for each in found}, _drawn(rows), validation_fraction, seed)
    else:
        rows, classes = read_listed(
            dataroot, filelist_root, lists, found, classes, label_base, validation_fraction, seed, offences,
            offenders_path, start_progress)
        origin = origin_of_lists(filelist_root, lists, _drawn(rows), validation_fraction, seed)
    listed = {path for of_domain in rows.values() for path in of_domain.paths}
    told = warn_of_strays([path for path in strays if path not in listed])
    origin = origin._replace(left_out=(told,) if told else ())
    if pending is None or not offences.only_of_files():
        offences.settle(dataroot, bad_data, offenders_path)
    try:
        if lists is None:
            for name in names:
                left_out.refuse_emptied(name, of_domain[name], [classes[label] for label in set(rows[name].labels)])
        return _index(dataroot, classes, [_domain_index(name, rows[name]) for name in names], origin)
    except DataError:
        if pending is not None:  # it is mostly for these that something is empty
            offences.settle(dataroot, bad_data, offenders_path)
        raise


def _drawn(rows: Dict[str, Rows]) -> Dict[str, bool]:
    return {name: of_domain.drawn for name, of_domain in rows.items()}


def _domain_index(name: str, rows: Rows) -> DomainIndex:
    return DomainIndex(
        name, tuple(rows.paths), np.array(rows.labels, np.int32), np.array(rows.sizes, np.int64),
        *(np.array(part, np.int64) for part in (rows.train, rows.validation, rows.whole)))


def _index(
    dataroot: str, classes: Tuple[str, ...], domains: Sequence[DomainIndex], origin: Origin
) -> DatasetIndex:
    """The index of these domains. Raises DataError where one has nothing to train, select or report on."""
    for domain in domains:
        for part in ("train", "validation", "whole"):
            if len(getattr(domain, part)) == 0:
                raise DataError("domain {} has no {} images (of {} in {}). Without lists a class needs two images to "
                                "have one for validation.".format(
                                    domain.name, part, plural(len(domain.paths), "image"), dataroot))
    content: List[list] = [list(classes)] + [
        [domain.name, [canonical(path) for path in domain.paths]] + [
            getattr(domain, name).tolist() for name in ("labels", "sizes", "train", "validation", "whole")]
        for domain in domains]
    fingerprint = hashlib.sha256(json.dumps(content).encode("ascii")).hexdigest()
    return DatasetIndex(dataroot, classes, tuple(domains), fingerprint, origin)
