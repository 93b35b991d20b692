"""Finding the images and the lists below a directory whose layout is not known.

Layouts in use: list files beside the domain folders (PACS's own `kfold/`), lists in a directory of their own next to
one of images, or domain folders alone, with or without splits between a domain and its classes.
"""

from __future__ import annotations

import os
import re
from typing import List, Optional, Tuple

from masf_core.data.folders import Folder
from masf_core.data.list_names import looks_like_list
from masf_core.data.lists import lists_in
from masf_core.data.naming import canonical, is_part
from masf_core.errors import DataError

DEPTH = 3  # levels below the root at which a directory is still found
SHOWN = 5  # names in a message
_LISTS_FOLDER = re.compile("list|split|kfold|label|txt", re.IGNORECASE)


def locate(root: Folder, list_pattern: Optional[str] = None) -> Tuple[str, Optional[str]]:
    """(directory of the domain folders, directory of the list files or None) below `root`, or `root` itself.

    Raises DataError where there are none or several; the message names them and the setting that decides.
    """
    dataroot = find_dataroot(root)
    return dataroot, find_filelist_root(root, dataroot, list_pattern)


def find_dataroot(root: Folder) -> str:
    """The one directory that holds `<domain>/<class>/<image>` or `<domain>/<split>/<class>/<image>`."""
    found = [folder for folder in _folders(root) if _has_domains(folder)]
    # Folders of a data set that lie a level deeper than the others are not a data set of their own.
    found = [folder for folder in found
             if not any(folder.path.startswith(other.path_of("")) for other in found if other is not folder)]
    if not found:
        links = [link for folder in _folders(root) for link in folder.links]
        raise DataError(f"no images below {root.location}: expected folders <domain>/<class>/<image> at most {DEPTH} "
                        "levels down. Check data_url, or name their directory with --dataroot." + (
                            f" Symbolic links are not followed: {', '.join(links[:SHOWN])}." if links else ""))
    _refuse_wrapped(found)
    return _only(found, root, "directories with domain folders", "dataroot")


def find_filelist_root(
    root: Folder, dataroot: Optional[str] = None, list_pattern: Optional[str] = None
) -> Optional[str]:
    """The one directory that holds list files, or None.

    A directory with PACS's own names is preferred to others.

    Args:
        dataroot: directory of the domain folders, whose names lists have; without it only PACS's own names count.
    """
    domains = list(Folder(dataroot).subfolders) if dataroot is not None else []
    found, official = [], []
    for folder in _folders(root):
        lists = lists_in(folder, domains, list_pattern)
        if any("train" in parts or "full" in parts for parts in lists.files.values()):
            found.append(folder)
            if lists.official:
                official.append(folder)
    found = official or found
    return _only(found, root, "directories with list files", "filelist_root") if found else None


def lists_beside(root: Folder, dataroot: str, list_pattern: Optional[str] = None) -> Optional[str]:
    """The directory above `root`, or a folder of lists next to `root`, if it holds lists of the domains; else None.

    Such lists are not used by default: a job that reads the same data from a bucket would not see them, and would split
    the images in another way.
    """
    above = Folder(os.path.dirname(os.path.abspath(root.location)))
    domains = {canonical(name) for name in Folder(dataroot).subfolders}
    try:
        for folder in [above] + [each for name, each in above.subfolders.items() if _LISTS_FOLDER.search(name)]:
            if len(domains & set(lists_in(folder, domains, list_pattern).files)) > 1:
                return folder.location
    except DataError:  # a directory outside the data may be unreadable
        pass
    return None


def unused_lists(
    root: Folder, dataroot: str, filelist_root: Optional[str], list_pattern: Optional[str] = None
) -> List[str]:
    """Files below `root` that look like lists and are not used, relative to it."""
    domains, result = list(Folder(dataroot).subfolders), []
    for folder in _folders(root):
        if filelist_root is not None and os.path.realpath(folder.location) == os.path.realpath(filelist_root):
            unused = lists_in(folder, domains, list_pattern).unused
        else:
            unused = [name for name in folder.files if looks_like_list(name, domains, list_pattern)]
        result += [folder.path_of(name) for name in unused]
    return sorted(result)


def _folders(root: Folder) -> List[Folder]:
    return [root] + list(root.below(DEPTH))


def _only(found: List[Folder], root: Folder, what: str, setting: str) -> str:
    if len(found) > 1:
        raise DataError(f"several {what} below {root.location}: {', '.join(folder.path or '.' for folder in found)}. "
                        f"Choose one with --{setting}.")
    return found[0].location


def _refuse_wrapped(found: List[Folder]) -> None:
    """Raise DataError if these are the domains themselves, each with a single folder, such as `images`, of classes."""
    above = {folder.path.rpartition("/")[0] for folder in found}
    wrapping = [next(iter(folder.subfolders.values())) for folder in found if len(folder.subfolders) == 1]
    if len(found) > 1 and len(above) == 1 and len(wrapping) == len(found):
        example = wrapping[0].path
        moves = ", ".join(f"{folder.path} into {folder.path.rpartition('/')[0]}" for folder in wrapping[:SHOWN])
        more = " and so on" if len(wrapping) > SHOWN else ""
        raise DataError(
            f"each domain keeps its class folders one level too deep, below a single folder such as {example}. "
            f"Expected <domain>/<class>/<image>. Move what is in {moves}{more}.")


def _has_domains(folder: Folder) -> bool:
    """Whether more folders with images lie two levels below `folder` than one level below.

    So a domain is found although a picture lies directly in its folder, and a domain whose class folders have
    subfolders is not mistaken for the directory of the domains.
    """
    one, two = 0, 0
    for domain in folder.subfolders.values():
        one += domain.has_image()
        for name, below in domain.subfolders.items():
            two += below.has_image()
            if is_part(name):
                two += sum(each.has_image() for each in below.subfolders.values())
    return two > one
