"""Files in the folders of images that are not images: they are counted and named. A class without any image is refused.
"""

from __future__ import annotations

import logging
import os
from typing import Collection, Dict, List, Sequence

from masf_core.data.folders import Folder
from masf_core.data.image_kind import other_picture, told_by_name
from masf_core.data.naming import canonical
from masf_core.data.offences import Offences
from masf_core.data.survey import DomainFolders
from masf_core.errors import DataError
from masf_core.words import plural, some

log = logging.getLogger(__name__)

LOOKED_AT = 5  # files whose format is told
_LEFT_BY_SYSTEMS = ("thumbs.db", "desktop.ini", "icon\r")


def note_other_files(domains: Sequence[DomainFolders], offences: Offences) -> None:
    """Warn once of the files in class folders that are not images; pictures of other formats are `offences`."""
    others = []
    for domain in domains:
        for folder in sorted(domain.class_folders, key=lambda each: each.path):
            for name in _notable(folder):
                kind = _picture(folder, name)
                if kind:
                    offences.add("picture of another format", folder.path_of(name), f"{kind} files cannot be read")
                else:
                    others.append(folder.path_of(name))
    if others:
        log.warning("%s in the class folders skipped, because %s: %s", plural(len(others), "file"),
                    "it is not an image" if len(others) == 1 else "they are not images", some(others))


def check_empty_folders(
    root: Folder, domains: Sequence[DomainFolders], all_folders: bool, offences: Offences
) -> None:
    """Add to `offences` the folders that stand for a class or domain by their name and hold files but no image.

    Other folders without an image are named in a warning.

    Args:
        root: dataroot. all_folders: whether the domains are all folders of dataroot that have images, so that nobody
            would notice one without an image.
    """
    classes = {name for domain in domains for name in domain.classes}
    unused = []
    for domain in domains:
        for path, what in _without_images(domain).items():
            if canonical(path.rpartition("/")[2]) in classes:
                offences.add("class without images", path, what)
            else:
                unused.append(path)
    if unused:
        log.warning("%s skipped, because no file in %s is an image: %s", plural(len(unused), "folder"),
                    "it" if len(unused) == 1 else "them", some(unused))
    taken = [domain.folder.path for domain in domains]
    for folder in root.subfolders.values() if all_folders else ():
        what = _like_a_domain(folder, classes)
        if what and folder.path not in taken:
            offences.add("domain without images", folder.path, what)


def refuse_emptied(domain: str, before: Sequence[str], after: Sequence[str]) -> None:
    """Raise DataError where `domain` had images of classes `before`, and only of `after` once bad ones are skipped."""
    emptied = [name for name in before if name not in after]
    if emptied:
        raise DataError(f"domain {domain} would have no image of {', '.join(emptied)}, because none of them can be "
                        "used. Replace these images, or remove the class or the domain from the data.")


def _like_a_domain(folder: Folder, classes: Collection[str]) -> str:
    """What the first subfolder with the name of a class holds instead of images; "" where there is no such folder."""
    for name, each in folder.subfolders.items():
        what = _without_image(each) if canonical(name) in classes else ""
        if what:
            return f"{name} {what}"
    return ""


def _without_images(domain: DomainFolders) -> Dict[str, str]:
    """{path: what is in it} of the folders in the place of a class that hold files but no image."""
    found = {each.path: _without_image(each) for holder in domain.holders for each in holder.subfolders.values()
             if not each.has_image()}
    return {path: what for path, what in found.items() if what}


def _without_image(folder: Folder) -> str:
    """What is in a folder that holds files but no image; "" for a folder without files."""
    files = _notable(folder)
    if not files:  # of images at another level `survey` tells
        return ""
    kinds = sorted({kind for kind in (_picture(folder, name) for name in files[:LOOKED_AT]) if kind})
    unread = f" that can be read ({', '.join(kinds)} cannot)" if kinds else ""
    return f"holds {plural(len(files), 'file')}, none of which is an image{unread}: {some(files)}"


def _notable(folder: Folder) -> List[str]:
    """Names of the files that are not images and that no system has put there."""
    return [name for name in folder.other_files
            if not name.startswith(".") and name.lower() not in _LEFT_BY_SYSTEMS]


def _picture(folder: Folder, name: str) -> str:
    path = os.path.join(folder.location, name)
    # Only files whose name says nothing are opened, and no pipes.
    return other_picture(path) if told_by_name(name) is None and os.path.isfile(path) else ""
