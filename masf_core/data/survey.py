"""Where the images of one domain lie: `<domain>/<class>/<image>`, or `<domain>/<split>/<class>/<image>`.

Images at any other level are not indexed. A few of them are named in a warning. A class or a domain that would lose
most of its images is refused.
"""

from __future__ import annotations

import logging
from typing import Dict, List, NamedTuple, Optional, Tuple

from masf_core.data.folders import Folder
from masf_core.data.naming import PART_OF_FOLDER, canonical, is_part
from masf_core.data.offences import Offences
from masf_core.errors import DataError
from masf_core.words import plural, some

log = logging.getLogger(__name__)

NAMED = 3  # paths in a message
DEEPEST = 4  # levels below a folder at which a misplaced image is still looked for
DEEPEST_IN_CLASS = 2  # the same, below a class folder
MISPLACED = "image at another level"


class Misplaced(NamedTuple):
    """Images of a folder that are not where those of a domain have to be."""

    deeper: bool  # below the level of the class folders, not directly in the folder
    what: str  # a sentence without a full stop


class DomainFolders(NamedTuple):
    """The folders of one domain."""

    name: str  # in NFC
    folder: Folder
    splits: Tuple[Folder, ...]  # folders between the domain and its classes; none in the usual layout
    classes: Dict[str, List[Folder]]  # class in NFC → its folders, each with an image
    strays: List[str]  # images at another level, paths relative to dataroot

    @property
    def holders(self) -> Tuple[Folder, ...]:
        """The folders that hold the class folders: the splits, or the domain's folder itself."""
        return self.splits or (self.folder,)

    @property
    def class_folders(self) -> List[Folder]:
        return [folder for of_class in self.classes.values() for folder in of_class]

    def part(self, path: str) -> Optional[str]:
        """The part of the domain ("train", "crossval", "test", "full") that a path below its folder belongs to."""
        return PART_OF_FOLDER[path.split("/")[1].lower()] if self.splits else None

    def whole(self, name: str) -> List[Folder]:
        """Folders that together hold each image of this class: those of `full`, or without it all."""
        return [each for each in self.classes[name] if self.part(each.path) == "full"] or self.classes[name]


def has_classes(folder: Folder) -> bool:
    """Whether a folder of this folder has an image."""
    return any(each.has_image() for each in folder.subfolders.values())


def has_domain_layout(folder: Folder) -> bool:
    """Whether a folder of this folder has an image, or a split that does."""
    return has_classes(folder) or any(
        is_part(name) and has_classes(each) for name, each in folder.subfolders.items())


def survey_domain(folder: Folder, name: str, offences: Offences) -> DomainFolders:
    """The class folders of the domain `name`.

    Classes most of whose images lie deeper are added to `offences`.
    Raises DataError where the folder has splits and classes side by side.
    """
    found = DomainFolders(name, folder, _splits(folder), {}, list(folder.images))
    for holder in found.holders:
        if found.splits:
            found.strays.extend(holder.images)
        for each in holder.subfolders.values():
            _add_class(found, each, offences)
    for each, of_class in found.classes.items():
        if not found.splits and len(of_class) > 1:
            log.warning("class %s of domain %s has two folders, whose names differ only in their Unicode form; "
                        "the images of both are used", each, name)
    return found


def _add_class(found: DomainFolders, folder: Folder, offences: Offences) -> None:
    """Add this class folder to those of the domain if it has images, and its images that lie deeper to the strays."""
    deeper = images_below(folder, DEEPEST_IN_CLASS)
    if len(deeper) > len(folder.images):
        here = f", and {len(folder.images)} at the right level" if folder.images else ""
        offences.add(MISPLACED, folder.path,
                     f"{_lie(len(deeper))} deeper than <domain>/<class>/<image>, such as {deeper[0]}{here}")
    else:
        found.strays.extend(deeper)
    if folder.has_image():
        found.classes.setdefault(canonical(folder.name), []).append(folder)


def images_below(folder: Folder, levels: int) -> List[str]:
    """Images in the folders below `folder`, at most so many levels down."""
    return [image for each in folder.below(levels) for image in each.images]


def misplaced_images(folder: Folder) -> Optional[Misplaced]:
    """The images of a folder that has no class folders with images, or None if it has no images."""
    deeper = images_below(folder, DEEPEST)
    if deeper:
        return Misplaced(True, f"{_lie(len(deeper))} deeper than <domain>/<class>/<image>, such as {deeper[0]}")
    if folder.has_image():
        return Misplaced(False, f"{_lie(len(folder.images))} directly in this folder, without a class folder, such as "
                                f"{folder.images[0]}")
    return None


def warn_of_strays(paths: List[str]) -> Optional[str]:
    """Warn of these images, if there are any; returns what was said."""
    if not paths:
        return None
    lie = "it lies" if len(paths) == 1 else "they lie"
    told = (f"{plural(len(paths), 'image')} skipped, because {lie} at another level than <domain>/<class>/<image>: "
            f"{some(paths, NAMED)}")
    log.warning("%s", told)
    return told


def _lie(count: int) -> str:
    return plural(count, "image") + (" lies" if count == 1 else " lie")


def _splits(folder: Folder) -> Tuple[Folder, ...]:
    splits = [each for name, each in folder.subfolders.items() if is_part(name) and has_classes(each)]
    classes = [name for name, each in folder.subfolders.items() if each not in splits and each.has_image()]
    if not splits or not classes:
        return tuple(splits)
    if any(each.has_image() for each in splits):
        return ()  # a class that is called "train", with sub-folders
    raise DataError(
        f"{folder.path} in {folder.root} has class folders ({some(classes, NAMED)}) and splits "
        f"({', '.join(each.name for each in splits)}) side by side. Expected <domain>/<class>/<image> or "
        "<domain>/<split>/<class>/<image>. Move either the class folders or the splits.")
