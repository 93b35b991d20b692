"""Looking at folders `<domain>/<class>/<image>` on disk. Symbolic links below the root are never followed."""

from __future__ import annotations

import os
import stat
from typing import Dict, Iterator, List, Optional, Tuple

from masf_core.data.image_kind import is_image_file, told_by_name
from masf_core.errors import DataError

# Folders that network drives and systems make by themselves.
MADE_BY_SYSTEMS = ("@eaDir", "#recycle", "$RECYCLE.BIN", "lost+found", "System Volume Information")


def names(directory: str) -> List[str]:
    """Names of everything in `directory`. Raises DataError where it cannot be read."""
    return [entry.name for entry in _entries(directory)]


def subdirectories(directory: str) -> List[str]:
    """Names of the real directories in `directory`, sorted, without hidden ones and what archives (`__MACOSX`) and
    systems (`@eaDir`) leave there.

    Raises DataError where the directory cannot be read.
    """
    return sorted(entry.name for entry in _entries(directory)
                  if not entry.name.startswith((".", "__")) and entry.name not in MADE_BY_SYSTEMS
                  and entry.is_dir(follow_symlinks=False))


def linked_folders(directory: str) -> List[str]:
    """Names of the symbolic links in `directory` that stand for a folder or lead nowhere, sorted; see `subdirectories`.
    """
    return sorted(entry.name for entry in _entries(directory)
                  if not entry.name.startswith((".", "__")) and entry.is_symlink() and not entry.is_file()
                  and not _is_image(entry))


def images(directory: str) -> List[str]:
    """Names of the image files in `directory`, links among them, sorted. See `image_kind` for how they are told."""
    return sorted(entry.name for entry in _entries(directory) if _is_image(entry))


def other_files(directory: str) -> List[str]:
    """Names of the files in `directory` that are no images, sorted."""
    return sorted(entry.name for entry in _entries(directory)
                  if not entry.is_dir(follow_symlinks=False) and not _is_image(entry))


def has_image(directory: str) -> bool:
    """Whether there is an image file right in `directory`."""
    untold = []
    for entry in _entries(directory):  # names first, so that mostly nothing is opened
        told = _told(entry)
        if told:
            return True
        if told is None:
            untold.append(entry)
    return any(map(_is_image, untold))


def _told(entry: os.DirEntry) -> Optional[bool]:
    """As `told_by_name`; False for what is hidden or a directory."""
    if entry.name.startswith(".") or entry.is_dir(follow_symlinks=False):
        return False
    return told_by_name(entry.name)


def _is_image(entry: os.DirEntry) -> bool:
    told = _told(entry)
    # Only regular files are opened: a named pipe would wait for its writer.
    return told if told is not None else entry.is_file() and is_image_file(entry.path)


def _entries(directory: str) -> Iterator[os.DirEntry]:
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                yield entry
    except OSError as problem:
        raise DataError(f"{directory} cannot be listed: {problem.strerror or problem}") from problem


class FileCheck:
    """Says whether a path below `dataroot` is a usable file, without opening it."""

    def __init__(self, dataroot: str) -> None:
        self._dataroot = dataroot
        self._linked: Dict[str, bool] = {"": False}

    def __call__(self, path: str) -> Tuple[int, str, str]:
        """(size in bytes, "", ""), or (0, kind of offence, what is wrong) for a '/'-separated relative path."""
        parent = path.rpartition("/")[0]
        if self._behind_link(parent):
            return 0, "symbolic link", f"{path} lies behind a symbolic link"
        try:
            status = os.lstat(os.path.join(self._dataroot, path))
        except (FileNotFoundError, NotADirectoryError):
            return 0, "missing file", f"{path} is not there"
        except (OSError, ValueError) as problem:
            return 0, "unreadable image", f"{path}: {problem}"
        if stat.S_ISLNK(status.st_mode):
            return 0, "symbolic link", f"{path} is a symbolic link"
        if not stat.S_ISREG(status.st_mode):
            return 0, "unreadable image", f"{path} is not a file"
        if status.st_size == 0:
            return 0, "empty file", f"{path} has no bytes"
        return status.st_size, "", ""

    def _behind_link(self, directory: str) -> bool:
        if directory not in self._linked:
            self._linked[directory] = (self._behind_link(directory.rpartition("/")[0])
                                       or os.path.islink(os.path.join(self._dataroot, directory)))
        return self._linked[directory]
