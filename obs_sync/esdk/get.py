"""Reads objects, listings and what a server states of an object, by signed requests over kept connections. The SDK
would cost 2 ms of processor time for each object, and more than 0.1 s to import.

`connect.Client` knows the server, how to verify TLS, the proxy and, for each request, the key to sign with.
Redirections are not followed. Bytes are checked as they arrive.
"""
from __future__ import annotations

import hashlib
import html
import re
from typing import Any, Callable, ContextManager, List, NamedTuple, NoReturn, Optional, Tuple
from urllib.parse import quote, urlencode

from obs_sync.errors import StoreError, WrongDigest
from obs_sync.esdk.client import Calls, Damaged, OtherVersion, translated
from obs_sync.esdk.crc64 import new_crc64
from obs_sync.esdk.listing import Page, parse_page
from obs_sync.esdk.reply import PartedMd5, crc64_of, etag_of, header_time, md5_of, parted_of
from obs_sync.esdk.signing import OBS, V2, quoted_key, signed_headers
from obs_sync.http.pool import Pool
from obs_sync.http.reply import Reply
from obs_sync.store import ObjectInfo

Sink = Callable[[memoryview], Any]
Span = Tuple[int, int]
"""(offset, size) in bytes."""

_MOST_ERROR = 1 << 16    # bytes of an error's document
_MOST_LISTING = 1 << 26  # bytes of a page; a thousand keys of the greatest length are 3 MB, encoded
_ROUNDED = 1.0           # seconds by which a listing and a reply may tell the same time
_ETAG = " ;/?:@&=+$,'*"  # what the SDK leaves unquoted in headers


class _Refusal(NamedTuple):
    """A reply above 299, in the words of the SDK's results."""

    status: int
    reason: str
    errorCode: Optional[str]
    errorMessage: Optional[str]
    requestId: Optional[str]
    header: List[Tuple[str, str]]


class Reader:
    """GET and HEAD of objects, and listings, of the bucket of `calls`. Safe to use from several threads."""

    def __init__(self, calls: Calls):
        client = calls.client
        self._calls = calls
        host = client.server_of(calls.bucket)
        self._pool = Pool(host, client.port, client.context, client.timeout, client.proxy)
        named = f"[{host}]" if ":" in host else host  # IPv6
        self._host = named if client.port in (80, 443) else f"{named}:{client.port}"
        self._start = f"/{calls.bucket}/" if client.in_path else "/"
        # With the bucket in the path the SDK speaks the older dialect, whatever the server could.
        self._dialect: Optional[str] = V2 if client.in_path else None

    def page(self, where: str, prefix: str, marker: Optional[str], most: int) -> Page:
        """One attempt at the first `most` objects whose keys start with `prefix` and come after `marker`."""
        query = {"encoding-type": "url", "max-keys": str(most), "prefix": prefix}
        if marker is not None:
            query["marker"] = marker
        target = f"{self._start}?{urlencode(query, quote_via=quote)}"
        with self._exchange(self._request("GET", target, self._signed("GET", "", where)), where) as exchange:
            if exchange.reply.status >= 300:
                raise self._calls.error(exchange.refusal(), where)
            document = exchange.document(_MOST_LISTING)
        return parse_page(document, where)

    def receive(self, key: str, where: str, sink: Sink, info: Optional[ObjectInfo] = None,
                span: Optional[Span] = None, look: Callable[[Reply], Any] = lambda reply: None,
                asked: Optional["Exchange"] = None) -> None:
        """One attempt at the object `key` (in the bucket), in pieces to `sink`: the version `info`, or any.

        A piece is valid until `sink` returns; `look` sees the reply before. `asked` is what `ask` returned for it. The
        version, the length and the span are checked before anything is read, the digest of the whole at the end.
        Raises as Calls.once does, and OtherVersion; Damaged and WrongDigest for bytes.
        """
        with asked or self.ask(key, where, info, span) as exchange:
            reply = exchange.reply
            if reply.status >= 300:
                raise self._calls.error(exchange.refusal(), where)
            look(reply)
            check = _Check(reply, info, span, where)
            for piece in exchange:
                check.update(piece)
                sink(piece)
        check.finish()

    def ask(self, key: str, where: str, info: Optional[ObjectInfo] = None, span: Optional[Span] = None) -> "Exchange":
        """Send the request for an object. Later `receive` takes its reply, once, or `abandon` drops it."""
        return self._exchange(self._object(key, where, None if info is None else info.etag, span), where)

    def close(self) -> None:
        self._pool.drop_idle()

    def head(self, key: str, where: str) -> Reply:
        """One attempt at the headers of the object `key`."""
        quoted = quoted_key(key)
        request = self._request("HEAD", self._start + quoted, self._signed("HEAD", quoted, where))
        with self._exchange(request, where) as exchange:
            exchange.document(0)
            if exchange.reply.status >= 300:
                raise self._calls.error(exchange.refusal(), where)
            return exchange.reply

    def _object(self, key: str, where: str, etag: Optional[str], span: Optional[Span]) -> bytes:
        quoted = quoted_key(key)
        headers = self._signed("GET", quoted, where)
        if etag is not None:
            headers += f"If-Match: {quote(etag, _ETAG)}\r\n"
        if span is not None:
            headers += f"Range: bytes={span[0]}-{span[0] + span[1] - 1}\r\n"
        return self._request("GET", self._start + quoted, headers)

    def _signed(self, method: str, quoted: str, where: str) -> str:
        dialect, key = self._dialect or self._negotiated(where), self._calls.client.keys.of_the_moment()
        return signed_headers(method, dialect, key, self._calls.bucket, quoted, self._calls.client.clock.now())

    def _request(self, method: str, target: str, headers: str) -> bytes:
        return (f"{method} {target} HTTP/1.1\r\nHost: {self._host}\r\nUser-Agent: obs_sync\r\n{headers}\r\n"
                .encode("latin-1"))

    def _exchange(self, request: bytes, where: str) -> "Exchange":
        return Exchange(self._pool, request, where, self._translated)

    def _translated(self, where: str) -> ContextManager[None]:
        return translated(where, self._pool.drop_idle, self._calls.client, self._calls.bucket)

    def _negotiated(self, where: str) -> str:
        """The dialect that the SDK would sign with: the server says whether it knows that of OBS. Asked once."""
        with self._exchange(self._request("HEAD", "/?apiversion", ""), where) as exchange:
            exchange.document(0)
            reply = exchange.reply
            if reply.status == 404 or reply.status >= 500:
                raise self._calls.error(exchange.refusal(), where)
        self._dialect = OBS if reply.headers.get("api", "") >= "3.0" else V2
        return self._dialect


def _check_version(reply: Reply, info: ObjectInfo, where: str) -> None:
    """A server, cache or proxy may ignore If-Match. Where either ETag is missing, the dates decide."""
    etag = etag_of(reply.headers.get("etag"))
    if etag is not None and info.etag is not None:
        if etag != info.etag:
            raise OtherVersion(f"asked for the version {info.etag}, the server answered with {etag[:80]!r}", where,
                               "Another program writes to it, or a proxy between this machine and the server caches it")
        return
    modified = header_time(reply.headers.get("last-modified"))
    if modified is not None and info.modified is not None and abs(modified - info.modified) > _ROUNDED:
        raise OtherVersion("the object was written at another time than the version that was requested", where,
                           "Another program writes to it")


def _check_span(reply: Reply, span: Span, size: int, where: str) -> None:
    """A server or a proxy may ignore a Range, or answer with another one."""
    stated = reply.headers.get("content-range")
    wanted = f"bytes {span[0]}-{span[0] + span[1] - 1}/{size}"
    if reply.status != 206 or stated != wanted:
        raise Damaged(f"asked for {wanted}, the server answered {reply.status} with {stated or 'the whole'}", where)


class Exchange:
    """One request and its reply. Faults of the network become our errors; those of the reader pass."""

    def __init__(self, pool: Pool, request: bytes, where: str, translated: Callable[[str], ContextManager[None]]):
        self._pool = pool
        self._where = where
        self._translated = translated
        try:
            self._asked = pool.ask(request)
        except Exception as error:
            self._translate(error)

    def abandon(self) -> None:
        self._asked.close()

    def __enter__(self) -> "Exchange":
        try:
            self.reply = self._pool.reply(self._asked)
        except Exception as error:
            self._translate(error)
        self._pieces = self.reply.body()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._pool.put_back(self.reply)

    def __iter__(self) -> "Exchange":
        return self

    def __next__(self) -> memoryview:
        try:
            piece = next(self._pieces, None)
        except Exception as error:
            self._translate(error)
        if piece is None:
            raise StopIteration
        return piece

    def _translate(self, error: Exception) -> NoReturn:
        with self._translated(self._where):  # entered for faults only, because it costs time
            raise error

    def refusal(self) -> _Refusal:
        """The error. If its document cannot be read, the status alone decides."""
        try:
            text = self.document(_MOST_ERROR).decode("utf-8", "replace")
        except StoreError:
            text = ""
        reply = self.reply
        return _Refusal(reply.status, reply.reason, _element(text, "Code"), _element(text, "Message"),
                        _element(text, "RequestId") or reply.headers.get("request-id"), list(reply.headers.items()))

    def document(self, most: int) -> bytes:
        """The first `most` bytes of the body. If it is longer the connection is dropped."""
        document = bytearray()
        for piece in self:
            document += piece
            if len(document) > most:
                break
        return bytes(document[:most])


def _element(document: str, name: str) -> Optional[str]:
    found = re.search(f"<{name}>([^<]*)</{name}>", document)
    return html.unescape(found.group(1)).strip() or None if found else None


class _Check:
    """Version, length and digest of what arrives, against what the reply announces and `info` knows."""

    def __init__(self, reply: Reply, info: Optional[ObjectInfo], span: Optional[Span], where: str):
        """Raises OtherVersion, Damaged: nothing of the body need be read then."""
        self._where = where
        self._received = 0
        self._size = span[1] if span is not None else reply.length if info is None else info.size
        self._wanted, self._digest = None, None
        if info is not None:
            _check_version(reply, info, where)
        if span is not None:
            _check_span(reply, span, info.size, where)
        elif reply.status != 200:
            raise Damaged(f"asked for the whole object, the server answered {reply.status}", where)
        else:
            self._wanted, self._digest = wanted_digest(reply, info)
        if self._size is None or reply.length not in (None, self._size):
            raise Damaged(f"the server announces {reply.length} bytes of {self._size}", where)

    def update(self, piece: memoryview) -> None:
        self._received += len(piece)
        if self._received > self._size:
            raise Damaged(f"received {self._received} bytes or more of {self._size}", self._where)
        if self._digest is not None:
            self._digest.update(piece)

    def finish(self) -> None:
        if self._received != self._size:
            raise Damaged(f"received {self._received} bytes of {self._size}", self._where)
        if self._digest is not None:
            compare_digests(self._digest, self._wanted, self._where)


def wanted_digest(reply: Reply, info: Optional[ObjectInfo]) -> Tuple[Optional[str], Any]:
    """The digest that the whole object must have and a hash to compute it with, or (None, None)."""
    if info is not None and info.sha256 is not None:
        return info.sha256, hashlib.sha256()
    md5 = md5_of(reply)
    if info is not None and "etag" not in reply.headers:
        md5 = info.md5
    if md5 is not None:
        return md5, hashlib.md5()
    parted = parted_of(reply, reply.length or 0) if info is None else parted_of(reply, info.size, info.etag)
    return wanted_crc64(reply) if parted is None else (parted[0], PartedMd5(parted[1]))


def wanted_crc64(reply: Any) -> Tuple[Optional[str], Any]:
    """The CRC-64 likewise, for where no stronger digest is known. `reply` may be a result of the SDK."""
    crc64 = crc64_of(reply)
    digest = None if crc64 is None else new_crc64()
    return (None, None) if digest is None else (crc64, digest)


def compare_digests(digest: Any, wanted: str, where: str) -> None:
    found = digest.hexdigest()
    if found != wanted:
        if digest.name == "sha256":
            raise WrongDigest(f"received bytes with SHA-256 {found}, not {wanted}", where)
        name = {"md5": "MD5", "crc64": "CRC-64"}[digest.name]
        raise Damaged(f"received bytes with {name} {found}, not {wanted}", where)
