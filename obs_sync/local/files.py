"""Local files: digests, listings, free space, and clear errors where the disk refuses something."""
from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import stat as modes
from typing import (
    Any, Callable, ContextManager, FrozenSet, Iterator, List, Mapping, NamedTuple, NoReturn, Optional, Tuple,
)

from obs_sync.errors import IntegrityError, LocalStorageError, StoreError
from obs_sync.folder_markers import is_foreign_marker, tell
from obs_sync.keys import PRIVATE_DIRECTORY

CHUNK = 1 << 20  # bytes read at once

DISK_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)  # these never come from the network

_MENDING = {
    errno.ENOSPC: "The disk is full. Free some space or choose another directory",
    errno.EDQUOT: "The quota is used up. Free some space or choose another directory",
    errno.EFBIG: "The file is larger than this file system or the process's limit allows",
    errno.EROFS: "The file system is read-only. Choose another directory",
    errno.EACCES: "Permission denied. Choose a directory that this user can write",
    errno.EPERM: "Permission denied. Choose a directory that this user can write",
    errno.ENOTDIR: "Something on this path is a file where a directory is needed",
    errno.ENOENT: "Check this path; its parent directory must exist",
    errno.EEXIST: "Something on this path is a file where a directory is needed",
    errno.EISDIR: "There is a directory where the file should be",
    errno.ENAMETOOLONG: "The name is too long for this file system. Choose a shorter or another destination, or leave "
                        "it out",
}


_MENDING_READING = dict.fromkeys(
    (errno.EACCES, errno.EPERM), "Let this user read it; a directory needs the permissions r and x")


@contextlib.contextmanager
def local_storage(path: str, told: str = "cannot use local storage",
                  mending: Mapping[int, str] = _MENDING) -> Iterator[None]:
    """Turn an OSError of the block into a LocalStorageError about its path, or about `path`. StoreErrors propagate."""
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        culprit = error.filename if isinstance(error.filename, str) else path
        raise LocalStorageError(f"{told} ({error.strerror or error})", culprit,
                                mending.get(error.errno or 0)) from error


def local_reading(path: str) -> ContextManager[None]:
    """As `local_storage`, for a block that writes nothing."""
    return local_storage(path, "cannot be read", {**_MENDING, **_MENDING_READING})


class NewFile:
    """A file that is created or emptied and then written, without a buffer and with as few system calls as possible."""

    def __init__(self, path: str):
        self._path = path

    def __enter__(self) -> "NewFile":
        try:
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        except OSError as error:
            self._refuse(error)
        return self

    def __exit__(self, *exc_info: object) -> None:
        try:
            os.close(self._descriptor)
        except OSError as error:
            self._refuse(error)

    def write(self, data: memoryview) -> None:
        try:
            written = os.write(self._descriptor, data)
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
        except OSError as error:
            self._refuse(error)

    def _refuse(self, error: OSError) -> NoReturn:
        with local_storage(self._path):
            raise error


def make_directory(path: str) -> None:
    with local_storage(path):
        os.makedirs(path, exist_ok=True)


def refuse_links(*paths: str) -> None:
    """Raise LocalStorageError if one of these files or directories, which are ours, is a symbolic link."""
    for path in paths:
        if os.path.islink(path):
            raise LocalStorageError("this is a symbolic link, and nothing is written or deleted through links",
                                    path, "Remove the link")


def free_bytes(directory: str) -> int:
    with local_storage(directory):
        return shutil.disk_usage(directory).free


def check_free_space(directory: str, needed: int) -> None:
    """Raise LocalStorageError if the file system of `directory` has fewer than `needed` bytes free."""
    free = free_bytes(directory)
    if free < needed:
        raise LocalStorageError(f"the disk is too full: {needed:,} bytes are needed, {free:,} are free", directory,
                                "Free some space or choose another directory")


def digest_of(path: str, algorithm: str = "md5", on_bytes: Optional[Callable[[int], None]] = None) -> str:
    """The hex digest of a file's content."""
    return read_through(path, hashlib.new(algorithm), on_bytes)


def read_through(path: str, digest: Any, on_bytes: Optional[Callable[[int], None]] = None) -> str:
    """The hex digest of a file's content, by `digest`, which is like a hash of hashlib."""
    with local_reading(path), open(path, "rb") as stream:
        for chunk in iter(lambda: stream.read(CHUNK), b""):
            digest.update(chunk)
            if on_bytes is not None:
                on_bytes(len(chunk))
    return digest.hexdigest()


def check_unchanged(path: str, before: os.stat_result) -> os.stat_result:
    """The file's status now. Raises IntegrityError if the file has changed since `before` other than by growing."""
    with local_storage(path):
        now = os.stat(path)
    if now.st_size < before.st_size or now.st_size == before.st_size and now.st_mtime_ns != before.st_mtime_ns:
        raise IntegrityError("the file changed while it was being stored", path, "Try again")
    return now


def remove_quietly(path: str) -> None:
    """Delete a file or a tree of ours. What cannot be deleted stays, and the next run tries again."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            os.remove(path)


class LocalFile(NamedTuple):
    """The state of a file in the destination of a pull."""

    size: int      # bytes
    mtime_ns: int


class FileBelow(NamedTuple):
    key: str
    status: os.stat_result
    linked: bool  # a symbolic link, or behind one


def files_below(directory: str,
                refuses: Callable[[str], bool] = lambda key: False) -> List[Tuple[str, os.stat_result]]:
    """(key, stat) of every regular file below `directory`, keys in ascending order of their bytes.

    Symbolic links are followed, except into a directory that contains the link itself, so a loop ends. Our own
    bookkeeping is skipped at any depth, and so are files that stand for a folder (`folder_markers`). A directory that
    does not exist has no files.

    Raises LocalStorageError for a directory that cannot be read and, where `refuses(key)`, for a broken link and for
    what is neither file nor directory.
    """
    files = [(key, status) for key, status, _ in look_below(directory, refuses)]
    markers = {key for key, status in files if is_foreign_marker(key, status.st_size)}
    if markers:
        tell(sorted(markers), lambda key: os.path.join(directory, key))
    return [file for file in files if file[0] not in markers]


def look_below(directory: str, refuses: Callable[[str], bool] = lambda key: False) -> List[FileBelow]:
    """As `files_below`, with files that stand for a folder, and telling which files are behind links."""
    found: List[FileBelow] = []
    waiting: List[Tuple[str, str, bool, FrozenSet[Tuple[int, int]]]] = [(directory, "", False, frozenset())]
    with local_reading(directory):
        while waiting:
            parent, prefix, behind_link, above = waiting.pop()
            try:
                status = os.stat(parent)
                identity = (status.st_dev, status.st_ino)
                entries = [] if identity in above else _entries(parent)
            except FileNotFoundError:  # never made, or deleted since it was listed
                continue
            for name, is_link in entries:
                path, key, linked = os.path.join(parent, name), prefix + name, behind_link or is_link
                status = _status(path, refuses(key)) if name != PRIVATE_DIRECTORY else None
                if status is None:
                    continue
                if modes.S_ISDIR(status.st_mode):
                    waiting.append((path, f"{key}/", linked, above | {identity}))
                elif modes.S_ISREG(status.st_mode):
                    found.append(FileBelow(key, status, linked))
                elif refuses(key):
                    raise LocalStorageError("this is not a file, a directory or a link, so it cannot be stored", path,
                                            "Remove it, or exclude it")
    return sorted(found, key=lambda file: os.fsencode(file.key))


def _entries(directory: str) -> List[Tuple[str, bool]]:
    """(name, whether it is a symbolic link) of everything in a directory."""
    with os.scandir(directory) as entries:
        return [(entry.name, entry.is_symlink()) for entry in entries]


def _status(path: str, refused: bool) -> Optional[os.stat_result]:
    """The status behind `path`, links followed; None if it was deleted, or is a broken link that is not `refused`."""
    try:
        return os.stat(path)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise
        if refused and os.path.islink(path):
            raise LocalStorageError("a symbolic link leads nowhere", path,
                                    "Remove or repair it, or exclude it") from None
        return None
