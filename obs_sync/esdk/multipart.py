"""Uploads a file in parts through the SDK: several at once, each read once. A later upload resumes one that was killed.

An upload whose process was killed, or that failed with the network, remains on the server. The next upload of the same
file to the same key finds it there; no state is kept beside the file. An unfinished upload is resumed if

- every part that the server has is a part of the file as it is now, by size and MD5;
- nothing was stored under the key since that upload began: the server keeps the object of the upload that began last,
  so that an older upload would complete without effect;
- the file has not changed since that upload began: the MD5 of the whole was stated then, cannot be read before the end,
  and makes an object of other bytes unreadable.

Servers state whole seconds. A file that changed up to 3 s before its upload began may have changed right after, so it
is sent again from the start; waiting would delay every upload for a rare case. An upload without parts is left alone:
another process may just have begun it. An upload that fails for good is aborted; one that was stopped is not.
"""
from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import time
import weakref
from typing import Any, Dict, Iterator, List, MutableMapping, NamedTuple, Optional, Tuple

from obs_sync.errors import (
    IntegrityError, LeaseLost, LocalStorageError, ObjectNotFound, StoreError, StoreUnavailable,
)
from obs_sync.esdk.body import MemoryBody
from obs_sync.esdk.client import Calls, Damaged, UploadGone
from obs_sync.esdk.reply import (
    MD5_METADATA, PART_SIZE_METADATA, encoded_md5, etag_of, header_time, is_encrypted, md5_of, stored_md5,
)
from obs_sync.esdk.unfinished import clock_of, list_parts, list_uploads
from obs_sync.local.files import check_unchanged, local_reading
from obs_sync.parallel import Progress, run_parallel
from obs_sync.store import OnBytes, attempt_counted

MOST_PARTS = 10000    # of one upload, by the OBS API
_WORKERS = 4          # of one upload; also the parts that all uploads of a store hold in memory
_MOST_LOOKED_AT = 3   # unfinished uploads of one key whose parts are compared with the file
_LEEWAY = 2.0         # seconds; servers state whole ones, and a file may change while its upload begins
_TICK = 0.2           # seconds; a worker that waits for memory can be stopped between two of them

_in_memory: MutableMapping[Calls, threading.BoundedSemaphore] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


class Part(NamedTuple):
    number: int  # from 1
    offset: int  # bytes
    size: int    # bytes


class Multipart:
    """One file to be stored under one key."""

    def __init__(self, calls: Calls, key: str, path: str, where: str, on_bytes: Optional[OnBytes],
                 before: os.stat_result, part_size: int, md5: Optional[str]):
        """`before` is the file when its size was read; `md5` is that of the whole, None if it is not wanted."""
        self._calls = calls
        self._key = key
        self._path = path
        self._where = where
        self._on_bytes = on_bytes
        self._before = before
        self._md5 = md5
        self._encrypted = False  # at rest, said the reply to its start: then the ETag of a part is no MD5
        self._parts = [Part(number, offset, min(part_size, before.st_size - offset))
                       for number, offset in enumerate(range(0, before.st_size, part_size), start=1)]
        with _lock:
            self._in_memory = _in_memory.setdefault(calls, threading.BoundedSemaphore(_WORKERS))

    def run(self) -> Optional[str]:
        """The ETag of the object, if the server states it."""
        found = self._unfinished()
        if found is not None:
            with contextlib.suppress(UploadGone):  # another process completed or aborted it, or sent parts
                etag = self._send_all(*found)
                if self._carries_our_md5():
                    return etag
        check_unchanged(self._path, self._before)  # else its MD5 would be that of no file
        try:
            return self._send_all(self._begin(), {})
        except UploadGone as error:
            raise StoreUnavailable(f"another process ended the upload while its parts were sent ({error.what})",
                                   self._where, "Try again") from error

    def _begin(self) -> str:
        def upload_id(result: Any) -> str:
            if result.body is None or not result.body.uploadId:
                raise StoreUnavailable("the reply to the start of an upload cannot be read", self._where)
            self._encrypted = is_encrypted(result)
            return result.body.uploadId

        metadata = {PART_SIZE_METADATA: str(self._parts[0].size)}
        if self._md5 is not None:
            metadata[MD5_METADATA] = encoded_md5(self._md5)
        return self._calls("initiateMultipartUpload", self._where, self._key, metadata=metadata, check=upload_id)

    # --- an unfinished upload

    def _unfinished(self) -> Optional[Tuple[str, Dict[int, str]]]:
        """(upload id, number to MD5 of the parts on the server) of an upload to resume."""
        try:
            uploads = [upload for upload in list_uploads(self._calls, self._key, self._where)
                       if upload.key == self._key and upload.initiated is not None]
            if not uploads:
                return None
            written, changed = self._written(), self._changed()
            uploads.sort(key=lambda upload: upload.initiated, reverse=True)
            for upload in uploads[:_MOST_LOOKED_AT]:
                if written is not None and written >= upload.initiated or changed >= upload.initiated:
                    return None
                there = self._there(upload.upload_id)
                if there:
                    return upload.upload_id, there
        except (LocalStorageError, IntegrityError):
            raise
        except StoreError:  # not every server and not every user can list uploads
            pass
        return None

    def _written(self) -> Optional[float]:
        """When the object under the key was written; None if there is none."""
        try:
            found = self._calls("getObjectMetadata", self._where, self._key)
        except ObjectNotFound:
            return None
        return header_time(found.body.lastModified) or float("inf")

    def _changed(self) -> float:
        """When the file was changed, or shortly after, by the server's clock, which dates uploads."""
        now = time.time()
        ahead = clock_of(self._calls, self._key, self._where) - now
        return last_change(self._before) + ahead + _LEEWAY

    def _there(self, upload_id: str) -> Dict[int, str]:
        """Number to MD5 of the parts on the server; empty if one of them is no part of our file."""
        stored = list_parts(self._calls, self._key, upload_id, self._where)
        if not set(stored) <= {part.number for part in self._parts}:
            return {}
        parts = [part for part in self._parts if part.number in stored]
        if any(part.size != stored[part.number].size for part in parts):
            return {}
        inner = Progress(0, None)

        def md5_of_part(part: Part) -> str:
            with self._read(part, inner) as (_, md5):
                return md5

        md5s = run_parallel(md5_of_part, parts, _WORKERS, inner)
        if any(stored[part.number].etag != md5 for part, md5 in zip(parts, md5s)):
            return {}
        return {part.number: md5 for part, md5 in zip(parts, md5s)}

    def _carries_our_md5(self) -> bool:
        """Whether the object has the MD5 of our file: the metadata are those of when the upload began."""
        if self._md5 is None:
            return True
        return md5_of(self._calls("getObjectMetadata", self._where, self._key)) in (None, self._md5)

    # --- parts

    def _send_all(self, upload_id: str, there: Dict[int, str]) -> Optional[str]:
        inner = Progress(0, None)
        try:
            md5s_and_etags = run_parallel(lambda part: self._send(part, upload_id, there, inner), self._parts, _WORKERS,
                                          inner)
            check_unchanged(self._path, self._before)  # else the parts would be those of different files
            return self._complete(upload_id, md5s_and_etags)
        except (StoreUnavailable, LeaseLost):
            raise  # the next call resumes it, or the process that holds the lease now
        except StoreError:  # not after a stop: the next upload resumes it
            with contextlib.suppress(StoreError):
                self._calls.once("abortMultipartUpload", self._where, self._key, upload_id)
            raise

    @contextlib.contextmanager
    def _read(self, part: Part, inner: Progress) -> Iterator[Tuple[memoryview, str]]:
        """The bytes of a part and their MD5, once there is memory for them."""
        while not self._in_memory.acquire(timeout=_TICK):
            inner.check()
        try:
            data, filled = memoryview(bytearray(part.size)), 0
            with local_reading(self._path), open(self._path, "rb", buffering=0) as stream:
                stream.seek(part.offset)
                while filled < part.size:
                    read = stream.readinto(data[filled:])
                    if not read:
                        raise IntegrityError("the file became shorter while it was being read", self._path, "Try again")
                    filled += read
            yield data, hashlib.md5(data).hexdigest()
        finally:
            self._in_memory.release()

    def _send(self, part: Part, upload_id: str, there: Dict[int, str], inner: Progress) -> Tuple[str, str]:
        """The MD5 and the ETag of the part."""
        if part.number in there:
            inner.check()
            if self._on_bytes is not None:
                self._on_bytes(part.size)
            return there[part.number], there[part.number]
        with self._read(part, inner) as (data, md5):
            return md5, self._calls.repeat(lambda: self._attempt(part, upload_id, data, md5, inner))

    def _attempt(self, part: Part, upload_id: str, data: memoryview, md5: str, inner: Progress) -> str:
        with attempt_counted(self._on_bytes) as count:
            def counted(amount: int) -> None:
                inner.check()
                count(amount)

            result = self._calls.once("uploadPart", self._where, self._key, part.number, upload_id,
                                      content=MemoryBody(data, counted), partSize=part.size, md5=encoded_md5(md5))
            if stored_md5(result) not in (None, md5) and not self._encrypted:
                raise Damaged(f"the server stored part {part.number} with MD5 {stored_md5(result)}, not {md5}",
                              self._where)
            etag = etag_of(result.body.etag)
            if etag is None:
                raise StoreUnavailable(f"the reply to part {part.number} has no ETag", self._where)
            return etag

    # --- the end

    def _complete(self, upload_id: str, md5s_and_etags: List[Tuple[str, str]]) -> str:
        """The ETag of the object. If the reply is lost or an error, the object may exist: then it is compared."""
        from obs import CompleteMultipartUploadRequest, CompletePart
        request = CompleteMultipartUploadRequest(
            [CompletePart(partNum=number, etag=etag) for number, (_, etag) in enumerate(md5s_and_etags, start=1)])

        def completed(result: Any) -> str:
            etag = None if result.body is None else etag_of(result.body.etag)
            if etag is None:
                raise StoreUnavailable("the upload was answered 200 but not completed", self._where, "Try again")
            return etag

        try:
            return self._calls("completeMultipartUpload", self._where, self._key, upload_id, request, check=completed)
        except StoreError:
            with contextlib.suppress(StoreError):
                found = self._calls("getObjectMetadata", self._where, self._key)
                etag = etag_of(found.body.etag)
                ours = etag_of_parts([md5 for md5, _ in md5s_and_etags])
                if md5_of(found) == self._md5 if self._md5 is not None else etag == ours:
                    return etag
            raise


def last_change(status: os.stat_result) -> float:
    """Seconds since the epoch. A copied or moved file may keep an older time of modification."""
    return max(status.st_mtime, status.st_ctime)


def etag_of_parts(md5s: List[str]) -> str:
    """The ETag that OBS gives to an object in parts with these MD5s, unless it is encrypted at rest."""
    return f"{hashlib.md5(b''.join(bytes.fromhex(md5) for md5 in md5s)).hexdigest()}-{len(md5s)}"
