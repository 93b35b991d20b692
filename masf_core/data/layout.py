"""Finding the images and the lists below a directory whose layout is not known.

Layouts in use: list files beside the domain folders (PACS's own `kfold/`), lists in a directory of their own next to
one of images, or domain folders alone, with or without splits between a domain and its classes.
"""

from __future__ import annotations

import os
from typing import Iterator, List, Optional, Tuple

from masf_core.data import folders
from masf_core.data.list_names import looks_like_list
from masf_core.data.lists import lists_in
from masf_core.data.naming import is_part
from masf_core.errors import DataError

DEPTH = 3  # levels below the root at which a directory is still found
SHOWN = 5  # names in a message


def locate(root: str, list_pattern: Optional[str] = None) -> Tuple[str, Optional[str]]:
    """(directory of the domain folders, directory of the list files or None) below `root`, or `root` itself.

    Raises DataError where there are none or several; the message names them and the setting that decides.
    """
    dataroot = find_dataroot(root)
    return dataroot, find_filelist_root(root, dataroot, list_pattern)


def find_dataroot(root: str) -> str:
    """The one directory that holds `<domain>/<class>/<image>` or `<domain>/<split>/<class>/<image>`."""
    found = [directory for directory in _directories(root, DEPTH) if _has_domains(directory)]
    # Where some folders of a data set are a level deeper than the others, they are no data set of their own.
    found = [directory for directory in found
             if not any(directory.startswith(os.path.join(other, "")) for other in found if other != directory)]
    if not found:
        links = [os.path.relpath(os.path.join(directory, name), root) for directory in _directories(root, DEPTH)
                 for name in folders.linked_folders(directory)]
        raise DataError("no images below {}: expected folders <domain>/<class>/<image> at most {} levels down. Check "
                        "data_url, or name their directory with --dataroot.{}".format(
                            root, DEPTH, " Symbolic links are not followed: {}.".format(", ".join(links[:SHOWN]))
                            if links else ""))
    return _only(found, root, "directories with domain folders", "dataroot")


def find_filelist_root(
    root: str, dataroot: Optional[str] = None, list_pattern: Optional[str] = None
) -> Optional[str]:
    """The one directory that holds list files, or None.

    A directory with PACS's own names goes before others.

    Args:
        dataroot: directory of the domain folders, whose names lists have; without it only PACS's own names count.
    """
    domains = folders.subdirectories(dataroot) if dataroot is not None else []
    found, official = [], []
    for directory in _directories(root, DEPTH):
        lists = lists_in(directory, domains, list_pattern)
        if any("train" in parts or "full" in parts for parts in lists.files.values()):
            found.append(directory)
            if lists.official:
                official.append(directory)
    found = official or found
    return _only(found, root, "directories with list files", "filelist_root") if found else None


def unused_lists(
    root: str, dataroot: str, filelist_root: Optional[str], list_pattern: Optional[str] = None
) -> List[str]:
    """Files below `root` that look like lists and are not used, relative to it."""
    domains, result = folders.subdirectories(dataroot), []
    for directory in _directories(root, DEPTH):
        if filelist_root is not None and os.path.realpath(directory) == os.path.realpath(filelist_root):
            unused = lists_in(directory, domains, list_pattern).unused
        else:
            unused = [name for name in folders.names(directory) if looks_like_list(name, domains, list_pattern)]
        result += [os.path.relpath(os.path.join(directory, name), root) for name in unused]
    return sorted(result)


def _only(found: List[str], root: str, what: str, setting: str) -> str:
    if len(found) > 1:
        raise DataError("several {} below {}: {}. Choose one with --{}.".format(
            what, root, ", ".join(os.path.relpath(directory, root) for directory in found), setting))
    return found[0]


def _directories(root: str, depth: int) -> Iterator[str]:
    yield root
    if depth > 0:
        for name in folders.subdirectories(root):
            for directory in _directories(os.path.join(root, name), depth - 1):
                yield directory


def _has_domains(directory: str) -> bool:
    """Whether more folders with images lie two levels below `directory` than one level below.

    So a picture right in a domain's folder does not hide it, and the directory of a domain whose class folders have
    sub-folders is not taken for that of the domains.
    """
    one, two = 0, 0
    for name in folders.subdirectories(directory):
        domain = os.path.join(directory, name)
        one += folders.has_image(domain)
        for each in folders.subdirectories(domain):
            below = os.path.join(domain, each)
            two += folders.has_image(below)
            if is_part(each):
                two += sum(folders.has_image(os.path.join(below, name)) for name in folders.subdirectories(below))
    return two > one
