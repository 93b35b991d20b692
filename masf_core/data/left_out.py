"""What lies in the folders of images and is no image: counted and named, and refused where a class would be empty."""

from __future__ import annotations

import logging
import os
from typing import List, Sequence

from masf_core.data import folders
from masf_core.data.image_kind import other_picture, told_by_name
from masf_core.data.naming import canonical
from masf_core.data.offences import Offences, plural, some
from masf_core.data.survey import DomainFolders
from masf_core.errors import DataError

log = logging.getLogger(__name__)

LOOKED_AT = 5  # files whose format is told
_LEFT_BY_SYSTEMS = ("thumbs.db", "desktop.ini", "icon\r")


def note_other_files(dataroot: str, domains: Sequence[DomainFolders], offences: Offences) -> None:
    """Warn once of the files in class folders that are no images; pictures of other formats are `offences`."""
    left = []
    for domain in domains:
        for directory in sorted(each for of_class in domain.classes.values() for each in of_class):
            for file in _notable(os.path.join(dataroot, directory)):
                path = f"{directory}/{file}"
                kind = _picture(os.path.join(dataroot, path))
                if kind:
                    offences.add("picture of another format", path, f"{kind} is not read")
                else:
                    left.append(path)
    if left:
        log.warning("%s among the images %s no image and left out: %s", plural(len(left), "file"),
                    "is" if len(left) == 1 else "are", some(left))


def check_empty_folders(
    dataroot: str, domains: Sequence[DomainFolders], all_folders: bool, offences: Offences
) -> None:
    """Add to `offences` the folders that stand for a class or domain by their name and hold files but no image.

    all_folders: whether the domains are all the folders of images that there are, so that one without an image would
    go unnoticed. Other folders without an image are warned of.
    """
    classes = {name for domain in domains for name in domain.classes}
    unused = []
    for domain in domains:
        for holder in [f"{domain.folder}/{split}" for split in domain.splits] or [domain.folder]:
            for name in folders.subdirectories(os.path.join(dataroot, holder)):
                path = f"{holder}/{name}"
                directory = os.path.join(dataroot, path)
                if folders.has_image(directory):
                    continue
                what = _without_image(directory)
                if canonical(name) in classes and what:
                    offences.add("class without images", path, what)
                elif what:
                    unused.append(path)
    if all_folders:
        taken = {domain.folder for domain in domains}
        for folder in folders.subdirectories(dataroot):
            if folder in taken:
                continue
            inside = [name for name in folders.subdirectories(os.path.join(dataroot, folder))
                      if canonical(name) in classes]
            found = [(name, _without_image(os.path.join(dataroot, folder, name))) for name in inside]
            found = [(name, what) for name, what in found if what]
            if found:
                offences.add("domain without images", folder, " ".join(found[0]))
    if unused:
        log.warning("%s without an image left out: %s", plural(len(unused), "folder"), some(unused))


def refuse_emptied(domain: str, before: Sequence[str], after: Sequence[str]) -> None:
    """Raise DataError where `domain` had images of classes `before` and has none `after` leaving out what is bad."""
    emptied = [name for name in before if name not in after]
    if emptied:
        raise DataError(f"domain {domain} would have no image of {', '.join(emptied)} left: everything there is at "
                        "fault. Replace its images, or take the class or the domain out of the data.")


def _without_image(directory: str) -> str:
    """What is in a folder that holds files but no image; "" for a folder without files."""
    files = _notable(directory)
    if not files:  # of images at another level `survey` tells
        return ""
    kinds = sorted({kind for kind in (_picture(os.path.join(directory, name)) for name in files[:LOOKED_AT]) if kind})
    unread = f" that is read ({', '.join(kinds)} is not)" if kinds else ""
    return f"holds {plural(len(files), 'file')}, none of which is an image{unread}: {some(files)}"


def _notable(directory: str) -> List[str]:
    """The files that are no images and that the user put there."""
    return [name for name in folders.other_files(directory)
            if not name.startswith(".") and name.lower() not in _LEFT_BY_SYSTEMS]


def _picture(path: str) -> str:
    # Only what a name says nothing of is opened, and no pipes.
    return other_picture(path) if told_by_name(path) is None and os.path.isfile(path) else ""
