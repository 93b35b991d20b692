"""The index of a data set: its images, the class and domain of each, and what each is used for.

It is built from list files or from folders, `<domain>/<class>/<image>` or `<domain>/<split>/<class>/<image>`. One error
reports everything that is wrong with them. Only names and sizes are read here; `decode_cache` opens the images.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from masf_core.data import left_out
from masf_core.data.classes import find_classes, leave_out_single
from masf_core.data.domains import domain_folders, domain_names, survey_domains
from masf_core.data.folders import Folder
from masf_core.data.from_folders import read_folders
from masf_core.data.listed import Rows, read_listed
from masf_core.data.lists import lists_in
from masf_core.data.naming import canonical
from masf_core.data.offences import Offences
from masf_core.data.origin import Origin, origin_of_folders, origin_of_lists
from masf_core.data.progress import OnProgress
from masf_core.data.split import Draw
from masf_core.data.survey import DomainFolders, warn_of_strays
from masf_core.errors import DataError
from masf_core.words import plural

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
        """The rows that are for training, validation or test: all but those taken out by `DatasetIndex.without`."""
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
        raise DataError(f"there is no domain {name!r}; the data has: "
                        f"{', '.join(domain.name for domain in self.domains)}")

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
    skip: Sequence[str] = (),
) -> DatasetIndex:
    """Index the data below `dataroot`.

    Classes are the sorted class folders that hold an image in any two of the domains: PACS's own order. Lists that
    agree on another order give theirs. See `domains` and `classes` for which folders count.

    Args:
        dataroot: directory of the domain folders.
        filelist_root: directory of the list files, see `list_names`; None goes by the folders instead.
        domains: domains to index, in this order; None takes those that have lists, or without lists all folders.
        num_classes: how many classes there must be; None takes any number.
        label_base: "auto" finds whether the lists count from 0 or 1; "0" and "1" insist on it. See `labels`.
        bad_data: "skip" skips the images, lines and folders that something is wrong with, and logs a warning.
        validation_fraction, seed: the split without lists, see `split`.
        offenders_path: file for the whole list of what is wrong, `where<TAB>what` a line; written only if anything is.
        on_progress: called with (images looked at, images).
        list_pattern: names of the list files, such as `{domain}-{part}.lst`; None knows the usual ones.
        pending: collects what is wrong with single images and lines, which is then no error here: pass it to `decode`,
            which reports it together with what it finds.
        skip: directories below dataroot that are not data, see `folders.Folder`.

    Raises:
        DataError: the data is not usable as it is; says everything that is wrong with it.
        ValueError: an argument is not one of its choices.
    """
    _check_choices(label_base, bad_data)
    for setting, directory in (("dataroot", dataroot), ("filelist_root", filelist_root)):
        if directory is not None and not os.path.isdir(directory):
            raise DataError(f"{setting}: there is no directory {directory}")
    offences = Offences() if pending is None else pending
    root = Folder(dataroot, skip=skip)
    lists = None if filelist_root is None else lists_in(Folder(filelist_root), domain_folders(root), list_pattern)
    found = survey_domains(root, domain_names(root, lists, domains, bad_data, offences), offences)
    leave_out_single(found, offences)
    left_out.check_empty_folders(root, found, domains is None and lists is None, offences)
    if bad_data == "refuse":  # at once: everything that follows depends on which folders there are
        offences.settle(dataroot, bad_data, offenders_path)
    classes = find_classes(root, found, num_classes)
    draw = Draw(validation_fraction, seed)
    if lists is None:
        left_out.note_other_files(found, offences)
        rows = read_folders(dataroot, found, classes, draw, offences, on_progress)
        origin = origin_of_folders(found, _drawn(rows), draw)
    else:
        rows, classes = read_listed(
            dataroot, lists, found, classes, label_base, draw, offences, offenders_path, on_progress)
        origin = origin_of_lists(lists, _drawn(rows), draw)
    told = warn_of_strays(_strays(root, found, rows, all_folders=domains is None))
    origin = origin._replace(left_out=(told,) if told else ())
    if pending is None:
        offences.settle(dataroot, bad_data, offenders_path)
    try:
        if lists is None:
            _refuse_emptied(found, rows, classes)
        return _index(dataroot, classes, [_domain_index(each.name, rows[each.name]) for each in found], origin)
    except DataError:
        if pending is not None:  # what is wrong with single images is most often the cause
            offences.settle(dataroot, bad_data, offenders_path)
        raise


def _check_choices(label_base: str, bad_data: str) -> None:
    if label_base not in LABEL_BASES:
        raise ValueError(f"label_base must be one of {', '.join(LABEL_BASES)}, got {label_base!r}")
    if bad_data not in BAD_DATA:
        raise ValueError(f"bad_data must be one of {', '.join(BAD_DATA)}, got {bad_data!r}")


def _strays(
    root: Folder, found: Sequence[DomainFolders], rows: Dict[str, Rows], all_folders: bool
) -> List[str]:
    """Images at another level that no list names. all_folders: those right in dataroot count, too."""
    listed = {path for of_domain in rows.values() for path in of_domain.paths}
    strays = (root.images if all_folders else []) + [path for domain in found for path in domain.strays]
    return [path for path in strays if path not in listed]


def _refuse_emptied(found: Sequence[DomainFolders], rows: Dict[str, Rows], classes: Sequence[str]) -> None:
    for domain in found:
        left_out.refuse_emptied(
            domain.name, sorted(domain.classes), [classes[label] for label in set(rows[domain.name].labels)])


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
                raise DataError(f"domain {domain.name} has no {part} images (of {plural(len(domain.paths), 'image')} "
                                f"in {dataroot}). Without lists a class needs two images to have one for validation.")
    content: List[list] = [list(classes)] + [
        [domain.name, [canonical(path) for path in domain.paths]] + [
            getattr(domain, name).tolist() for name in ("labels", "sizes", "train", "validation", "whole")]
        for domain in domains]
    fingerprint = hashlib.sha256(json.dumps(content).encode("ascii")).hexdigest()
    return DatasetIndex(dataroot, classes, tuple(domains), fingerprint, origin)
