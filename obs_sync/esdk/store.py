"""A bucket of OBS, of the mocked OBS or of an S3-compatible server. Our own signed requests list and read it; all other
requests go through the OBS SDK (esdk-obs-python).
"""
from __future__ import annotations

import contextlib
import copy
import functools
import re
import threading
from typing import Any, Callable, Iterable, Iterator, List, Optional, Sequence, Union

from obs_sync.errors import AccessDenied, IntegrityError, ObjectNotFound, StoreError, StoreUnavailable, UnsafeKey
from obs_sync.esdk.client import Calls, Damaged
from obs_sync.esdk.connect import Client
from obs_sync.esdk.get import Exchange, Reader
from obs_sync.esdk.ranges import download_ranges
from obs_sync.esdk.reply import (
    crc64_of, etag_of, header_time, is_encrypted, md5_of, parted_of, plain_md5, readable_body,
)
from obs_sync.esdk.unfinished import abort, clock_of, list_uploads, newest_part
from obs_sync.esdk.upload import Stored, put_bytes, put_file
from obs_sync.folder_markers import Skipped, only_objects
from obs_sync.http.reply import Reply
from obs_sync.keys import check_key
from obs_sync.local.files import NewFile
from obs_sync.parallel import in_turn
from obs_sync.retry import DEFAULT_RETRY, Retry
from obs_sync.store import LARGE, ObjectInfo, OnBytes, Store, UnfinishedUpload, attempt_counted, check_range

_NOT_IN_XML = re.compile("[\x00-\x1f\x7f\ufffe\uffff]")  # or XML would change them
_PAGE = 1000             # objects, the most that OBS lists or deletes in one request
_CONNECTIONS = 8         # that fetch the ranges of one large object
_SMALL = 1 << 18         # bytes; objects up to this size are requested before those ahead of them have arrived
_AHEAD = 64              # so many at once, so that a distant server costs one wait for all of them
_AHEAD_BYTES = 4 << 20  # or fewer: on a slow line a server must not wait for long
_MOST_READ = 1 << 30     # bytes of an object that is read into memory
_MOST_LISTED = 10**7     # objects; a server that lists ever new ones would fill the memory
_GROUPS = 3              # of these at a time: one arrives, and the next have been requested


class EsdkStore(Store):
    """Objects of `bucket` below `prefix` ("" or ending in '/').

    `client` belongs to the store, which keeps connections to this bucket.
    """

    def __init__(self, client: Client, bucket: str, prefix: str = "", retry: Retry = DEFAULT_RETRY):
        self._calls = Calls(client, bucket, retry)
        self._reader = Reader(self._calls)
        self._lock = threading.Lock()
        self._large = 0  # objects that are being downloaded by ranges
        self._groups = threading.Semaphore(_GROUPS)
        self._prefix = prefix
        self.url = f"obs://{bucket}/{prefix}"
        self._skipped = Skipped(self.locate)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        return only_objects(self._listed(prefix), self._skipped)

    def _listed(self, prefix: str) -> Iterator[ObjectInfo]:
        where, full_prefix = self.locate(prefix), self._prefix + prefix
        marker, seen, count = None, set(), 0
        while True:
            page = self._calls.repeat(functools.partial(self._reader.page, where, full_prefix, marker, _PAGE))
            for found in page.objects:
                if not found.key.startswith(full_prefix):
                    raise StoreError(f"the listing holds {found.key!r}, which was not asked for", where)
                etag = etag_of(found.etag)
                yield ObjectInfo(found.key[len(self._prefix):], found.size, etag, plain_md5(etag), found.modified)
            if not page.is_truncated:
                return
            count += len(page.objects)
            if count > _MOST_LISTED:
                raise StoreError(f"there are more than {_MOST_LISTED:,} objects", where,
                                 "Give a smaller folder. If it has fewer objects, the server's paging is at fault")
            marker = page.next_marker or (page.objects[-1].key if page.objects else None)
            if marker is None or marker in seen:
                raise StoreError("the listing is cut short, and the server names no next page", where,
                                 "The server's paging is at fault; nothing was transferred")
            seen.add(marker)

    def head(self, key: str) -> ObjectInfo:
        return self._calls.repeat(lambda: self._head(key))

    def _head(self, key: str) -> ObjectInfo:
        """One attempt."""
        where = self.locate(key)
        return _info(key, self._reader.head(self._full(key), where), where)

    def read(self, key: str) -> bytes:
        where, full_key = self.locate(key), self._full(key)

        def attempt(info: Optional[ObjectInfo]) -> bytes:
            def look(reply: Reply) -> None:
                size = reply.length if info is None else info.size
                if info is None and (size is None or "etag" not in reply.headers):
                    raise _Unannounced
                if size > _MOST_READ:
                    raise StoreError(f"the object has {size:,} bytes; at most {_MOST_READ:,} are read into memory",
                                     where, "Download it to a file")

            pieces: List[bytes] = []
            self._reader.receive(full_key, where, lambda piece: pieces.append(bytes(piece)), info, look=look)
            return b"".join(pieces)

        try:
            return self._calls.repeat(lambda: attempt(None))
        except _Unannounced:
            return self._calls.repeat(lambda: attempt(self._head(key)))

    def write(self, key: str, data: bytes) -> ObjectInfo:
        where = self.locate(check_key(key, self.locate(key)))
        return self._confirmed(key, put_bytes(self._calls, self._full(key), data, where))

    def download(self, info: ObjectInfo, path: str, on_bytes: Optional[OnBytes] = None) -> None:
        where, full_key = self.locate(info.key), self._full(info.key)
        if info.size >= LARGE and info.etag is not None:
            try:
                with self._connections() as connections:
                    download_ranges(self._calls, self._reader, full_key, where, info, path, on_bytes, connections)
                return
            except Damaged:  # perhaps by a proxy that cannot do ranges: then by one request
                pass

        self._download_whole(info, path, on_bytes)

    def together(self, infos: Iterable[ObjectInfo]) -> List[List[ObjectInfo]]:
        groups: List[List[ObjectInfo]] = []
        group: List[ObjectInfo] = []
        size = 0
        for info in infos:
            if info.size > _SMALL:
                groups.append([info])
                continue
            if len(group) == _AHEAD or size + info.size > _AHEAD_BYTES:
                groups.append(group)
                group, size = [], 0
            group.append(info)
            size += info.size
        return groups + [group] if group else groups

    def download_all(self, infos: Sequence[ObjectInfo], paths: Sequence[str],
                     on_bytes: Optional[OnBytes] = None) -> None:
        if len(infos) == 1:
            self.download(infos[0], paths[0], on_bytes)
            return
        asked: List[Exchange] = []
        with self._groups, attempt_counted(on_bytes) as count:
            try:
                with contextlib.suppress(StoreUnavailable):  # the others are requested in their turn
                    for info in infos:
                        asked.append(self._reader.ask(self._full(info.key), self.locate(info.key), info))
                asked.reverse()
                late = []  # to be requested again, when no other thread waits for them
                with in_turn():
                    for info, path in zip(infos, paths):
                        if not asked or not self._calls.works(
                                lambda: self._receive(info, path, count, asked)):  # noqa: B023  (called at once)
                            late.append((info, path))
                for info, path in late:
                    self._download_whole(info, path, count)
            finally:
                for exchange in asked:
                    exchange.abandon()

    def _download_whole(self, info: ObjectInfo, path: str, on_bytes: Optional[OnBytes]) -> None:
        """By one request, retried."""
        self._calls.repeat(lambda: self._receive(info, path, on_bytes, []))

    def _receive(self, info: ObjectInfo, path: str, on_bytes: Optional[OnBytes], asked: List[Exchange]) -> None:
        """One attempt. If `asked` is not empty its last request is used, and removed."""
        with attempt_counted(on_bytes) as count, NewFile(path) as file:
            def sink(piece: memoryview) -> None:
                file.write(piece)
                count(len(piece))

            self._reader.receive(self._full(info.key), self.locate(info.key), sink, info,
                                 asked=asked.pop() if asked else None)

    def read_range(self, info: ObjectInfo, offset: int, size: int,
                   on_bytes: Optional[OnBytes] = None) -> Union[bytes, bytearray]:
        check_range(info, offset, size)
        if size == 0:  # HTTP has no empty range
            return b""
        where, full_key = self.locate(info.key), self._full(info.key)

        data = bytearray(size)  # filled as the bytes arrive, so that they are copied once

        def attempt() -> bytearray:
            filled = 0
            with attempt_counted(on_bytes) as count:
                def sink(piece: memoryview) -> None:
                    nonlocal filled
                    if filled + len(piece) > size:
                        raise Damaged("received more bytes than the range that was asked for", where)
                    data[filled:filled + len(piece)] = piece
                    filled += len(piece)
                    count(len(piece))

                self._reader.receive(full_key, where, sink, info, (offset, size))
            return data

        return self._calls.repeat(attempt)

    def upload(self, path: str, key: str, on_bytes: Optional[OnBytes] = None, with_md5: bool = True) -> ObjectInfo:
        where = self.locate(check_key(key, self.locate(key)))
        return self._confirmed(key, put_file(self._calls, self._full(key), path, where, on_bytes, with_md5))

    def delete(self, keys: Iterable[str]) -> None:
        full_keys = [self._full(key) for key in keys]
        batched = [key for key in full_keys if not _NOT_IN_XML.search(key)]
        for start in range(0, len(batched), _PAGE):
            self._delete_batch(batched[start:start + _PAGE])
        for key in full_keys:
            if _NOT_IN_XML.search(key):
                with contextlib.suppress(ObjectNotFound):
                    self._calls("deleteObject", self.locate(key[len(self._prefix):]), key)

    def unfinished_uploads(self, prefix: str = "") -> List[UnfinishedUpload]:
        return [upload._replace(key=upload.key[len(self._prefix):])
                for upload in list_uploads(self._calls, self._prefix + prefix, self.locate(prefix))]

    def newest_part(self, key: str, upload_id: str) -> Optional[float]:
        return newest_part(self._calls, self._full(key), upload_id, self.locate(key))

    def abort_upload(self, key: str, upload_id: str) -> None:
        abort(self._calls, self._full(key), upload_id, self.locate(key))

    def server_time(self) -> float:
        return clock_of(self._calls, self._prefix, self.url)

    def checking(self, check: Callable[[], None]) -> "EsdkStore":
        store = copy.copy(self)
        store._calls = self._calls.checking(check)
        return store

    def close(self) -> None:
        self._reader.close()
        self._calls.close()

    def _full(self, key: str) -> str:
        if not key:
            raise UnsafeKey("the key is empty", self.url, "Name an object below this URL")
        return self._prefix + key

    @contextlib.contextmanager
    def _connections(self) -> Iterator[int]:
        """The number of connections for one more large object, while others are being downloaded."""
        with self._lock:
            self._large += 1
            share = max(1, _CONNECTIONS // self._large)
        try:
            yield share
        finally:
            with self._lock:
                self._large -= 1

    def _confirmed(self, key: str, stored: Stored) -> ObjectInfo:
        """The object under `key`, which must be the one that we have just stored."""
        info = self.head(key)
        size, md5, etag = stored
        if md5 is not None and info.md5 is not None:
            same = info.md5 == md5
        else:
            same = None in (etag, info.etag) or info.etag == etag
        if info.size != size or not same:
            raise IntegrityError(f"stored {size} bytes with MD5 {md5} as version {etag}, found {info.size} with "
                                 f"{info.md5} as {info.etag}", self.locate(key),
                                 "Check whether another program writes to this key")
        return ObjectInfo(key, size, info.etag, md5, info.modified)

    def _delete_batch(self, full_keys: List[str]) -> None:
        from obs import DeleteObjectsRequest, Object
        where = self.url
        request = DeleteObjectsRequest(quiet=False, objects=[Object(key=key) for key in full_keys])

        def check(result: Any) -> None:
            body = readable_body(where)(result)
            failed = {error.key: error.code for error in body.error if error.code != "NoSuchKey"}
            gone = {item.key for item in body.deleted} | {item.key for item in body.error} - set(failed)
            remaining = [key for key in full_keys if key not in gone]
            if not remaining:
                return
            codes = ", ".join(sorted(set(failed.values()))) or "no reason given"
            told = (f"{len(remaining)} of {len(full_keys)} objects were not deleted ({codes}), such as "
                    f"{remaining[0]!r}")
            if "AccessDenied" in failed.values():
                raise AccessDenied(told, where, "Grant this user the right to delete objects")
            raise StoreUnavailable(told, where, "Try again later")

        self._calls("deleteObjects", where, request, check=check)


class _Unannounced(Exception):
    """The reply announces no length or no ETag to check its body by; the reply to a HEAD may."""


def _info(key: str, reply: Reply, where: str) -> ObjectInfo:
    told = reply.headers
    length = reply.length
    if length is None:
        raise StoreUnavailable("the server's reply has no Content-Length", where, "Try again later")
    parted = parted_of(reply, length)
    return ObjectInfo(key, length, etag_of(told.get("etag")), md5_of(reply),
                      header_time(told.get("last-modified")), crc64=crc64_of(reply),
                      part_size=None if parted is None else parted[1], encrypted=is_encrypted(reply))
