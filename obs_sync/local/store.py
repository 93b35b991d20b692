"""A directory as a store: ModelArts v2 jobs get one, and it is the simplest store to test with."""
from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import time
import uuid
from typing import BinaryIO, Callable, Iterable, Iterator, Optional

from obs_sync.errors import IntegrityError, LocalStorageError, ObjectChanged, ObjectNotFound, WrongDigest
from obs_sync.folder_markers import Skipped, only_objects
from obs_sync.keys import PRIVATE_DIRECTORY, path_below
from obs_sync.local.destination import FOLDER, Destination, about, open_folder
from obs_sync.local.files import (
    CHUNK, check_unchanged, digest_of, local_reading, local_storage, look_below, make_directory, refuse_links,
)
from obs_sync.store import ObjectInfo, OnBytes, Store, attempt_counted, check_range

_ABANDONED_AFTER = 24 * 3600.0  # seconds; the process of an unfinished write this old has ended


class LocalStore(Store):
    """Objects are files below a directory. The directory need not exist before the first write.

    Files appear whole: they are written to `.obs_sync/incoming`, synced, and renamed. Inode, size and modification time
    identify a version.
    """

    def __init__(self, root: str):
        self._root = os.path.abspath(root)
        self._incoming_path = os.path.join(self._root, PRIVATE_DIRECTORY, "incoming")
        self._swept = False
        self.url = self._root
        self._skipped = Skipped(self.locate)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        return self._list(prefix, lambda key: False)

    def list_completely(self, prefix: str, wants: Callable[[str], bool]) -> Iterator[ObjectInfo]:
        return self._list(prefix, lambda key: key.startswith(prefix) and wants(key))

    def _list(self, prefix: str, refuses: Callable[[str], bool]) -> Iterator[ObjectInfo]:
        return only_objects((_info(key, status, linked=linked) for key, status, linked
                             in look_below(self._root, refuses) if key.startswith(prefix)), self._skipped)

    def head(self, key: str) -> ObjectInfo:
        with self._reading(key) as path:
            return _info(key, os.stat(path), digest_of(path))

    def read(self, key: str) -> bytes:
        with self._reading(key) as path, open(path, "rb") as stream:
            return stream.read()

    def write(self, key: str, data: bytes) -> ObjectInfo:
        with self._arriving(key) as stream:
            stream.write(data)
            written = _settled(stream)
        return _info(key, written, hashlib.md5(data).hexdigest())

    def download(self, info: ObjectInfo, path: str, on_bytes: Optional[OnBytes] = None) -> None:
        algorithm = "sha256" if info.sha256 is not None else "md5" if info.md5 is not None else None
        with attempt_counted(on_bytes) as count:
            with self._reading(info.key) as source, local_storage(path):
                with open(path, "wb") as stream:
                    found = _copy(source, stream, info.size, count, algorithm)
            self._check_version(info, source)
            if algorithm == "sha256" and found != info.sha256:
                raise WrongDigest(f"the file's SHA-256 is {found}, not {info.sha256}", source)
            if algorithm == "md5" and found != info.md5:
                raise IntegrityError(f"the file's MD5 is {found}, not {info.md5}", source, "The file is damaged")

    def read_range(self, info: ObjectInfo, offset: int, size: int, on_bytes: Optional[OnBytes] = None) -> bytes:
        check_range(info, offset, size)
        with attempt_counted(on_bytes) as count:
            with self._reading(info.key) as source, open(source, "rb") as stream:
                stream.seek(offset)
                data = stream.read(size)
            self._check_version(info, source)
            if len(data) != size:
                raise IntegrityError(f"read {len(data)} bytes of {size}", source, "The file is damaged")
            count(size)
        return data

    def link(self, info: ObjectInfo, path: str) -> bool:
        try:
            os.link(self._existing(info.key), path)
        except OSError:  # another file system, or one without links
            return False
        return True

    def upload(self, path: str, key: str, on_bytes: Optional[OnBytes] = None, with_md5: bool = True) -> ObjectInfo:
        with attempt_counted(on_bytes) as count, self._arriving(key) as stream:
            with local_reading(path):
                before = os.stat(path)
            md5 = _copy(path, stream, before.st_size, count, "md5" if with_md5 else None)
            written = _settled(stream)
            check_unchanged(path, before)
        return _info(key, written, md5)

    def check_places(self, keys: Iterable[str]) -> None:
        self._destination().look(keys, to_write=True)

    def delete(self, keys: Iterable[str]) -> None:
        destination = self._destination()
        for key in keys:
            try:
                destination.remove([key])
            except LocalStorageError as error:
                if _is_missing(error):
                    continue
                raise
            destination.remove_empty_folders(key)  # stores have no directories

    @contextlib.contextmanager
    def _reading(self, key: str) -> Iterator[str]:
        """The path of the object's file. If reading fails because the file was deleted, raises ObjectNotFound."""
        path = self._existing(key)
        try:
            with local_reading(path):
                yield path
        except LocalStorageError:
            self._existing(key)
            raise

    def _existing(self, key: str) -> str:
        path = path_below(self._root, key, self.locate(key))
        with local_reading(path):
            try:
                mode = os.stat(path).st_mode
            except (FileNotFoundError, NotADirectoryError):
                mode = 0
        if not stat.S_ISREG(mode):
            raise ObjectNotFound("there is no such file", path)
        return path

    def _check_version(self, info: ObjectInfo, path: str) -> None:
        try:
            now = _info(info.key, os.stat(path))
        except FileNotFoundError:
            raise ObjectNotFound("the file was deleted after it was listed", path) from None
        if now.size != info.size or info.etag not in (None, now.etag):
            raise ObjectChanged("the file was overwritten after it was listed", path, "Try again")

    def _destination(self) -> Destination:
        return Destination(self._root, lambda key: key, self.locate)

    @contextlib.contextmanager
    def _arriving(self, key: str) -> Iterator[BinaryIO]:
        """A new file: in the place of `key` when the block ends, deleted if the block raises.

        Each folder is opened relative to the one above it, so a link that appears meanwhile is not followed.
        """
        destination = self._destination()
        destination.look([key])  # refuses a link before anything is written
        make_directory(self._root)
        with local_storage(destination.path(key)), self._incoming() as folder:
            name = uuid.uuid4().hex
            try:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                with open(os.open(name, flags, 0o666, dir_fd=folder), "wb") as stream:
                    yield stream
                _put(destination, name, key, folder)
            except BaseException as error:
                with contextlib.suppress(OSError):
                    os.remove(name, dir_fd=folder)
                if isinstance(error, OSError) and error.filename == name:
                    about(error, os.path.join(self._incoming_path, name))
                raise

    @contextlib.contextmanager
    def _incoming(self) -> Iterator[int]:
        """A descriptor of the folder for unfinished files. At first use, abandoned files in it are deleted."""
        with contextlib.ExitStack() as opened:
            folder = os.open(self._root, FOLDER & ~os.O_NOFOLLOW)
            opened.callback(os.close, folder)
            for path in (os.path.dirname(self._incoming_path), self._incoming_path):
                try:
                    folder = open_folder(os.path.basename(path), folder, create=True)
                except OSError as error:
                    refuse_links(path)
                    raise about(error, path) from None
                opened.callback(os.close, folder)
            if not self._swept:
                self._swept = True
                _sweep(folder)
            yield folder


def _info(key: str, status: os.stat_result, md5: Optional[str] = None, linked: bool = False) -> ObjectInfo:
    version = f"{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}"
    return ObjectInfo(key, status.st_size, etag=version, md5=md5, modified=status.st_mtime, linked=linked)


def _settled(stream: BinaryIO) -> os.stat_result:
    """The status of a written file after a sync: of this very file, whatever later takes its place."""
    stream.flush()
    os.fsync(stream.fileno())
    return os.fstat(stream.fileno())


def _put(destination: Destination, name: str, key: str, folder: int) -> None:
    for last_try in (False, False, True):
        try:
            destination.put([name], [key], folder, durable=True)
            return
        except LocalStorageError as error:  # a process that deletes files removed the directory while it was empty
            if last_try or not _is_missing(error):
                raise


def _is_missing(error: LocalStorageError) -> bool:
    return isinstance(error.__cause__, (FileNotFoundError, NotADirectoryError))


def _sweep(folder: int) -> None:
    """Delete unfinished files whose process has ended."""
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):  # another writer has just renamed its file
                if entry.stat(follow_symlinks=False).st_mtime < time.time() - _ABANDONED_AFTER:
                    with contextlib.suppress(OSError):  # what cannot be deleted stays, and the next process tries again
                        os.remove(entry.name, dir_fd=folder)


def _copy(source: str, writer: BinaryIO, size: int, count: OnBytes, algorithm: Optional[str]) -> Optional[str]:
    """Copy the first `size` bytes of a file, or fewer if it is shorter now. Returns their digest by `algorithm`."""
    digest, copied = None if algorithm is None else hashlib.new(algorithm), 0
    with local_reading(source):
        reader = open(source, "rb")
    with reader:
        while copied < size:
            chunk = reader.read(min(CHUNK, size - copied))
            if not chunk:
                break
            writer.write(chunk)
            if digest is not None:
                digest.update(chunk)
            copied += len(chunk)
            count(len(chunk))
    return None if digest is None else digest.hexdigest()
