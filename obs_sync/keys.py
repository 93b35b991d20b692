"""Keys and files: which key may become which path, so that nothing is ever written outside the destination.

A key is bytes to the store, but here it becomes a path. `photo/dog/1.jpg` is accepted; `../x`, `/etc/x`, `a//b`,
`a\\b` and a key with a NUL are refused, and so are two keys of which one is a directory of the other.
"""
from __future__ import annotations

import os
from typing import Dict, Iterable, List

from obs_sync.errors import UnsafeKey

PRIVATE_DIRECTORY = ".obs_sync"
"""Our own directory below a destination or a local store: the index of fetched files, and unfinished files. No key may
have it as a segment, and no listing shows it.
"""

_MOST_SEGMENTS = 255
_LONGEST_PATH = 4096  # bytes, of Linux
_LONGEST_NAME = 255   # bytes, of one segment
_NO_SEGMENTS = frozenset(["", ".", ".."])
_RENAME = "Rename the object, or move it out of the prefix"


def is_private(key: str) -> bool:
    """Whether a key is of our own bookkeeping: of the store, or of a folder below it that is a destination too."""
    return PRIVATE_DIRECTORY in key.split("/")


def check_key(key: str, where: str) -> str:
    """Return `key` if it is a relative path of plain segments; otherwise raise UnsafeKey. `where`: its URL."""
    if not key:
        raise UnsafeKey("the key is empty", where, "Name an object below this URL")
    if "\0" in key or "\\" in key:
        raise UnsafeKey("the key holds a NUL or a backslash, so it cannot be a file", repr(where), _RENAME, key)
    segments = key.split("/")
    if key.startswith("/"):
        raise UnsafeKey("the key begins with '/', so it would be an absolute path", where, _RENAME, key)
    if not _NO_SEGMENTS.isdisjoint(segments):
        raise UnsafeKey("the key has an empty, '.' or '..' segment, so it could leave its directory", where, _RENAME,
                        key)
    if PRIVATE_DIRECTORY in segments:
        raise UnsafeKey(f"keys below {PRIVATE_DIRECTORY}/ are reserved for bookkeeping", where, _RENAME, key)
    try:
        length = len(key.encode("utf-8"))
    except UnicodeEncodeError:  # a local file name that is not UTF-8
        raise UnsafeKey("the key is not valid Unicode", repr(where), _RENAME, key) from None
    if len(segments) > _MOST_SEGMENTS or length >= _LONGEST_PATH:
        raise UnsafeKey(f"the key has {len(segments):,} segments and {length:,} bytes, so it cannot be a file", where,
                        _RENAME, key)
    if length > _LONGEST_NAME:
        longest = max(len(segment.encode("utf-8")) for segment in segments)
        if longest > _LONGEST_NAME:
            raise UnsafeKey(f"the key has a segment of {longest:,} bytes; the name of a file has at most "
                            f"{_LONGEST_NAME}", where, _RENAME, key)
    return key


def path_below(directory: str, key: str, where: str) -> str:
    """The path of `key` below `directory`, to read from. Raises UnsafeKey if it would leave the directory."""
    return os.path.join(directory, *check_key(key, where).split("/"))


def writable_path_below(directory: str, key: str, where: str) -> str:
    """The path of `key` below `directory`, to write to. Raises UnsafeKey also if a parent is a symbolic link.

    The last segment may be a link: files are put in place by renaming, which replaces the link itself.
    """
    path = path_below(directory, key, where)
    for parent in directories_of(key):
        link = os.path.join(directory, *parent.split("/"))
        if os.path.islink(link):
            raise UnsafeKey(f"{link} is a symbolic link, and nothing is written through links", where,
                            "Replace the link with a directory, or choose another destination")
    return path


def check_together(keys: Iterable[str], where: str, fold_case: bool = False) -> None:
    """Check that all `keys` can be files of one directory at the same time.

    Raises UnsafeKey naming the keys if one is a directory of another, or, with `fold_case` (a file system that ignores
    case), if two differ only in case.
    """
    def spelling(key: str) -> str:
        return key.casefold() if fold_case else key

    files: Dict[str, str] = {}
    for key in keys:
        other = files.setdefault(spelling(key), key)
        if other != key:
            raise UnsafeKey(f"{other!r} and {key!r} are the same file on a file system that ignores case", where,
                            _RENAME, other)
    seen = {""}
    for key in files.values():
        directory = key.rpartition("/")[0]
        while directory not in seen:  # otherwise it and all directories above it were checked
            seen.add(directory)
            clash = files.get(spelling(directory))
            if clash is not None:
                raise UnsafeKey(f"{clash!r} cannot be both a file and the directory of {key!r}", where, _RENAME,
                                clash)
            directory = directory.rpartition("/")[0]


def directories_of(key: str) -> List[str]:
    """'a/b/c' -> ['a', 'a/b']."""
    segments = key.split("/")
    return ["/".join(segments[:i]) for i in range(1, len(segments))]
