"""Which folders below dataroot are the domains and the classes, and whether that can be what the user means.

A folder that is not taken changes the experiment without anything failing: a source less, or a class more. So what
cannot be taken at its word is an offence, and left out only where the user says so.
"""

from __future__ import annotations

import logging
import os
from typing import Dict, Iterable, List, Optional, Sequence, Tuple

from masf_core.data import folders
from masf_core.data.lists import domains_with_lists
from masf_core.data.offences import Offences
from masf_core.errors import DataError

log = logging.getLogger(__name__)

_LINK = "{} is a symbolic link in the place of a folder"
SUGGESTIONS = 3  # names in a "did you mean"


def domain_names(
    dataroot: str, filelist_root: Optional[str], domains: Optional[Sequence[str]], bad_data: str, offences: Offences
) -> List[str]:
    """The domains to index: those asked for, or those that have lists, or without lists all folders with images.

    Links in the place of a domain are added to `offences` unless `domains` are named.
    Raises DataError where there are none, or, unless bad_data="skip", where some of the folders have no lists.
    """
    for setting, directory in (("dataroot", dataroot), ("filelist_root", filelist_root)):
        if directory is not None and not os.path.isdir(directory):
            raise DataError("{}: there is no directory {}".format(setting, directory))
    links = folders.linked_folders(dataroot)
    if domains is not None:
        names = list(domains)
        if not names or len(set(names)) != len(names):
            raise DataError("domains must be named once each, got: {}".format(", ".join(names) or "none"))
        _refuse_links(dataroot, [name for name in names if name in links])
        return names
    for name in links:
        _add_link(name, offences)
    with_images = [name for name in folders.subdirectories(dataroot) if _has_classes(os.path.join(dataroot, name))]
    if filelist_root is None:
        if not with_images:
            _refuse_links(dataroot, links)
            raise DataError("no images in {}: expected <domain>/<class>/<image> below it, found {}.".format(
                dataroot, ", ".join(folders.subdirectories(dataroot)[:10]) or "no folders"))
        return with_images
    names = domains_with_lists(filelist_root)
    if not names:
        raise DataError("no list files in {}: expected <domain>_train_kfold.txt and so on. Correct filelist_root, or "
                        "set it to none to split the folders instead.".format(filelist_root))
    _refuse_links(dataroot, [name for name in names if name in links])
    unlisted = sorted(set(with_images) - set(names))
    if unlisted and bad_data != "skip":
        raise DataError("no lists for domain {} in {}, while {} has images of it. Add the lists, or name the domains "
                        "to use with --domains, such as --domains={}.".format(
                            ", ".join(unlisted), filelist_root, dataroot, ",".join(names)))
    if unlisted:
        log.warning("no lists for %s in %s: left out", ", ".join(unlisted), filelist_root)
    return names


def class_names(dataroot: str, domains: Sequence[str], offences: Offences) -> Dict[str, List[str]]:
    """{domain: its class folders that hold an image, sorted}.

    Left out and added to `offences` are links in the place of a class folder, and classes that a single one of several
    domains has: there is nothing to generalise to another domain, and mostly the name is misspelt.
    Raises DataError for a domain that has no folder or no image.
    """
    of_domain = folders.class_folders(dataroot, list(domains))
    for domain in domains:
        links = folders.linked_folders(os.path.join(dataroot, domain))
        for name in links:
            _add_link("{}/{}".format(domain, name), offences)
        if not of_domain[domain]:
            _refuse_links(dataroot, ["{}/{}".format(domain, name) for name in links])
            raise DataError("no images of domain {} in {}: expected <domain>/<class>/<image>.".format(domain, dataroot))
    if len(of_domain) < 2:
        return of_domain
    owners: Dict[str, List[str]] = {}
    for domain, names in of_domain.items():
        for name in names:
            owners.setdefault(name, []).append(domain)
    for name, having in sorted(owners.items()):
        if len(having) == 1:
            (domain,) = having
            of_domain[domain] = [other for other in of_domain[domain] if other != name]
            offences.add("class of a single domain", "{}/{}".format(domain, name),
                         "only domain {} has a class {}{}".format(domain, name, _suggestion(name, owners)))
    return of_domain


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


def _has_classes(domain: str) -> bool:
    return any(folders.has_image(os.path.join(domain, name)) for name in folders.subdirectories(domain))


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
