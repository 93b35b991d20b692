"""Which folders of dataroot are the domains, and whether that can be what the user means.

A folder that is skipped changes the experiment without anything failing. So a folder that may be meant as a domain and
cannot be used is an offence, and is skipped only where the user says so.
"""

from __future__ import annotations

import logging
from typing import Dict, List, Optional, Sequence

from masf_core.data.folders import Folder
from masf_core.data.list_names import Lists
from masf_core.data.naming import by_canonical_name, canonical, is_part
from masf_core.data.offences import Offences
from masf_core.data.survey import (
    MISPLACED, DomainFolders, Misplaced, has_domain_layout, misplaced_images, survey_domain,
)
from masf_core.errors import DataError
from masf_core.words import some

log = logging.getLogger(__name__)


def domain_folders(root: Folder) -> Dict[str, Folder]:
    """{name in NFC: folder} of the folders in dataroot. Raises DataError for one name in two spellings."""
    spelling = by_canonical_name(list(root.subfolders), root.location)
    return {name: root.subfolders[on_disk] for name, on_disk in spelling.items()}


def domain_names(
    root: Folder, lists: Optional[Lists], asked_for: Optional[Sequence[str]], bad_data: str, offences: Offences
) -> List[str]:
    """The domains to index: those asked for, or those that have lists, or without lists all folders with images.

    Links and folders of other images in the place of a domain are added to `offences` unless domains are asked for.
    Raises DataError where there are none, where a split's folder is in the place of a domain, or, unless
    bad_data="skip", where some of the folders have no lists.

    Args:
        root: dataroot. lists: None to go by the folders.
    """
    if asked_for is not None:
        return _asked_for(root, asked_for)
    for path in root.links:
        _add_link(path, offences)
    present = domain_folders(root)
    with_images = [name for name, folder in sorted(present.items()) if has_domain_layout(folder)]
    _refuse_splits(root, with_images)
    misplaced = {name: misplaced_images(folder) for name, folder in present.items() if name not in with_images}
    others = {name: what for name, what in misplaced.items() if what is not None}
    if lists is not None:
        return _listed(root, lists, with_images, others, bad_data)
    _check_others(root, with_images, others, offences)
    return with_images


def _check_others(root: Folder, with_images: Sequence[str], others: Dict[str, Misplaced], offences: Offences) -> None:
    """Add to `offences` the folders whose images are not a domain's. others: {name: its images}.

    Raises DataError where there is no domain, or images lie deeper than in the domains.
    """
    if not with_images:
        _refuse_links(root, root.links)
        found = [f"{name} ({others[name].what})" if name in others else name for name in domain_folders(root)]
        raise DataError(f"no images in {root.location}: expected <domain>/<class>/<image> below it, found "
                        f"{some(found, 10) or 'no folders'}.")
    for name, (deeper, what) in others.items():
        if deeper:  # without this domain it would be another experiment, also with bad_data="skip"
            raise DataError(
                f"{name} in {root.location}: {what}. Move the images up to <domain>/<class>/<image>, or name the "
                f"domains to use with --domains={','.join(with_images)}, or the folder of the domains with --dataroot.")
        offences.add(MISPLACED, name, what)


def survey_domains(root: Folder, names: Sequence[str], offences: Offences) -> List[DomainFolders]:
    """The folders of these domains of dataroot.

    Symbolic links in the place of a class folder are left out and added to `offences`.
    Raises DataError for a domain that has no folder or no image.
    """
    present = domain_folders(root)
    missing = [name for name in names if name not in present]
    if missing:
        raise DataError(f"no folder for domain {', '.join(missing)} in {root.location}: found "
                        f"{', '.join(present) or 'no folders'}. Check dataroot and the names of the domains.")
    return [_survey(present[name], name, offences) for name in names]


def _asked_for(root: Folder, domains: Sequence[str]) -> List[str]:
    names = [canonical(name) for name in domains]
    if not names or len(set(names)) != len(names):
        raise DataError(f"domains must be named once each, got: {', '.join(names) or 'none'}")
    _refuse_links(root, [name for name in names if name in root.links])
    _refuse_splits(root, names)
    return names


def _listed(
    root: Folder, lists: Lists, with_images: Sequence[str], others: Dict[str, Misplaced], bad_data: str
) -> List[str]:
    """The domains that have lists. others: {folder whose images are not a domain's: its images}."""
    names = list(lists.files)
    if not names:
        unused = f" Not used: {some(lists.unused)}." if lists.unused else ""
        raise DataError(
            f"no list files in {lists.directory} for the domains {', '.join(with_images) or '(none has images)'}: "
            f"expected <domain>_train_kfold.txt and so on, <domain>_train.txt or <domain>.txt.{unused} Correct "
            "filelist_root or list_pattern, or set filelist_root=none to split the folders instead.")
    _refuse_links(root, [name for name in names if name in root.links])
    _refuse_splits(root, names)
    unlisted = ", ".join(sorted(set(with_images) - set(names)))
    if unlisted and bad_data != "skip":
        raise DataError(
            f"no lists for domain {unlisted} in {lists.directory}, but {root.location} has images of it. Add the "
            f"lists, or name the domains to use with --domains, such as --domains={','.join(names)}, or set "
            "filelist_root=none to split the folders instead.")
    if unlisted:
        log.warning("%s skipped, because %s has no lists for it", unlisted, lists.directory)
    for name, (_, what) in others.items():
        if name not in names:
            log.warning("%s in %s skipped, because it is not a domain with lists: %s", name, root.location, what)
    return names


def _survey(folder: Folder, name: str, offences: Offences) -> DomainFolders:
    before = len(offences.found)
    found = survey_domain(folder, name, offences)
    links = folder.links + [link for split in found.splits for link in split.links]
    for path in links:
        _add_link(path, offences)
    if not found.classes:
        _refuse_links(folder, links)
        misplaced = misplaced_images(folder)
        where = f"; {misplaced.what}" if misplaced else ""
        raise DataError(
            f"no images of domain {name} in {folder.root}: expected <domain>/<class>/<image>{where}.",
            [(offence.where, offence.what) for offence in offences.found[before:]])
    return found


def _refuse_splits(root: Folder, names: Sequence[str]) -> None:
    splits = [name for name in names if is_part(name)]
    if splits:
        raise DataError(
            f"{', '.join(splits)} in {root.location} would be domains, but these are names of splits. Expected "
            "<domain>/<class>/<image> or <domain>/<split>/<class>/<image>: correct data_url or dataroot, or put the "
            "class folders of a split below each domain.")


def _add_link(path: str, offences: Offences) -> None:
    offences.add("symbolic link", path, _told_of_link(path))


def _refuse_links(folder: Folder, paths: Sequence[str]) -> None:
    """Raise DataError if there are such links: without the folders that they stand for, nothing is left to index."""
    if paths:
        raise DataError(f"symbolic links in {folder.root} are not followed: {', '.join(paths)}. Replace each link by "
                        "the folder itself.", [(path, _told_of_link(path)) for path in paths])


def _told_of_link(path: str) -> str:
    return f"{path} is a symbolic link in the place of a folder"
