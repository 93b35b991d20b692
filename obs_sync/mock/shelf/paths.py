"""Object keys as paths, which are always below the bucket's directory."""
from __future__ import annotations

import hashlib
import os
from typing import Optional
from urllib.parse import quote

HIDDEN = ".mock_obs"    # in the root, next to the buckets; no bucket can have this name
_MAX_NAME_BYTES = 255   # of one path component


def plain_path(directory: str, key: str) -> Optional[str]:
    """The path of an object below its bucket's directory, or None if its key cannot be a path.

    A key cannot be a path if a component is empty (so with a slash at either end), `.`, `..` or too long; if it has a
    NUL; if there is a directory where the file has to be, or a file where a directory has to be; or if a symbolic link,
    which somebody put there by hand, leads elsewhere. A link in the place of the file itself does no harm, as renaming
    a file to this place replaces the link.

    Args:
        directory: of the bucket; its own path has no symbolic links.
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
    """Deletes `directory` and its parents while they are empty, but not `stop`."""
    while directory != stop and directory.startswith(stop + os.sep):
        try:
            os.rmdir(directory)
        except OSError:
            return
        directory = os.path.dirname(directory)
