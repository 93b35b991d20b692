"""Stores bytes through the SDK, in one request or in parts, each with its MD5 for the server to check.

After a lost reply the request is repeated, which is harmless: it stores the same bytes. If no reply ever arrives the
object is compared.
"""
from __future__ import annotations

import contextlib
import hashlib
import os
from typing import Callable, NamedTuple, Optional

from obs_sync.errors import IntegrityError, ObjectNotFound, StoreError, StoreUnavailable
from obs_sync.esdk.body import StreamBody, bytes_body, file_body
from obs_sync.esdk.client import Calls, Damaged
from obs_sync.esdk.multipart import MOST_PARTS, Multipart
from obs_sync.esdk.reply import MD5_METADATA, encoded_md5, etag_of, headers_of, is_encrypted, md5_of, stored_md5
from obs_sync.local.files import CHUNK, check_unchanged, local_reading
from obs_sync.store import OnBytes, attempt_counted

PART_SIZE = 16 << 20    # bytes; OBS accepts 100 KB to 5 GB. All uploads together hold four parts in memory
LARGEST_PUT = 64 << 20  # bytes; larger files are sent in parts, so that a fault costs one part


class Stored(NamedTuple):
    """What was stored, as far as it is known without another request."""

    size: int            # bytes
    md5: Optional[str]   # hex, of the whole
    etag: Optional[str]  # of the version that was made


def put_bytes(calls: Calls, key: str, data: bytes, where: str) -> Stored:
    md5 = hashlib.md5(data).hexdigest()
    return Stored(len(data), md5, _put(calls, key, lambda count: bytes_body(data, count, where), md5, None, where))


def put_file(calls: Calls, key: str, path: str, where: str, on_bytes: Optional[OnBytes], with_md5: bool = True,
             part_size: Optional[int] = None, largest_put: Optional[int] = None) -> Stored:
    """Store the file `path`; `part_size` and `largest_put` in bytes, by default PART_SIZE and LARGEST_PUT.

    Without `with_md5` a file in parts is read once, and readers check it by the ETag, which is made of the MD5s of its
    parts. With it the file is read twice, because the request that begins the upload states the MD5 of the whole.
    """
    part_size = PART_SIZE if part_size is None else part_size
    largest_put = LARGEST_PUT if largest_put is None else largest_put
    with local_reading(path):
        before = os.stat(path)
    size = before.st_size
    try:
        if size <= largest_put:
            md5 = _md5_of_start(path, size)
            etag = _put(calls, key, lambda count: file_body(path, size, count), md5, on_bytes, where)
        else:
            md5 = _md5_of_start(path, size) if with_md5 else None
            upload = Multipart(calls, key, path, where, on_bytes, before, max(part_size, -(-size // MOST_PARTS)), md5)
            etag = upload.run()
    except IntegrityError:
        check_unchanged(path, before)  # the better reason, if it is one
        raise
    return Stored(size, md5, etag)


def _md5_of_start(path: str, size: int) -> str:
    """The MD5 of the first `size` bytes of a file that may grow."""
    digest, left = hashlib.md5(), size
    with local_reading(path), open(path, "rb") as stream:
        while left:
            chunk = stream.read(min(CHUNK, left))
            if not chunk:
                raise IntegrityError("the file became shorter while it was being read", path, "Try again")
            digest.update(chunk)
            left -= len(chunk)
    return digest.hexdigest()


def _put(calls: Calls, key: str, make_body: Callable[[OnBytes], StreamBody], md5: str,
         on_bytes: Optional[OnBytes], where: str) -> Optional[str]:
    """The ETag that the server stated.

    The MD5 is also stored in the metadata: readers of an object that is encrypted at rest learn it from nowhere else.
    """
    from obs import PutObjectHeader

    def attempt() -> Optional[str]:
        with attempt_counted(on_bytes) as count:
            body = make_body(count)
            size = body.left
            headers = PutObjectHeader(md5=encoded_md5(md5), contentLength=size)
            result = calls.once("putContent", where, key, metadata={MD5_METADATA: encoded_md5(md5)}, content=body,
                                headers=headers)
            if stored_md5(result) not in (None, md5) and not _is_encrypted(calls, key, where):
                raise Damaged(f"the server stored bytes with MD5 {stored_md5(result)}, not {md5}", where)
            return etag_of(headers_of(result).get("etag")) or _etag_of_stored(calls, key, size, md5, where)

    try:
        return calls.repeat(attempt)
    except StoreUnavailable:
        with contextlib.suppress(StoreError):  # every reply may have been lost, and the object stored
            found = calls.once("getObjectMetadata", where, key)
            if md5_of(found) == md5 and stored_md5(found) in (None, md5):
                return etag_of(found.body.etag)
        raise


def _etag_of_stored(calls: Calls, key: str, size: int, md5: str, where: str) -> Optional[str]:
    """After a reply without an ETag, which may hold an error. Raises StoreUnavailable."""
    with contextlib.suppress(ObjectNotFound):
        found = calls.once("getObjectMetadata", where, key)
        if found.body is not None and found.body.contentLength == size and stored_md5(found) in (None, md5):
            return etag_of(found.body.etag)
    raise StoreUnavailable("the server answered 200 and stored nothing", where, "Try again later")


def _is_encrypted(calls: Calls, key: str, where: str) -> bool:
    """Whether the object is encrypted at rest, which the reply to the upload need not say."""
    with contextlib.suppress(ObjectNotFound):
        return is_encrypted(calls.once("getObjectMetadata", where, key))
    return False
