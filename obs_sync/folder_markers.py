"""Objects that only stand for a folder, and our own bookkeeping: no listing of a store shows them.

Consoles make an empty object `photo/` for a folder, also for the folder that a URL names. These are skipped silently.
Other tools leave a byte in such an object, an empty object `photo` beside `photo/…`, an empty `photo_$folder$`, or an
object `.`. They cannot be files and hold no data, so they are skipped too, and named in the log once.
"""
from __future__ import annotations

import logging
from typing import Callable, Iterable, Iterator, List, Set

from obs_sync.keys import PRIVATE_DIRECTORY, directories_of, is_private
from obs_sync.store import ObjectInfo

_log = logging.getLogger(__name__)

_HADOOP = "_$folder$"
_LARGEST = 16  # bytes; no marker is larger, so a larger object is listed even if its key cannot be a file


class Skipped:
    """Names in the log which markers of other tools the listings of a store skip, each of them once."""

    def __init__(self, locate: Callable[[str], str]):
        self._locate = locate
        self._told: Set[str] = set()

    def __call__(self, keys: List[str]) -> None:
        new = [key for key in keys if key not in self._told]
        self._told.update(new)
        if new:
            tell(new, self._locate)


def tell(keys: List[str], locate: Callable[[str], str]) -> None:
    """Name the skipped keys in the log."""
    if len(keys) == 1:
        _log.warning("%s is skipped: another tool left this object to stand for a folder", locate(keys[0]))
    else:
        _log.warning("%d objects are skipped, such as %s: another tool left them to stand for folders", len(keys),
                     locate(keys[0]))


def only_objects(listing: Iterable[ObjectInfo], skipped: Callable[[List[str]], None]) -> Iterator[ObjectInfo]:
    """The objects of a whole listing that can hold data. At its end, `skipped` gets the keys of other tools' markers.

    Empty objects come last: only at the end of the listing is it known whether there are objects below such a key, and
    so whether it stands for a folder.
    """
    empty: List[ObjectInfo] = []
    folders: Set[str] = set()
    foreign: List[str] = []
    for info in listing:
        key = info.key
        if PRIVATE_DIRECTORY in key and is_private(key):
            continue
        folders.add(key.rpartition("/")[0])
        if info.size > _LARGEST and key:  # nearly every object: no further question is asked
            yield info
        elif _is_folder(key) or is_foreign_marker(key, info.size):
            if info.size or not _is_folder(key):
                foreign.append(key)
        elif info.size:
            yield info
        else:
            empty.append(info)
    yield from _without_folders(empty, folders, foreign)
    if foreign:
        skipped(foreign)


def _is_folder(key: str) -> bool:
    """Whether a key cannot be a file: it is empty or ends in '/'."""
    return not key or key.endswith("/")


def _without_folders(empty: List[ObjectInfo], folders: Set[str], foreign: List[str]) -> Iterator[ObjectInfo]:
    """The `empty` objects that are not themselves folders of other objects; the keys of the others go to `foreign`.

    folders: the folder right above each object of the listing.
    """
    if empty:
        folders = folders.union(*(directories_of(folder) for folder in folders))
    for info in empty:
        if info.key in folders:
            foreign.append(info.key)
        else:
            yield info


def only_objects_beside(infos: List[ObjectInfo], keys: Iterable[str],
                        skipped: Callable[[List[str]], None]) -> List[ObjectInfo]:
    """`infos` without the empty objects that stand for folders of `keys`; both are in the same place."""
    empty = {info.key for info in infos if not info.size}
    foreign = sorted(empty & {folder for key in keys for folder in directories_of(key)}) if empty else []
    if foreign:
        skipped(foreign)
    return [info for info in infos if info.key not in foreign]


def is_foreign_marker(key: str, size: int) -> bool:
    """Whether the name and size of an object show that it is another tool's marker of a folder."""
    if not size and key.endswith(_HADOOP):
        return True
    return size <= 1 and key.rpartition("/")[2] == "."
