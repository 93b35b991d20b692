"""What lies below a destination and is not in the listing: found without following links, and removed."""
from __future__ import annotations

import contextlib
import os
import stat
from typing import Callable, Collection, List, NamedTuple, Tuple

from obs_sync.errors import UnsafeKey
from obs_sync.keys import PRIVATE_DIRECTORY, check_key
from obs_sync.local.destination import Destination
from obs_sync.local.files import local_storage


class ExtraFile(NamedTuple):
    key: str
    size: int  # bytes


def extra_files(destination: str, listed: Collection[str], selects: Callable[[str], bool]) -> Tuple[ExtraFile, ...]:
    """Regular files below `destination` whose key is selected and not listed, by key.

    Links are neither followed nor reported: a pull makes none. Nor is our own bookkeeping, a name that can be no
    key, or a file that is a listed one under another spelling where the file system does not distinguish case.
    """
    destination = os.path.realpath(destination)
    found: List[Tuple[ExtraFile, Tuple[int, int]]] = []
    with local_storage(destination):
        for parent, directories, names in os.walk(destination, onerror=_raise_unless_missing):
            directories[:] = [name for name in directories if name != PRIVATE_DIRECTORY]
            for name in names:
                path = os.path.join(parent, name)
                key = "/".join(os.path.relpath(path, destination).split(os.sep))
                try:
                    status = os.lstat(path)
                except FileNotFoundError:  # removed since it was listed
                    continue
                if key not in listed and stat.S_ISREG(status.st_mode) and _can_be_key(key) and selects(key):
                    found.append((ExtraFile(key, status.st_size), (status.st_dev, status.st_ino)))
    if not found:
        return ()
    ours = set()
    for key in listed:
        with contextlib.suppress(OSError):
            status = os.lstat(os.path.join(destination, *key.split("/")))
            ours.add((status.st_dev, status.st_ino))
    return tuple(sorted(extra for extra, identity in found if identity not in ours))


def remove_files(destination: str, extra: Collection[ExtraFile]) -> None:
    """Remove them, and the directories that this leaves empty. The caller has the Workspace of `destination`.

    Raises UnsafeKey if a directory on the way has become a link, LocalStorageError.
    """
    where = Destination(destination, lambda key: key, lambda key: os.path.join(destination, key))
    where.remove(key for key, _ in extra)
    for key in {os.path.dirname(key): key for key, _ in extra}.values():  # one of each folder
        where.remove_empty_folders(key)


def _can_be_key(name: str) -> bool:
    try:
        check_key(name, name)
    except UnsafeKey:
        return False
    return True


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
