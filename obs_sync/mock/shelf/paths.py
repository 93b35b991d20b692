"""Object keys as paths below a bucket's directory, and never outside it."""
from __future__ import annotations

import hashlib
import os
from typing import Optional
from urllib.parse import quote

HIDDEN = ".mock_obs"    # in the root, next to the buckets; no bucket can have this name
_MAX_NAME_BYTES = 255   # of one path component


def plain_path(directory: str, key: str) -> Optional[str]:
    """Where an object lies below its bucket's directory, or None when its key cannot be a path.

    It cannot with an empty, `.` or `..` component (so with a slash at either end), a NUL or a component that
    is too long; where a directory is in the place of the file or a file in the place of a directory; or
    where a symbolic link, put there by hand, would lead elsewhere. (A link in the place of the file itself
    does no harm: a file is put in place by renaming, which replaces the link.)

    Args:
        directory: of the bucket, without symbolic links in its own path.
    """
    names = key.split("/")
    if "\0" in key or any(name in ("", ".", "..") for name in names):
        return None
    if any(len(name.encode("utf-8")) > _MAX_NAME_BYTES for name in names):
        return None
    parent = directory
    for name in names[:-1]:
        parent = os.path.join(parent, name)
        if os.path.islink(parent) or os.path.isfile(parent):
            return None
    path = os.path.join(parent, names[-1])
    return None if os.path.isdir(path) else path


def escaped_name(key: str) -> str:
    """A file name for a key that cannot be a path: readable at its start, unique by its end."""
    digest = hashlib.sha256(key.encode("utf-8")).hexdigest()
    return f"{quote(key, safe='')[:100]}-{digest[:32]}"


def remove_empty_directories(directory: str, stop: str) -> None:
    """Removes `directory` and its parents up to but not including `stop`, as long as they are empty."""
    while directory != stop and directory.startswith(stop + os.sep):
        try:
            os.rmdir(directory)
        except OSError:
            return
        directory = os.path.dirname(directory)
