"""A directory as a store: what ModelArts v2 jobs are given, and the simplest thing to test against."""
from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import time
import uuid
from typing import Iterable, Iterator, Optional

from obs_sync.errors import IntegrityError, LocalStorageError, ObjectChanged, ObjectNotFound, WrongDigest
from obs_sync.keys import PRIVATE_DIRECTORY, path_below, writable_path_below
from obs_sync.local_files import (
    CHUNK, check_unchanged, digest_of, local_reading, local_storage, look_below, make_directory, put_in_place,
    refuse_links, remove_empty_directories, remove_quietly, write_whole,
)
from obs_sync.store import ObjectInfo, OnBytes, Store, attempt_counted, check_range

_ABANDONED_AFTER = 24 * 3600.0  # seconds; an unfinished write this old belongs to nobody alive


class LocalStore(Store):
    """Objects are files below a directory, which need not exist before the first write.

    Files appear whole: they are written to `.obs_sync/incoming`, synced, and renamed. A version is identified
    by inode, size and time of change.
    """

    def __init__(self, root: str):
        self._root = os.path.abspath(root)
        self._incoming = os.path.join(self._root, PRIVATE_DIRECTORY, "incoming")
        self._swept = False
        self.url = self._root

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        for key, status, linked in look_below(self._root):
            if key.startswith(prefix):
                yield _info(key, status, linked=linked)

    def head(self, key: str) -> ObjectInfo:
        with self._reading(key) as path:
            return _info(key, os.stat(path), digest_of(path))

    def read(self, key: str) -> bytes:
        with self._reading(key) as path, open(path, "rb") as stream:
            return stream.read()

    def write(self, key: str, data: bytes) -> ObjectInfo:
        path = writable_path_below(self._root, key, self.locate(key))
        temporary = self._temporary()
        try:
            written = write_whole(path, data, temporary)
        except BaseException:
            remove_quietly(temporary)
            raise
        return _info(key, written, hashlib.md5(data).hexdigest())

    def download(self, info: ObjectInfo, path: str, on_bytes: Optional[OnBytes] = None) -> None:
        algorithm = "sha256" if info.sha256 is not None else "md5" if info.md5 is not None else None
        with attempt_counted(on_bytes) as count:
            with self._reading(info.key) as source, local_storage(path):
                found = _copy(source, path, info.size, count, durable=False, algorithm=algorithm)
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
        destination = writable_path_below(self._root, key, self.locate(key))
        temporary = self._temporary()
        try:
            with attempt_counted(on_bytes) as count, local_storage(destination):
                with local_reading(path):
                    before = os.stat(path)
                md5 = _copy(path, temporary, before.st_size, count, durable=True, algorithm="md5" if with_md5 else None)
                check_unchanged(path, before)
                written = put_in_place(temporary, destination)
        except BaseException:
            remove_quietly(temporary)
            raise
        return _info(key, written, md5)

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            path = writable_path_below(self._root, key, self.locate(key))
            with local_storage(path):
                try:
                    os.remove(path)
                except (FileNotFoundError, NotADirectoryError):
                    continue
            remove_empty_directories(os.path.dirname(path), self._root)  # stores have no directories

    @contextlib.contextmanager
    def _reading(self, key: str) -> Iterator[str]:
        """The object's file; a fault while it is read says that there is no object if it was removed meanwhile."""
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
            raise ObjectNotFound("the file was removed meanwhile", path) from None
        if now.size != info.size or info.etag not in (None, now.etag):
            raise ObjectChanged("the file was written since it was listed", path, "Try again")

    def _temporary(self) -> str:
        refuse_links(os.path.dirname(self._incoming), self._incoming)
        make_directory(self._incoming)
        if not self._swept:
            self._swept = True
            with os.scandir(self._incoming) as entries:
                for entry in entries:
                    with contextlib.suppress(FileNotFoundError):  # another who writes put his file in place
                        if entry.stat(follow_symlinks=False).st_mtime < time.time() - _ABANDONED_AFTER:
                            remove_quietly(entry.path)
        return os.path.join(self._incoming, uuid.uuid4().hex)


def _info(key: str, status: os.stat_result, md5: Optional[str] = None, linked: bool = False) -> ObjectInfo:
    version = f"{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}"
    return ObjectInfo(key, status.st_size, etag=version, md5=md5, modified=status.st_mtime, linked=linked)


def _copy(source: str, destination: str, size: int, count: OnBytes, durable: bool,
          algorithm: Optional[str]) -> Optional[str]:
    """Copy the first `size` bytes of a file, or fewer if it is shorter by now; returns their digest if asked to."""
    digest, copied = None if algorithm is None else hashlib.new(algorithm), 0
    with local_reading(source):
        reader = open(source, "rb")
    with reader, open(destination, "wb") as writer:
        while copied < size:
            chunk = reader.read(min(CHUNK, size - copied))
            if not chunk:
                break
            writer.write(chunk)
            if digest is not None:
                digest.update(chunk)
            copied += len(chunk)
            count(len(chunk))
        if durable:
            writer.flush()
            os.fsync(writer.fileno())
    return None if digest is None else digest.hexdigest()
