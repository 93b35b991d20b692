"""A file stored in parts through the SDK: several at once, each read once, and gone on with where a process died.

An upload whose process was killed, or that the network failed, stays with the server. The next one of the same file
under the same key finds it there: no state is kept beside the file. It is taken up if every part that the server has
is one of the file as it is now, by size and MD5, and if nothing was stored under the key since it was begun: of two
uploads the one that was begun later counts, so that an old one would be completed and yet lose. Nor must the file have
changed since: the MD5 of the whole is given at the beginning, cannot be asked for until the end, and makes an object of
other bytes unreadable. Servers tell whole seconds, so that a file which changed up to 3 s before its upload was begun
may be one that changed right after, and is sent anew; to wait these seconds out would delay every upload for the sake
of a rare one. What somebody else may have begun just now, an upload without parts, is left alone. An upload
that fails for good is aborted, one that is stopped is not.
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
_WORKERS = 4          # of one upload, and parts that all uploads of one store together hold in memory
_MOST_LOOKED_AT = 3   # unfinished uploads of one key whose parts are compared
_LEEWAY = 2.0         # seconds; clocks tell whole ones, and a file may change while an upload of it is being begun
_TICK = 0.2           # seconds; between two of them a worker that waits for memory can be told to end

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
        """`before` is the file as it was when its size was taken, `md5` that of the whole if it is to be kept."""
        self._calls = calls
        self._key = key
        self._path = path
        self._where = where
        self._on_bytes = on_bytes
        self._before = before
        self._md5 = md5
        self._encrypted = False  # at rest, by what was said when it was begun: no ETag of a part is an MD5 then
        self._parts = [Part(number, offset, min(part_size, before.st_size - offset))
                       for number, offset in enumerate(range(0, before.st_size, part_size), start=1)]
        with _lock:
            self._in_memory = _in_memory.setdefault(calls, threading.BoundedSemaphore(_WORKERS))

    def run(self) -> Optional[str]:
        """Returns the ETag of the object, where it is told."""
        found = self._unfinished()
        if found is not None:
            with contextlib.suppress(UploadGone):  # somebody completed or aborted it, or sent parts of his own
                etag = self._send_all(*found)
                if self._carries_our_md5():
                    return etag
        check_unchanged(self._path, self._before)  # or its MD5 is of no file
        try:
            return self._send_all(self._begin(), {})
        except UploadGone as error:
            raise StoreUnavailable(f"the upload was ended by somebody else while its parts were sent ({error.what})",
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

    # --- an upload that was begun before

    def _unfinished(self) -> Optional[Tuple[str, Dict[int, str]]]:
        """(upload id, number to MD5 of the parts that are there) of an upload to go on with."""
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
        """When what is stored under the key now was written."""
        try:
            found = self._calls("getObjectMetadata", self._where, self._key)
        except ObjectNotFound:
            return None
        return header_time(found.body.lastModified) or float("inf")

    def _changed(self) -> float:
        """When the file was changed, or shortly after, by the server's clock, as the beginning of uploads is told."""
        now = time.time()
        ahead = clock_of(self._calls, self._key, self._where) - now
        return last_change(self._before) + ahead + _LEEWAY

    def _there(self, upload_id: str) -> Dict[int, str]:
        """Number to MD5 of the parts that the server has; none if any of them is not one of our file."""
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
        """Metadata were given when the upload was begun, for a file that may have become another since."""
        if self._md5 is None:
            return True
        return md5_of(self._calls("getObjectMetadata", self._where, self._key)) in (None, self._md5)

    # --- parts

    def _send_all(self, upload_id: str, there: Dict[int, str]) -> Optional[str]:
        inner = Progress(0, None)
        try:
            md5s_and_etags = run_parallel(lambda part: self._send(part, upload_id, there, inner), self._parts, _WORKERS,
                                          inner)
            check_unchanged(self._path, self._before)  # or the parts are of different files
            return self._complete(upload_id, md5s_and_etags)
        except (StoreUnavailable, LeaseLost):
            raise  # the next call goes on with it, or whoever has the lease now
        except StoreError:  # not for a stop: what is there is gone on with
            with contextlib.suppress(StoreError):
                self._calls.once("abortMultipartUpload", self._where, self._key, upload_id)
            raise

    @contextlib.contextmanager
    def _read(self, part: Part, inner: Progress) -> Iterator[Tuple[memoryview, str]]:
        """Its bytes and their MD5, once there is memory for them."""
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
        """Returns its MD5 and its ETag."""
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
        """The reply may be lost, or be an error, although the object is there: then look at it."""
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
    """Seconds since the epoch. A file that is copied or moved into place may keep a time of modification of its own."""
    return max(status.st_mtime, status.st_ctime)


def etag_of_parts(md5s: List[str]) -> str:
    """The ETag that OBS gives to an object in parts with these MD5s, unless it is encrypted at rest."""
    return f"{hashlib.md5(b''.join(bytes.fromhex(md5) for md5 in md5s)).hexdigest()}-{len(md5s)}"
