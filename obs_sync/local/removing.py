"""Files of a destination that are not in the listing: found without following links, and deleted."""
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

    Links are not followed and not reported, because a pull makes none. Not reported either: our own bookkeeping, a
    name that cannot be a key, and, on a file system that ignores case, another spelling of a listed file.
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
                except FileNotFoundError:  # deleted since it was listed
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
    """Delete the files, and the directories that are empty then. The caller holds the Workspace of `destination`.

    Raises UnsafeKey if a parent has become a link, LocalStorageError if a file cannot be deleted.
    """
    where = Destination(destination, lambda key: key, lambda key: os.path.join(destination, key))
    where.remove(key for key, _ in extra)
    for key in {os.path.dirname(key): key for key, _ in extra}.values():  # one file of each folder
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
