"""The directory that a pull fills, or that is a local store: writing never follows a symbolic link below it."""
from __future__ import annotations

import contextlib
import os
import stat
from typing import Callable, Dict, Iterable, Iterator, Optional, Sequence, Tuple

from obs_sync.errors import LocalStorageError, StoreError, UnsafeKey
from obs_sync.keys import check_key
from obs_sync.local.files import LocalFile, local_storage

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MAKE_ROOM = "Remove or rename it, or choose another destination"
_MOST_FOLDERS = 32  # that one call has open at once; several workers may do so at the same time


class Destination:
    """Files of `directory` by key. `place` returns the relative path of a key, `locate` its URL for messages.

    The directory itself may be a link. Each parent is checked once for all keys of a call, not once for each file.
    """

    def __init__(self, directory: str, place: Callable[[str], str], locate: Callable[[str], str]):
        self.root = os.path.realpath(directory)
        self._place = place
        self._locate = locate
        self._names: Dict[str, str] = {}  # by key, once checked

    def path(self, key: str) -> str:
        """The path of the file of `key`. Raises UnsafeKey if the key cannot be a file."""
        return f"{self.root}/{self._name(key)}"

    def look(self, keys: Iterable[str], to_write: bool = False) -> Dict[str, LocalFile]:
        """The regular files that exist. Raises UnsafeKey for a key that cannot be a file or is behind a link.

        With `to_write`, raises LocalStorageError if there is a directory where a key needs a file, or a file where it
        needs a directory.
        """
        found: Dict[str, LocalFile] = {}
        folders: Dict[str, bool] = {"": True}  # whether it exists
        with local_storage(self.root):
            for key in keys:
                name = self._name(key)
                if self._is_folder(name.rpartition("/")[0], folders, key, to_write):
                    try:
                        status = os.lstat(f"{self.root}/{name}")
                    except (FileNotFoundError, NotADirectoryError):
                        continue
                    if stat.S_ISREG(status.st_mode):
                        found[key] = LocalFile(status.st_size, status.st_mtime_ns)
                    elif to_write and stat.S_ISDIR(status.st_mode):
                        raise LocalStorageError(f"this is a directory, but {self._locate(key)} needs a file here",
                                                self.path(key), _MAKE_ROOM)
        return found

    def put(self, temporaries: Sequence[str], keys: Sequence[str], source: Optional[int] = None,
            durable: bool = False) -> None:
        """Rename finished files of this file system to the places of `keys`; missing parents are made.

        Raises UnsafeKey if a parent has become a link since it was checked. A link in the place of the file itself is
        replaced.

        Args:
            source: descriptor of the folder of those temporaries whose name has no '/'. durable: sync the folder, so
                that the renaming survives a crash of the machine.
        """
        with self._folders(create=True) as folder:
            for temporary, key in zip(temporaries, keys):
                descriptor, name = folder(key)
                try:
                    os.replace(temporary, name, src_dir_fd=source, dst_dir_fd=descriptor)
                    if durable:
                        os.fsync(descriptor)
                except OSError as error:
                    raise about(error, self.path(key)) from None

    def remove(self, keys: Iterable[str]) -> None:
        with self._folders(create=False) as folder:
            for key in keys:
                descriptor, name = folder(key)
                try:
                    os.remove(name, dir_fd=descriptor)
                except OSError as error:
                    raise about(error, self.path(key)) from None

    def remove_empty_folders(self, key: str) -> None:
        """Remove the folder of the file of `key`, and those above it, as long as they are empty and not links."""
        folder = self._name(key).rpartition("/")[0]
        with contextlib.suppress(StoreError, OSError):  # not empty, or gone already
            while folder:
                with self._folders(create=False) as place:
                    descriptor, name = place(folder)
                    os.rmdir(name, dir_fd=descriptor)
                folder = folder.rpartition("/")[0]

    def _name(self, key: str) -> str:
        name = self._names.get(key)
        if name is None:
            name = self._names[key] = check_key(self._place(key), self._locate(key))
        return name

    def _is_folder(self, folder: str, known: Dict[str, bool], key: str, must: bool) -> bool:
        """Whether the folder exists. With `must`, raises LocalStorageError if something else is in its place."""
        unknown = []
        while folder not in known:
            unknown.append(folder)
            folder = folder.rpartition("/")[0]
        inside = known[folder]
        while unknown:
            folder = unknown.pop()
            path = os.path.join(self.root, folder)
            mode: Optional[int] = None
            if inside:
                with contextlib.suppress(FileNotFoundError):
                    mode = os.lstat(path).st_mode
            if mode is not None and stat.S_ISLNK(mode):
                raise self._link(path, key)
            if must and mode is not None and not stat.S_ISDIR(mode):
                raise LocalStorageError(f"this is a file, but {self._locate(key)} needs a directory here", path,
                                        _MAKE_ROOM)
            inside = known[folder] = mode is not None and stat.S_ISDIR(mode)
        return inside

    @contextlib.contextmanager
    def _folders(self, create: bool) -> Iterator[Callable[[str], Tuple[int, str]]]:
        """A function: key → (descriptor of the folder of its file, name in that folder), valid until its next call.

        Each segment is opened relative to the one before, so that the folder that was checked is the one that is used.
        """
        opened: Dict[str, int] = {}  # the root, and the folders used last, in the order of use

        def used(folder: str, number: int) -> int:
            opened.pop(folder, None)
            opened[folder] = number
            if len(opened) > _MOST_FOLDERS:
                os.close(opened.pop(next(name for name in opened if name)))
            return number

        def descriptor(folder: str, key: str) -> int:
            closed = []
            while folder not in opened:
                folder, _, name = folder.rpartition("/")
                closed.append(name)
            number = used(folder, opened[folder])
            while closed:
                name = closed.pop()
                folder = f"{folder}/{name}" if folder else name
                path = os.path.join(self.root, folder)
                try:
                    number = used(folder, open_folder(name, number, create))
                except OSError as error:
                    if os.path.islink(path):
                        raise self._link(path, key) from None
                    raise about(error, path) from None
            return number

        def place(key: str) -> Tuple[int, str]:
            folder, _, name = self._name(key).rpartition("/")
            return descriptor(folder, key), name

        try:
            with local_storage(self.root):
                opened[""] = os.open(self.root, FOLDER)
                yield place
        finally:
            for number in opened.values():
                os.close(number)

    def _link(self, path: str, key: str) -> UnsafeKey:
        return UnsafeKey(f"{path} is a symbolic link, and nothing is written through links", self._locate(key),
                         "Replace the link with a directory, or choose another destination")


def open_folder(name: str, above: int, create: bool) -> int:
    """A descriptor of the folder `name` in the folder with the descriptor `above`. Raises OSError if it is a link."""
    try:
        return os.open(name, FOLDER, dir_fd=above)
    except FileNotFoundError:
        if not create:
            raise
    with contextlib.suppress(FileExistsError):  # another worker was faster
        os.mkdir(name, dir_fd=above)
    return os.open(name, FOLDER, dir_fd=above)


def about(error: OSError, path: str) -> OSError:
    """The error with the whole path in it; the call that failed knew only the last segment."""
    if not isinstance(error, StoreError):
        error.filename, error.filename2 = path, None
    return error
