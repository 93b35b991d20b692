"""Which folders below dataroot are the domains and the classes, and whether that can be what the user means.

A folder that is not taken changes the experiment without anything failing: a source less, or a class more. So what
cannot be taken at its word is an offence, and left out only where the user says so.
"""

from __future__ import annotations

import logging
import os
from typing import Dict, Iterable, List, Optional, Sequence, Tuple

from masf_core.data import folders
from masf_core.data.list_names import Lists
from masf_core.data.naming import by_canonical_name, canonical, is_part
from masf_core.data.offences import Offences, some
from masf_core.data.survey import MISPLACED, DomainFolders, has_domain_layout, misplaced_images, survey_domain
from masf_core.errors import DataError

log = logging.getLogger(__name__)

_LINK = "{} is a symbolic link in the place of a folder"
SUGGESTIONS = 3  # names in a "did you mean"


def domain_folders(dataroot: str) -> Dict[str, str]:
    """{name in NFC: folder as on disk} of the folders in dataroot. Raises DataError for one name in two spellings."""
    return by_canonical_name(folders.subdirectories(dataroot), dataroot)


def domain_names(
    dataroot: str, filelist_root: Optional[str], lists: Optional[Lists], domains: Optional[Sequence[str]],
    bad_data: str, offences: Offences
) -> List[str]:
    """The domains to index: those asked for, or those that have lists, or without lists all folders with images.

    Links and folders of other images in the place of a domain are added to `offences` unless `domains` are named.
    Raises DataError where there are none, where a split's folder is in the place of a domain, or, unless
    bad_data="skip", where some of the folders have no lists.

    Args:
        lists: those in filelist_root, None to go by the folders.
    """
    links = folders.linked_folders(dataroot)
    if domains is not None:
        names = [canonical(name) for name in domains]
        if not names or len(set(names)) != len(names):
            raise DataError("domains must be named once each, got: {}".format(", ".join(names) or "none"))
        _refuse_links(dataroot, [name for name in names if name in links])
        _refuse_splits(dataroot, names)
        return names
    for name in links:
        _add_link(name, offences)
    present = domain_folders(dataroot)
    with_images = [name for name, folder in sorted(present.items())
                   if has_domain_layout(os.path.join(dataroot, folder))]
    _refuse_splits(dataroot, with_images)
    others = {name: misplaced_images(dataroot, folder) for name, folder in present.items() if name not in with_images}
    others = {name: what for name, what in others.items() if what is not None}
    if lists is None:
        if not with_images:
            _refuse_links(dataroot, links)
            raise DataError("no images in {}: expected <domain>/<class>/<image> below it, found {}.".format(
                dataroot, ", ".join(f"{name} ({others[name]})" if name in others else name
                                    for name in list(present)[:10]) or "no folders"))
        for name, what in others.items():
            if "deeper" in what:  # a domain less would be another experiment, whatever may be skipped
                raise DataError(
                    "{} in {}: {}. Move them up to <domain>/<class>/<image>, or name the domains to use with "
                    "--domains={}, or the folder of the domains with --dataroot.".format(
                        name, dataroot, what, ",".join(with_images)))
            offences.add(MISPLACED, name, what)
        return with_images
    names = list(lists.files)
    if not names:
        raise DataError("no list files in {} for the domains {}: expected <domain>_train_kfold.txt and so on, "
                        "<domain>_train.txt or <domain>.txt{}. Correct filelist_root or list_pattern, or set "
                        "filelist_root=none to split the folders instead.".format(
                            filelist_root, ", ".join(with_images) or "(none with images)",
                            "; not used: " + some(lists.unused) if lists.unused else ""))
    _refuse_links(dataroot, [name for name in names if name in links])
    _refuse_splits(dataroot, names)
    unlisted = sorted(set(with_images) - set(names))
    if unlisted and bad_data != "skip":
        raise DataError("no lists for domain {} in {}, while {} has images of it. Add the lists, or name the domains "
                        "to use with --domains, such as --domains={}, or set filelist_root=none to split the folders "
                        "instead.".format(", ".join(unlisted), filelist_root, dataroot, ",".join(names)))
    if unlisted:
        log.warning("no lists for %s in %s: left out", ", ".join(unlisted), filelist_root)
    for name, what in others.items():
        if name not in names:
            log.warning("%s in %s is no domain with lists, and is left out: %s", name, dataroot, what)
    return names


def survey_domains(dataroot: str, domains: Sequence[str], offences: Offences) -> Dict[str, DomainFolders]:
    """{domain: its folders}, without classes that cannot be used.

    Left out and added to `offences` are links in the place of a class folder, and classes that a single one of several
    domains has: there is nothing to generalise to another domain, and mostly the name is misspelt.
    Raises DataError for a domain that has no folder or no image.
    """
    present = domain_folders(dataroot)
    missing = [domain for domain in domains if domain not in present]
    if missing:
        raise DataError("no folder for domain {} in {}: found {}. Check dataroot and the names of the domains.".format(
            ", ".join(missing), dataroot, ", ".join(present) or "no folders"))
    result = {}
    for domain in domains:
        folder = present[domain]
        before = len(offences.found)
        found = survey_domain(dataroot, domain, folder, offences)
        holders = [f"{folder}/{split}" for split in found.splits]
        links = [f"{holder}/{name}" for holder in [folder] + holders
                 for name in folders.linked_folders(os.path.join(dataroot, holder))]
        for path in links:
            _add_link(path, offences)
        if not found.classes:
            _refuse_links(dataroot, links)
            what = misplaced_images(dataroot, folder)
            raise DataError("no images of domain {} in {}: expected <domain>/<class>/<image>{}.".format(
                domain, dataroot, "; " + what if what else ""),
                [(offence.where, offence.what) for offence in offences.found[before:]])
        result[domain] = found
    if len(result) < 2:
        return result
    owners: Dict[str, List[str]] = {}
    for domain, found in result.items():
        for name in sorted(found.classes):
            owners.setdefault(name, []).append(domain)
    for name, having in sorted(owners.items()):
        if len(having) == 1:
            (domain,) = having
            for directory in result[domain].classes.pop(name):
                offences.add("class of a single domain", directory,
                             f"only domain {domain} has a class {name}{_suggestion(name, owners)}")
    return result


def check_classes(
    dataroot: str, classes: Tuple[str, ...], of_domain: Dict[str, List[str]], num_classes: Optional[int]
) -> None:
    """Warn of classes that a domain lacks. Raises DataError for domains or classes too few, or other than asked for."""
    empty = [domain for domain, names in of_domain.items() if not names]
    if empty:
        raise DataError("domain {} in {} has no class in common with another domain. Rename its class folders as the "
                        "others' are, or name the domains to use with --domains.".format(", ".join(empty), dataroot))
    if len(classes) < 2:
        raise DataError("expected at least 2 classes in {}, found only {}. Looked for class folders with images at "
                        "<domain>/<class>/<image> in {}.".format(
                            dataroot, ", ".join(classes), ", ".join(of_domain)))
    if num_classes is not None and num_classes != len(classes):
        raise DataError("num_classes={} was asked for, but the class folders in {} are {}: {}. Correct num_classes, "
                        "or remove the folders that are no classes.".format(
                            num_classes, dataroot, len(classes), ", ".join(classes)))
    for domain, names in of_domain.items():
        absent = [name for name in classes if name not in names]
        if absent:
            log.warning("domain %s has no images of %s", domain, ", ".join(absent))


def _refuse_splits(dataroot: str, names: Sequence[str]) -> None:
    splits = [name for name in names if is_part(name)]
    if splits:
        raise DataError("{} in {} would be domains, but these are names of splits. Expected <domain>/<class>/<image> "
                        "or <domain>/<split>/<class>/<image>: correct data_url or dataroot, or put the class folders "
                        "of a split below each domain.".format(", ".join(splits), dataroot))


def _add_link(path: str, offences: Offences) -> None:
    offences.add("symbolic link", path, _LINK.format(path))


def _refuse_links(dataroot: str, paths: Sequence[str]) -> None:
    """Raise DataError for these links if there are any: without what they stand for nothing is left to index."""
    if paths:
        raise DataError("symbolic links in {}, which are not followed: {}. Put the folders themselves there.".format(
            dataroot, ", ".join(paths)), [(path, _LINK.format(path)) for path in paths])


def _suggestion(name: str, others: Iterable[str]) -> str:
    """Names that differ from this one by case, then those that differ by a letter."""
    near = [other for other in others if other != name and _is_near(name.lower(), other.lower())]
    near.sort(key=lambda other: (other.lower() != name.lower(), other))
    return "; did you mean {}?".format(" or ".join(near[:SUGGESTIONS])) if near else ""


def _is_near(one: str, other: str) -> bool:
    """Whether at most one letter was added, dropped or replaced."""
    if len(one) > len(other):
        one, other = other, one
    if len(other) - len(one) > 1:
        return False
    same = 0
    while same < len(one) and one[same] == other[same]:
        same += 1
    return one[same:] == other[same + 1:] or one[same + 1:] == other[same + 1:]
