"""Finding the images and the lists below a directory whose layout is not known.

Layouts in use: list files beside the domain folders (PACS's own `kfold/`), lists in a directory of their own next to
one of images, or domain folders alone.
"""

from __future__ import annotations

import os
from typing import Iterator, List, Optional, Tuple

from masf_core.data import folders
from masf_core.errors import DataError

DEPTH = 3  # levels below the root at which a directory is still found


def locate(root: str) -> Tuple[str, Optional[str]]:
    """(directory of the domain folders, directory of the list files or None) below `root`, or `root` itself.

    Raises DataError where there are none or several; the message names them and the setting that decides.
    """
    return find_dataroot(root), find_filelist_root(root)


def find_dataroot(root: str) -> str:
    """The one directory that holds `<domain>/<class>/<image>`."""
    found = [directory for directory in _directories(root, DEPTH) if _has_domains(directory)]
    if not found:
        raise DataError("no images below {}: expected folders <domain>/<class>/<image> at most {} levels down. Check "
                        "data_url, or name their directory with --dataroot.".format(root, DEPTH))
    return _only(found, root, "directories with domain folders", "dataroot")


def find_filelist_root(root: str) -> Optional[str]:
    """The one directory that holds `<domain>_train_kfold.txt` files, or None."""
    found = [directory for directory in _directories(root, DEPTH) if _has_lists(directory)]
    return _only(found, root, "directories with list files", "filelist_root") if found else None


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
    """Whether a folder of a folder of `directory` has an image, and none of its own folders has one.

    The second condition tells the directory of domains from that of a domain whose class folders have sub-folders.
    """
    domains = [os.path.join(directory, name) for name in folders.subdirectories(directory)]
    if any(folders.has_image(domain) for domain in domains):
        return False
    return any(folders.has_image(os.path.join(domain, name))
               for domain in domains for name in folders.subdirectories(domain))


def _has_lists(directory: str) -> bool:
    return any(name.endswith("_train_kfold.txt") for name in folders.names(directory))
