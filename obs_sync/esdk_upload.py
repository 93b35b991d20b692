"""Storing bytes through the SDK: in one request or in parts, each with its MD5 for the server to check."""
from __future__ import annotations

import contextlib
import hashlib
import io
import os
from typing import Any, BinaryIO, Callable, List, NamedTuple, Optional, Tuple

from obs_sync.errors import IntegrityError, StoreError, StoreUnavailable
from obs_sync.esdk_client import Calls, Damaged
from obs_sync.esdk_reply import MD5_METADATA, encoded_md5, etag_of, md5_of
from obs_sync.local_files import CHUNK, check_unchanged, local_storage
from obs_sync.parallel import Progress, run_parallel
from obs_sync.store import OnBytes, attempt_counted

PART_SIZE = 16 << 20    # bytes; OBS takes parts of 100 KB to 5 GB
LARGEST_PUT = 64 << 20  # bytes; larger files go in parts, so that a fault costs one part
_MOST_PARTS = 10000     # of one upload, by the OBS API
_PART_WORKERS = 4


class Part(NamedTuple):
    number: int  # from 1
    offset: int  # bytes
    size: int    # bytes
    md5: str     # hex


def put_bytes(calls: Calls, key: str, data: bytes, where: str) -> str:
    """Store `data`; returns its MD5 (hex)."""
    md5 = hashlib.md5(data).hexdigest()
    _put(calls, key, lambda count: _Body(io.BytesIO(data), len(data), count, where), md5, None, where)
    return md5


def put_file(calls: Calls, key: str, path: str, where: str, on_bytes: Optional[OnBytes], with_md5: bool = True,
             part_size: int = PART_SIZE, largest_put: int = LARGEST_PUT) -> Tuple[int, Optional[str]]:
    """Store the file `path`; returns its (size, MD5). Without `with_md5` one in parts has none."""
    with local_storage(path):
        before = os.stat(path)
    size = before.st_size
    part_size = size if size <= largest_put else max(part_size, -(-size // _MOST_PARTS))
    parts, md5 = _parts_of(path, size, part_size, with_md5)
    try:
        if len(parts) == 1:
            md5 = parts[0].md5
            _put(calls, key, lambda count: _file_body(path, 0, size, count), md5, on_bytes, where)
        else:
            _Multipart(calls, key, path, where, on_bytes).run(parts, md5)
    except IntegrityError:
        check_unchanged(path, before)  # the better reason, if it is one
        raise
    return size, md5


def _put(calls: Calls, key: str, make_body: Callable[[OnBytes], _Body], md5: str,
         on_bytes: Optional[OnBytes], where: str) -> None:
    from obs import PutObjectHeader

    def attempt() -> None:
        with attempt_counted(on_bytes) as count:
            body = make_body(count)
            headers = PutObjectHeader(md5=encoded_md5(md5), contentLength=body.left)
            stored = md5_of(calls.once("putContent", where, key, content=body, headers=headers))
            if stored not in (None, md5):
                raise Damaged(f"the server stored bytes with MD5 {stored}, not {md5}", where)

    calls.repeat(attempt)


class _Multipart:
    """One upload in parts. Aborted if it fails, so that no parts stay behind and are paid for."""

    def __init__(self, calls: Calls, key: str, path: str, where: str, on_bytes: Optional[OnBytes]):
        self._calls = calls
        self._key = key
        self._path = path
        self._where = where
        self._on_bytes = on_bytes

    def run(self, parts: List[Part], md5: Optional[str]) -> None:
        metadata = None if md5 is None else {MD5_METADATA: encoded_md5(md5)}
        upload_id = self._calls("initiateMultipartUpload", self._where, self._key, metadata=metadata,
                                check=self._upload_id)
        inner = Progress(0, None)

        def send(part: Part) -> str:
            return self._calls.repeat(lambda: self._send(part, upload_id, inner))

        try:
            etags = run_parallel(send, parts, _PART_WORKERS, inner)
            self._complete(upload_id, etags, parts, md5)
        except BaseException:
            with contextlib.suppress(StoreError):
                self._calls.once("abortMultipartUpload", self._where, self._key, upload_id)
            raise

    def _upload_id(self, result: Any) -> str:
        if result.body is None or not result.body.uploadId:
            raise StoreUnavailable("the reply to the start of an upload cannot be read", self._where)
        return result.body.uploadId

    def _send(self, part: Part, upload_id: str, inner: Progress) -> str:
        with attempt_counted(self._on_bytes) as count:
            def counted(amount: int) -> None:
                inner.check()
                count(amount)

            body = _file_body(self._path, part.offset, part.size, counted)
            result = self._calls.once("uploadPart", self._where, self._key, part.number, upload_id, content=body,
                                      partSize=part.size, md5=encoded_md5(part.md5))
            if md5_of(result) not in (None, part.md5):
                raise Damaged(f"the server stored part {part.number} with MD5 {md5_of(result)}, not {part.md5}",
                              self._where)
            etag = etag_of(result.body.etag)
            if etag is None:
                raise StoreUnavailable(f"the reply to part {part.number} has no ETag", self._where)
            return etag

    def _complete(self, upload_id: str, etags: List[str], parts: List[Part], md5: Optional[str]) -> None:
        """The reply may be lost, or be an error, although the object is there: then look at it."""
        from obs import CompleteMultipartUploadRequest, CompletePart
        request = CompleteMultipartUploadRequest(
            [CompletePart(partNum=number, etag=etag) for number, etag in enumerate(etags, start=1)])

        def completed(result: Any) -> None:
            if result.body is None or not etag_of(result.body.etag):
                raise StoreUnavailable("the upload was answered 200 but not completed", self._where, "Try again")

        try:
            self._calls("completeMultipartUpload", self._where, self._key, upload_id, request, check=completed)
        except StoreError:
            with contextlib.suppress(StoreError):
                found = self._calls("getObjectMetadata", self._where, self._key)
                if md5_of(found) == md5 if md5 is not None else etag_of(found.body.etag) == etag_of_parts(parts):
                    return
            raise


class _Body:
    """`size` bytes of a stream, from where it stands, as the SDK wants to read them. It closes the stream."""

    def __init__(self, stream: BinaryIO, size: int, count: OnBytes, name: str):
        self._stream = stream
        self.left = size
        self._count = count
        self._name = name

    def read(self, amount: int) -> bytes:
        with local_storage(self._name):  # else it would look like a fault of the network
            chunk = self._stream.read(min(amount, self.left))
        if not chunk and self.left:
            raise IntegrityError(f"{self.left} bytes are missing at the end", self._name)
        self.left -= len(chunk)
        self._count(len(chunk))
        return chunk

    def close(self) -> None:
        self._stream.close()


def _file_body(path: str, offset: int, size: int, count: OnBytes) -> _Body:
    with local_storage(path):
        stream = open(path, "rb")
        stream.seek(offset)
    return _Body(stream, size, count, path)


def etag_of_parts(parts: List[Part]) -> str:
    """The ETag that OBS gives to an object in these parts, unless it is encrypted at rest."""
    return f"{hashlib.md5(b''.join(bytes.fromhex(part.md5) for part in parts)).hexdigest()}-{len(parts)}"


def _parts_of(path: str, size: int, part_size: int, with_md5: bool) -> Tuple[List[Part], Optional[str]]:
    """The parts of a file, at least one, and the MD5 of the whole if there are several and it is wanted; one reading.

    MD5 is slow, and no MD5 of a whole follows from those of its parts: it costs as much again.
    """
    whole = hashlib.md5() if with_md5 and size > part_size else None
    parts, offset = [], 0
    with local_storage(path), open(path, "rb") as stream:
        while not parts or offset < size:
            wanted = min(part_size, size - offset)
            digest, read = hashlib.md5(), 0
            while read < wanted:
                chunk = stream.read(min(CHUNK, wanted - read))
                if not chunk:
                    raise IntegrityError("the file became shorter while it was being read", path, "Try again")
                digest.update(chunk)
                if whole is not None:
                    whole.update(chunk)
                read += len(chunk)
            parts.append(Part(len(parts) + 1, offset, wanted, digest.hexdigest()))
            offset += wanted
    return parts, None if whole is None else whole.hexdigest()
