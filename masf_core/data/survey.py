"""Where the images of one domain lie: `<domain>/<class>/<image>`, or `<domain>/<split>/<class>/<image>`.

Images at any other level are not indexed. A few of them are named in a warning; a class or a domain that would lose
most of its images is refused.
"""

from __future__ import annotations

import logging
import os
from typing import Dict, List, NamedTuple, Optional, Tuple

from masf_core.data import folders
from masf_core.data.naming import PART_OF_FOLDER, canonical, is_part
from masf_core.data.offences import Offences, plural
from masf_core.errors import DataError

log = logging.getLogger(__name__)

NAMED = 3  # paths in a message
DEEPEST = 4  # levels below a folder at which a misplaced image is still looked for
MISPLACED = "image at another level"


class DomainFolders(NamedTuple):
    """The folders of one domain."""

    name: str  # in NFC
    folder: str  # as on disk
    splits: Tuple[str, ...]  # folders between the domain and its classes, as on disk; none in the usual layout
    classes: Dict[str, List[str]]  # class in NFC → its folders relative to dataroot, each with an image
    strays: List[str]  # images at another level, relative to dataroot

    def part(self, directory: str) -> Optional[str]:
        """The part of the domain ("train", "crossval", "test", "full") that a class folder belongs to."""
        return PART_OF_FOLDER[directory.split("/")[1].lower()] if self.splits else None

    def whole(self, name: str) -> List[str]:
        """Folders that together hold each image of this class: those of `full`, or without it all."""
        of_class = self.classes[name]
        return [each for each in of_class if self.part(each) == "full"] or of_class if self.splits else of_class


def has_classes(directory: str) -> bool:
    """Whether a folder of this folder has an image."""
    return any(folders.has_image(os.path.join(directory, name)) for name in folders.subdirectories(directory))


def has_domain_layout(directory: str) -> bool:
    """Whether a folder of this folder has an image, or a split that does."""
    return has_classes(directory) or any(
        is_part(name) and has_classes(os.path.join(directory, name)) for name in folders.subdirectories(directory))


def survey_domain(dataroot: str, name: str, folder: str, offences: Offences) -> DomainFolders:
    """The class folders of one domain.

    Classes most of whose images lie deeper are added to `offences`.
    Raises DataError where the folder has splits and classes side by side.
    """
    splits = _splits(dataroot, folder)
    classes: Dict[str, List[str]] = {}
    strays: List[str] = [f"{folder}/{image}" for image in folders.images(os.path.join(dataroot, folder))]
    for holder in [f"{folder}/{split}" for split in splits] or [folder]:
        if splits:
            strays += [f"{holder}/{image}" for image in folders.images(os.path.join(dataroot, holder))]
        for each in folders.subdirectories(os.path.join(dataroot, holder)):
            directory = f"{holder}/{each}"
            deeper = _deeper(dataroot, directory)
            count = len(folders.images(os.path.join(dataroot, directory))) if deeper else 0
            if deeper and len(deeper) > count:
                offences.add(MISPLACED, directory, "{} deeper than <domain>/<class>/<image>, such as {}{}".format(
                    _lie(len(deeper)), deeper[0], f", and {count} at the right level" if count else ""))
            else:
                strays += deeper
            if count or (not deeper and folders.has_image(os.path.join(dataroot, directory))):
                classes.setdefault(canonical(each), []).append(directory)
    for each, found in classes.items():
        if not splits and len(found) > 1:
            log.warning("class %s of domain %s has two folders, which differ only in the Unicode form of their names; "
                        "the images of both are taken", each, name)
    return DomainFolders(name, folder, tuple(splits), classes, strays)


def misplaced_images(dataroot: str, folder: str) -> Optional[str]:
    """What to say of a folder that has images but no class folders with images, or None if it has no images."""
    right = folders.images(os.path.join(dataroot, folder))
    deeper = _deeper(dataroot, folder, DEEPEST)
    if deeper:
        return f"{_lie(len(deeper))} deeper than <domain>/<class>/<image>, such as {deeper[0]}"
    if right:
        return f"{_lie(len(right))} right in this folder, without a class folder, such as {folder}/{right[0]}"
    return None


def warn_of_strays(paths: List[str]) -> Optional[str]:
    """Warn of these images, if there are any; returns what was said."""
    if not paths:
        return None
    told = "left out because {} at another level than <domain>/<class>/<image>: {}{}".format(
        _lie(len(paths)), ", ".join(paths[:NAMED]), " and others" if len(paths) > NAMED else "")
    log.warning("%s", told)
    return told


def _lie(count: int) -> str:
    return plural(count, "image") + (" lies" if count == 1 else " lie")


def _splits(dataroot: str, folder: str) -> List[str]:
    directory = os.path.join(dataroot, folder)
    names = folders.subdirectories(directory)
    splits = [name for name in names if is_part(name) and has_classes(os.path.join(directory, name))]
    classes = [name for name in names if name not in splits and folders.has_image(os.path.join(directory, name))]
    if splits and classes:
        if any(folders.has_image(os.path.join(directory, name)) for name in splits):
            return []  # a class that is called "train", with sub-folders
        raise DataError("{} in {} has class folders ({}) and splits ({}) side by side. Expected "
                        "<domain>/<class>/<image> or <domain>/<split>/<class>/<image>. Move one of the two.".format(
                            folder, dataroot, ", ".join(classes[:NAMED]), ", ".join(splits)))
    return splits


def _deeper(dataroot: str, directory: str, levels: int = 2) -> List[str]:
    """Images in the folders below `directory`, relative to dataroot."""
    found: List[str] = []
    for name in folders.subdirectories(os.path.join(dataroot, directory)):
        path = f"{directory}/{name}"
        found += [f"{path}/{image}" for image in folders.images(os.path.join(dataroot, path))]
        if levels > 1:
            found += _deeper(dataroot, path, levels - 1)
    return found
