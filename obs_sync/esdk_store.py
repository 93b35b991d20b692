"""A bucket through the OBS SDK (esdk-obs-python): OBS itself, the mocked OBS, and S3-compatible servers."""
from __future__ import annotations

import hashlib
from typing import Any, Iterable, Iterator, List, Optional, Tuple

from obs_sync.errors import AccessDenied, IntegrityError, StoreError, StoreUnavailable, UnsafeKey
from obs_sync.esdk_client import Calls, Damaged, translated
from obs_sync.esdk_reply import etag_of, header_time, headers_of, listed_time, md5_of, plain_md5
from obs_sync.esdk_upload import put_bytes, put_file
from obs_sync.keys import check_key
from obs_sync.local_files import CHUNK, local_storage
from obs_sync.retry import DEFAULT_RETRY, Retry
from obs_sync.store import ObjectInfo, OnBytes, Store, attempt_counted, check_range

_PAGE = 1000   # objects, the most that OBS lists or deletes in one request


class EsdkStore(Store):
    """Objects of `bucket` below `prefix` ("" or ending in '/').

    `client` is an `obs.ObsClient` (see `esdk_client.connect`) and belongs to the store: it keeps connections
    to this one bucket.
    """

    def __init__(self, client: Any, bucket: str, prefix: str = "", retry: Retry = DEFAULT_RETRY):
        self._calls = Calls(client, bucket, retry)
        self._prefix = prefix
        self.url = f"obs://{bucket}/{prefix}"

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        where, full_prefix = self.locate(prefix), self._prefix + prefix
        marker, seen = None, set()
        while True:
            # Keys may hold characters that XML cannot: hence the encoding. Some servers ignore it.
            page = self._calls("listObjects", where, prefix=full_prefix, marker=marker, max_keys=_PAGE,
                               encoding_type="url", check=_readable_body(where))
            for content in page.contents:
                if content.key is None or content.size is None or not content.key.startswith(full_prefix):
                    raise StoreError(f"the listing holds {content.key!r}, which was not asked for", where)
                etag = etag_of(content.etag)
                yield ObjectInfo(content.key[len(self._prefix):], content.size, etag, plain_md5(etag),
                                 listed_time(content.lastModified))
            if not page.is_truncated:
                return
            marker = page.next_marker or (page.contents[-1].key if page.contents else None)
            if marker is None or marker in seen:
                raise StoreError("the listing is cut short and does not go on", where,
                                 "The server's paging is at fault; nothing was transferred")
            seen.add(marker)

    def head(self, key: str) -> ObjectInfo:
        return self._calls("getObjectMetadata", self.locate(key), self._full(key),
                           check=lambda result: _info(key, result, self.locate(key)))

    def read(self, key: str) -> bytes:
        chunks: List[bytes] = []

        def attempt() -> bytes:
            del chunks[:]
            self._receive(key, None, chunks.append)
            return b"".join(chunks)

        return self._calls.repeat(attempt)

    def write(self, key: str, data: bytes) -> ObjectInfo:
        where = self.locate(check_key(key, self.locate(key)))
        md5 = put_bytes(self._calls, self._full(key), data, where)
        return self._confirmed(key, len(data), md5)

    def download(self, info: ObjectInfo, path: str, on_bytes: Optional[OnBytes] = None) -> None:
        def attempt() -> None:
            with attempt_counted(on_bytes) as count, local_storage(path), open(path, "wb") as stream:
                def sink(chunk: bytes) -> None:
                    with local_storage(path):
                        stream.write(chunk)
                    count(len(chunk))

                self._receive(info.key, info, sink)

        self._calls.repeat(attempt)

    def read_range(self, info: ObjectInfo, offset: int, size: int, on_bytes: Optional[OnBytes] = None) -> bytes:
        check_range(info, offset, size)
        if size == 0:  # HTTP has no empty range
            return b""
        chunks: List[bytes] = []

        def attempt() -> bytes:
            del chunks[:]
            with attempt_counted(on_bytes) as count:
                def sink(chunk: bytes) -> None:
                    chunks.append(chunk)
                    count(len(chunk))

                self._receive(info.key, info, sink, (offset, size))
            return b"".join(chunks)

        return self._calls.repeat(attempt)

    def upload(self, path: str, key: str, on_bytes: Optional[OnBytes] = None, with_md5: bool = True) -> ObjectInfo:
        where = self.locate(check_key(key, self.locate(key)))
        size, md5 = put_file(self._calls, self._full(key), path, where, on_bytes, with_md5)
        return self._confirmed(key, size, md5)

    def delete(self, keys: Iterable[str]) -> None:
        full_keys = [self._full(key) for key in keys]
        for start in range(0, len(full_keys), _PAGE):
            self._delete_batch(full_keys[start:start + _PAGE])

    def close(self) -> None:
        self._calls.close()

    def _full(self, key: str) -> str:
        if not key:
            raise UnsafeKey("the key is empty", self.url, "Name an object below this URL")
        return self._prefix + key

    def _receive(self, key: str, info: Optional[ObjectInfo], sink: Any,
                 span: Optional[Tuple[int, int]] = None) -> None:
        """One attempt at the object, in chunks to `sink`: the version `info`, or any; `span` is (offset, size)."""
        from obs import GetObjectHeader
        where = self.locate(key)
        pin = None if info is None else info.etag
        span_header = None if span is None else f"{span[0]}-{span[0] + span[1] - 1}"
        result = self._calls.once("getObject", where, self._full(key),
                                  headers=GetObjectHeader(range=span_header, if_match=pin))
        announced, expected = md5_of(result), None if info is None else info.size
        if info is not None and "etag" not in headers_of(result):
            announced = info.md5
        if span is not None:
            announced, expected = None, span[1]
        response, digest = result.body.response, None if announced is None else hashlib.md5()
        received, whole = 0, False
        try:
            if span is not None:
                _check_span(result, span, info.size, where)
            while not whole:
                with translated(where, self._calls.drop_idle_connections):
                    chunk = response.read(CHUNK)
                if chunk:
                    if digest is not None:
                        digest.update(chunk)
                    received += len(chunk)
                    sink(chunk)
                whole = not chunk
        finally:
            if not whole:
                response.conn.close()  # else the next request would meet the rest of this body
            response.close()
        if expected is not None and received != expected:
            lost = "content-length" not in headers_of(result)  # with it, the SDK has checked that nothing was lost
            raise (Damaged if lost else IntegrityError)(f"received {received} bytes of {expected}", where)
        if digest is not None and announced != digest.hexdigest():
            raise Damaged(f"received bytes with MD5 {digest.hexdigest()}, not {announced}", where)

    def _confirmed(self, key: str, size: int, md5: Optional[str]) -> ObjectInfo:
        """What is stored under `key` now, which must be what we have just stored. md5: None where it was not taken."""
        info = self.head(key)
        if info.size != size or md5 is not None and info.md5 not in (None, md5):
            raise IntegrityError(f"stored {size} bytes with MD5 {md5}, found {info.size} with {info.md5}",
                                 self.locate(key), "Does somebody else write to this key?")
        return ObjectInfo(key, size, info.etag, md5, info.modified)

    def _delete_batch(self, full_keys: List[str]) -> None:
        from obs import DeleteObjectsRequest, Object
        where = self.url
        plain = all(character >= " " for key in full_keys for character in key)
        request = DeleteObjectsRequest(quiet=False, objects=[Object(key=key) for key in full_keys],
                                       encoding_type=None if plain else "url")  # XML has no control characters

        def check(result: Any) -> None:
            body = _readable_body(where)(result)
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


def _info(key: str, result: Any, where: str) -> ObjectInfo:
    body = result.body
    if body is None or body.contentLength is None:
        raise StoreUnavailable("the server's reply tells no length", where, "Try again later")
    return ObjectInfo(key, body.contentLength, etag_of(body.etag), md5_of(result), header_time(body.lastModified))


def _check_span(result: Any, span: Tuple[int, int], size: int, where: str) -> None:
    """A server may ignore a Range, or answer another one, and a proxy may do so now and then."""
    stated = headers_of(result).get("content-range")
    wanted = f"bytes {span[0]}-{span[0] + span[1] - 1}/{size}"
    if result.status != 206 or stated != wanted:
        raise Damaged(f"asked for {wanted}, the server answered {result.status} with {stated or 'the whole'}", where)


def _readable_body(where: str) -> Any:
    """A check that returns the parsed body: the SDK swallows what it cannot parse and says 200."""
    def check(result: Any) -> Any:
        if result.body is None:
            raise StoreUnavailable("the server's reply cannot be read", where, "Try again later")
        return result.body
    return check
