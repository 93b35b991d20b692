"""A bucket through moxing.file, which ModelArts installs in its images and logs in for the job.

moxing tells no digests and its copies return nothing. So every copy is checked afterwards: its size always, and the
version of the object (time and length) before and after. Many objects are fetched by `copy_parallel`, which sometimes
leaves objects out without an error: those are then fetched one by one. The functions of moxing raise exceptions of
their own, or those of the OBS SDK inside it; all are translated here.
"""
from __future__ import annotations

import contextlib
import copy
import dataclasses
import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Iterable, Iterator, List, Optional, Sequence, Tuple

from obs_sync.errors import (
    CHECK_PATH, AccessDenied, BucketNotFound, IntegrityError, LocalStorageError, ObjectChanged, ObjectNotFound,
    StoreError, StoreUnavailable, WrongDigest,
)
from obs_sync.folder_markers import Skipped, only_objects
from obs_sync.keys import check_key
from obs_sync.local.files import DISK_FAULTS, check_unchanged, digest_of, local_storage, remove_quietly
from obs_sync.refusals import DateRefused, advice, is_about_the_key, is_about_time
from obs_sync.retry import DEFAULT_RETRY, Retry
from obs_sync.store import ObjectInfo, OnBytes, Store, attempt_counted, check_range

_log = logging.getLogger(__name__)

_GRANT = ("Grant the job's agency, or the user whose access key is in ModelArts' global configuration, read and write "
          "access to the bucket")
_STAT_WORKERS = 16  # threads; a listing has only names, so each size takes a request
_COPY_THREADS = 16  # of one copy_parallel; the default of moxing
_SMALLEST_GROUP, _LARGEST_GROUP = 16, 512  # objects of one copy_parallel; progress is reported after each


class MoxingStore(Store):
    """Objects below `url` (obs://bucket/prefix/, ending in '/'). `file_api` is the module `moxing.file`."""

    def __init__(self, file_api: Any, url: str, retry: Retry = DEFAULT_RETRY):
        self._api = file_api
        self._retry = retry
        self._copying = threading.Lock()  # one copy_parallel at a time: the server throttles several with 503
        self.url = url
        self._skipped = Skipped(self.locate)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        return only_objects(self._listed(prefix), self._skipped)

    def _listed(self, prefix: str) -> Iterator[ObjectInfo]:
        directory = prefix[:prefix.rfind("/") + 1]
        names = self._call(self.locate(directory), self._names, directory)
        # A name that is both an object and a folder is listed twice.
        wanted = [key for key in dict.fromkeys(directory + name for name in names) if key.startswith(prefix)]
        with ThreadPoolExecutor(_STAT_WORKERS) as pool:
            for info in pool.map(self._stat, wanted):
                if info is not None:
                    yield info

    def head(self, key: str) -> ObjectInfo:
        info = self._stat(check_key(key, self.locate(key)))
        if info is None:
            raise ObjectNotFound("there is no such object", self.locate(key),
                                 CHECK_PATH)
        return info

    def read(self, key: str) -> bytes:
        where = self.locate(key)

        def attempt() -> bytes:
            before = self.head(key)  # for a missing object or a directory, moxing raises errors of other kinds
            data = self._api.read(where, binary=True)
            if self.head(key).etag != before.etag:  # any version is right, but not parts of two
                raise StoreUnavailable("the object was overwritten while it was being read", where, "Try again")
            if len(data) != before.size:
                raise StoreUnavailable(f"moxing read {len(data)} bytes of {before.size}", where, "Try again later")
            return data

        return self._call(where, attempt)

    def write(self, key: str, data: bytes) -> ObjectInfo:
        where = self.locate(check_key(key, self.locate(key)))
        self._call(where, lambda: self._api.write(where, data, binary=True))
        return self._confirmed(key, len(data), len(data))

    def download(self, info: ObjectInfo, path: str, on_bytes: Optional[OnBytes] = None) -> None:
        where = self.locate(info.key)

        def attempt() -> None:
            with local_storage(path):
                open(path, "wb").close()  # the disk's errors are raised here; moxing would hide them
            self._api.copy(where, path)
            self._check_version(info)
            found = os.path.getsize(path)
            if found != info.size:
                raise StoreUnavailable(f"moxing copied {found} bytes of {info.size}", where, "Try again later")
            if info.sha256 is not None:
                sha256 = digest_of(path, "sha256")
                if sha256 != info.sha256:
                    raise WrongDigest(f"received bytes with SHA-256 {sha256}, not {info.sha256}", where)

        self._call(where, attempt)
        if on_bytes is not None:
            on_bytes(info.size)

    def together(self, infos: Iterable[ObjectInfo]) -> List[List[ObjectInfo]]:
        infos = list(infos)
        if len(infos) < _SMALLEST_GROUP:
            return super().together(infos)
        return [infos[start:start + _LARGEST_GROUP] for start in range(0, len(infos), _LARGEST_GROUP)]

    def download_all(self, infos: Sequence[ObjectInfo], paths: Sequence[str],
                     on_bytes: Optional[OnBytes] = None) -> None:
        if len(infos) < _SMALLEST_GROUP:
            super().download_all(infos, paths, on_bytes)
            return
        folder = paths[0] + ".copies"  # on the same file system, so that renaming is possible
        keys = [check_key(info.key, self.locate(info.key)) for info in infos]
        with local_storage(folder):
            os.makedirs(folder)
        try:
            self._copy_parallel(keys, folder)
            with attempt_counted(on_bytes) as count:
                missing = [pair for pair in zip(infos, paths) if not _taken(folder, *pair, count)]
                for info, path in missing:
                    self.download(info, path, count)
                self._check_versions([info for info in infos if all(info is not other for other, _ in missing)])
        finally:
            remove_quietly(folder)

    def _copy_parallel(self, keys: List[str], folder: str) -> None:
        """Fetch as many as moxing does. Threads, not processes, because TensorFlow may be running in this process."""
        try:
            with self._copying:
                self._call(self.url, lambda: self._api.copy_parallel(
                    self.url, folder, file_list=keys, threads=_COPY_THREADS, is_processing=False))
        except StoreUnavailable as error:
            _log.warning("%s; fetching the objects one by one", error.what)

    def read_range(self, info: ObjectInfo, offset: int, size: int, on_bytes: Optional[OnBytes] = None) -> bytes:
        check_range(info, offset, size)
        where = self.locate(info.key)

        def attempt() -> bytes:
            with self._api.File(where, "rb") as stream:
                stream.seek(offset)
                data = stream.read(size)
            self._check_version(info)
            if len(data) != size:
                raise StoreUnavailable(f"moxing read {len(data)} bytes of {size}", where, "Try again later")
            return data

        data = self._call(where, attempt)
        if on_bytes is not None:
            on_bytes(size)
        return data

    def upload(self, path: str, key: str, on_bytes: Optional[OnBytes] = None, with_md5: bool = True) -> ObjectInfo:
        where = self.locate(check_key(key, self.locate(key)))
        with local_storage(path):
            before = os.stat(path)
        self._call(where, lambda: self._api.copy(path, where))
        after = check_unchanged(path, before)
        if on_bytes is not None:
            on_bytes(before.st_size)
        return self._confirmed(key, before.st_size, after.st_size)

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            where = self.locate(check_key(key, self.locate(key)))
            if self._stat(key) is not None:
                self._call(where, self._api.remove, where)
            if self._stat(key) is not None:  # moxing's remove does not raise if it fails
                raise StoreError("the object still exists after it was deleted", where)

    def checking(self, check: Callable[[], None]) -> "MoxingStore":
        store = copy.copy(self)
        store._retry = dataclasses.replace(self._retry, before_attempt=check)
        return store

    def _names(self, directory: str) -> Tuple[str, ...]:
        """The names of files and directories below a directory, relative to it."""
        url = self.locate(directory)
        return tuple(self._api.list_directory(url, recursive=True)) if self._api.exists(url) else ()

    def _stat(self, key: str) -> Optional[ObjectInfo]:
        """The object; None if there is nothing, or a directory."""
        try:
            stat = self._call(self.locate(key), lambda: self._api.stat(self.locate(key)))
        except ObjectNotFound:
            return None
        if stat.is_directory:
            return None
        return ObjectInfo(key, stat.length, etag=f"{stat.mtime_nsec:x}-{stat.length:x}",
                          modified=stat.mtime_nsec / 1e9 if stat.mtime_nsec else None)

    def _confirmed(self, key: str, least: int, most: int) -> ObjectInfo:
        """The object that is stored now. Raises IntegrityError unless its size is one that we can have stored."""
        info = self.head(key)
        if not least <= info.size <= most:
            raise IntegrityError(f"stored {least:,} bytes, found {info.size:,}", self.locate(key),
                                 "Make sure that no other process writes to this key")
        return info

    def _check_version(self, info: ObjectInfo) -> None:
        if info.etag is not None and self.head(info.key).etag != info.etag:
            raise ObjectChanged("the object was overwritten after it was listed", self.locate(info.key), "Try again")

    def _check_versions(self, infos: List[ObjectInfo]) -> None:
        with ThreadPoolExecutor(_STAT_WORKERS) as pool:
            for _ in pool.map(self._check_version, infos):
                pass

    def _call(self, where: str, operation: Any, *arguments: Any) -> Any:
        def attempt() -> Any:
            with self._translated(where):
                return operation(*arguments)

        return self._retry.call(attempt, (StoreUnavailable, DateRefused))

    @contextlib.contextmanager
    def _translated(self, where: str) -> Iterator[None]:
        try:
            yield
        except StoreError:
            raise
        except Exception as error:  # moxing has no base class, and passes on exceptions of its SDK
            raise _translation(error, where) from error


def _taken(folder: str, info: ObjectInfo, path: str, count: OnBytes) -> bool:
    """Move an object that copy_parallel has fetched from `folder` to `path`. Returns whether it was there and right."""
    copied = os.path.join(folder, *info.key.split("/"))
    if not os.path.isfile(copied) or os.path.getsize(copied) != info.size:
        return False
    if info.sha256 is not None and digest_of(copied, "sha256") != info.sha256:
        return False
    with local_storage(path):
        os.replace(copied, path)
    count(info.size)
    return True


def _translation(error: Exception, where: str) -> StoreError:
    if isinstance(error, OSError) and error.errno in DISK_FAULTS:
        return LocalStorageError(f"cannot use local storage ({error.strerror})", error.filename or where,
                                 "Free some space or choose another directory")
    if type(error).__name__ == "MoxFileNotExistsException":
        return ObjectNotFound("there is no such object", where, CHECK_PATH)
    response = getattr(error, "resp", None)
    status, code = getattr(response, "status", None), getattr(response, "errorCode", None)
    told = f"moxing failed: {status or type(error).__name__} {code or error}"
    if code == "NoSuchBucket":
        return BucketNotFound("there is no such bucket", where, "Check its name")
    if status == 404:
        return ObjectNotFound("there is no such object", where, CHECK_PATH)
    if status in (401, 403):
        message = getattr(response, "errorMessage", None)
        mend = None if is_about_the_key(code) else advice(code, message)
        return (DateRefused if is_about_time(code, message) else AccessDenied)(told, where, mend or _GRANT)
    return StoreUnavailable(told, where, "Try again later")
