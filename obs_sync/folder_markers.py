"""Objects that only stand for a folder, and our own bookkeeping: what no listing of a store holds.

Consoles make an empty object `photo/` for a folder, the one that a URL names included; there is nothing to say of it.
Other tools leave a byte in it, an empty object `photo` beside `photo/…`, an empty `photo_$folder$`, or an object `.`.
They cannot be files and hold nothing, so they are skipped too, counted and named once.
"""
from __future__ import annotations

import logging
from typing import Callable, Iterable, Iterator, List, Set

from obs_sync.keys import PRIVATE_DIRECTORY, directories_of, is_private
from obs_sync.store import ObjectInfo

_log = logging.getLogger(__name__)

_HADOOP = "_$folder$"
_LARGEST = 16  # bytes: no image, list or weights are that small under a key that can be no file


class Skipped:
    """Tells in the log which markers of other tools a store's listings skip, each of them once."""

    def __init__(self, locate: Callable[[str], str]):
        self._locate = locate
        self._told: Set[str] = set()

    def __call__(self, keys: List[str]) -> None:
        new = [key for key in keys if key not in self._told]
        self._told.update(new)
        if new:
            tell(new, self._locate)


def tell(keys: List[str], locate: Callable[[str], str]) -> None:
    """Name what is skipped."""
    if len(keys) == 1:
        _log.warning("%s is skipped: another tool left this object to stand for a folder", locate(keys[0]))
    else:
        _log.warning("%d objects are skipped, such as %s: another tool left them to stand for folders", len(keys),
                     locate(keys[0]))


def only_objects(listing: Iterable[ObjectInfo], skipped: Callable[[List[str]], None]) -> Iterator[ObjectInfo]:
    """The objects of a whole listing that can hold data; keys of other tools' markers are told to `skipped` at its end.

    Empty objects come last: whether one stands for a folder is known when everything below it could have been listed.
    """
    empty: List[ObjectInfo] = []
    folders: Set[str] = set()
    foreign: List[str] = []
    for info in listing:
        key = info.key
        if PRIVATE_DIRECTORY in key and is_private(key):
            continue
        folders.add(key.rpartition("/")[0])
        if info.size > _LARGEST and key:
            yield info
        elif not key or key.endswith("/"):
            if info.size:
                foreign.append(key)
        elif is_foreign_marker(key, info.size):
            foreign.append(key)
        elif info.size:
            yield info
        else:
            empty.append(info)
    if empty:
        folders.update(above for folder in list(folders) for above in directories_of(folder))
    for info in empty:
        if info.key in folders:
            foreign.append(info.key)
        else:
            yield info
    if foreign:
        skipped(foreign)


def only_objects_beside(infos: List[ObjectInfo], keys: Iterable[str],
                        skipped: Callable[[List[str]], None]) -> List[ObjectInfo]:
    """`infos` without the empty ones that stand for folders of `keys`, which lie in the same place."""
    empty = {info.key for info in infos if not info.size}
    foreign = sorted(empty & {folder for key in keys for folder in directories_of(key)}) if empty else []
    if foreign:
        skipped(foreign)
    return [info for info in infos if info.key not in foreign]


def is_foreign_marker(key: str, size: int) -> bool:
    """Whether its name and size are enough to tell that an object is another tool's marker of a folder."""
    if not size and key.endswith(_HADOOP):
        return True
    return size <= 1 and key.rpartition("/")[2] == "."
