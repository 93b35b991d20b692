"""Folders on disk as a tree that is read once. Symbolic links below the root are never followed."""

from __future__ import annotations

import os
import stat
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from masf_core.data.image_kind import is_image_file, told_by_name
from masf_core.errors import DataError

# Folders that network drives and systems make by themselves.
MADE_BY_SYSTEMS = ("@eaDir", "#recycle", "$RECYCLE.BIN", "lost+found", "System Volume Information")


class Folder:
    """The root or a folder below it. Its directory is read once, when a caller first asks for something in it.

    root: directory on disk. path: below the root with "/", as the disk spells it; "" is the root itself.
    skip: directories on disk that are treated as if they were not there, such as those that a run writes to.

    Reading raises DataError where the directory cannot be listed.
    """

    def __init__(self, root: str, path: str = "", skip: Sequence[str] = ()) -> None:
        self.root = root
        self.path = path
        self._skip = frozenset(map(os.path.realpath, skip))
        self._listing: Optional[_Listing] = None
        self._subfolders: Optional[Dict[str, Folder]] = None
        self._images: Optional[List[str]] = None

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def location(self) -> str:
        """The directory on disk."""
        return os.path.join(self.root, self.path) if self.path else self.root

    @property
    def subfolders(self) -> Dict[str, Folder]:
        """{name: folder}, sorted by name: the real directories.

        Directories are left out that are hidden, that archives (`__MACOSX`) or systems (`@eaDir`) leave, or in `skip`.
        """
        if self._subfolders is None:
            self._subfolders = {}
            for name in sorted(self._read().directories):
                folder = Folder(self.root, self.path_of(name))
                folder._skip = self._skip
                if not self._skip or os.path.realpath(folder.location) not in self._skip:
                    self._subfolders[name] = folder
        return self._subfolders

    @property
    def links(self) -> List[str]:
        """Paths below the root of the symbolic links that stand for a folder or lead nowhere, sorted."""
        return [self.path_of(name) for name in sorted(self._read().links)]

    @property
    def images(self) -> List[str]:
        """Paths below the root of the image files in this folder, links among them, sorted. See `image_kind`."""
        if self._images is None:
            listing = self._read()
            told = [name for name in listing.unknown if is_image_file(os.path.join(self.location, name))]
            self._images = [self.path_of(name) for name in sorted(listing.images + told)]
        return self._images

    @property
    def other_files(self) -> List[str]:
        """Names of the files in this folder that are not images, sorted."""
        listing, images = self._read(), set(self.images)
        return sorted(listing.others + [name for name in listing.unknown if self.path_of(name) not in images])

    @property
    def files(self) -> List[str]:
        """Names of all files in this folder, sorted; no file is opened to tell what it is."""
        listing = self._read()
        return sorted(listing.images + listing.unknown + listing.others)

    def has_image(self) -> bool:
        """Whether there is an image file right in this folder. Files are opened only where no name tells."""
        return bool(self._read().images or self.images)

    def path_of(self, name: str) -> str:
        """The path below the root of what has this name in this folder."""
        return f"{self.path}/{name}" if self.path else name

    def below(self, levels: int) -> Iterator[Folder]:
        """The folders below this one, at most so many levels down, each before those in it."""
        if levels > 0:
            for folder in self.subfolders.values():
                yield folder
                for deeper in folder.below(levels - 1):
                    yield deeper

    def _read(self) -> _Listing:
        if self._listing is None:
            listing = _Listing([], [], [], [], [])
            try:
                with os.scandir(self.location) as entries:
                    for entry in entries:
                        listing.add(entry)
            except OSError as problem:
                raise DataError(f"{self.location} cannot be listed: {problem.strerror or problem}") from problem
            self._listing = listing
        return self._listing


class _Listing(NamedTuple):
    """Names in one directory."""

    directories: List[str]
    links: List[str]  # also among the files
    images: List[str]  # by their names
    unknown: List[str]  # regular files, and links to some, whose first bytes have to tell whether they are images
    others: List[str]

    def add(self, entry: os.DirEntry) -> None:
        name = entry.name
        if entry.is_dir(follow_symlinks=False):
            if not name.startswith((".", "__")) and name not in MADE_BY_SYSTEMS:
                self.directories.append(name)
            return
        told = False if name.startswith(".") else told_by_name(name)
        if told:
            self.images.append(name)
            return
        # Only regular files are opened: a named pipe would wait for its writer.
        is_file = entry.is_file()
        (self.unknown if told is None and is_file else self.others).append(name)
        if entry.is_symlink() and not is_file and not name.startswith((".", "__")):
            self.links.append(name)


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
