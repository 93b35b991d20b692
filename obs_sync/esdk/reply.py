"""What replies state: the ETag of a version, its MD5, the time when it was written. For results of the SDK and ours."""
from __future__ import annotations

import base64
import binascii
import email.utils
import functools
import hashlib
import re
import time
from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple

from obs_sync.errors import StoreUnavailable
from obs_sync.esdk.listing import utc_time
from obs_sync.http.head import whole_number
from obs_sync.http.reply import Reply

MD5_METADATA = "md5chksum"
"""User metadata with the base64 MD5 of the whole object, for objects in parts, whose ETag is no MD5. rclone reads and
writes the same.
"""

PART_SIZE_METADATA = "part-size"
"""User metadata with the bytes of each part but the last, for objects that we stored in parts: with it their ETag can
be computed from the content.
"""

_PARTED_MD5 = re.compile(r"[0-9a-f]{32}-([1-9][0-9]{0,4})\Z")
_starts_as_encryption = re.compile("server-side-encryption").match
_PLAIN_MD5 = re.compile(r"[0-9a-f]{32}\Z")
_CRC64 = "checksum-crc64ecma"


def etag_of(text: Optional[str]) -> Optional[str]:
    """An ETag without quotes, because the SDK would send quotes as %22."""
    if not text:
        return None
    return (text[2:] if text.startswith("W/") else text).strip('"') or None


def plain_md5(etag: Optional[str]) -> Optional[str]:
    """The ETag if it can be an MD5, or None: the ETag of an object in parts ends in '-<parts>'."""
    return etag if etag and _PLAIN_MD5.match(etag) else None


def readable_body(where: str, *telling: str) -> Callable[[Any], Any]:
    """A check that returns the parsed body, in which one of the attributes `telling` must be set.

    The SDK ignores a document that it cannot parse, and reads another one, such as an error under a status of 200, as
    an empty listing.
    """
    def check(result: Any) -> Any:
        if result.body is None:
            raise StoreUnavailable("the server's reply cannot be read", where, "Try again later")
        if telling and all(getattr(result.body, name) is None for name in telling):
            raise StoreUnavailable("the server's reply is not what was asked for", where,
                                   "Check that OBS_SERVER is an OBS, and try again later")
        return result.body
    return check


def headers_of(result: Any) -> Dict[str, str]:
    """Response headers as the SDK leaves them: lower case, without x-obs-, x-amz- and meta- prefixes."""
    return result.headers if isinstance(result, Reply) else dict(result.header or ())


def md5_of(result: Any) -> Optional[str]:
    """The MD5 that a reply to GET, HEAD or PUT announces: in our metadata, otherwise in the ETag. The ETag of an object
    that is encrypted at rest need not be its MD5.
    """
    headers = headers_of(result)
    if MD5_METADATA in headers:
        with_metadata = _decoded_md5(headers[MD5_METADATA])
        if with_metadata is not None:
            return with_metadata
    return stored_md5(result)


def stored_md5(result: Any) -> Optional[str]:
    """The MD5 of what the server has stored, by its ETag: metadata only state what the sender meant to store."""
    return None if is_encrypted(result) else plain_md5(etag_of(headers_of(result).get("etag")))


def is_encrypted(result: Any) -> bool:
    """Whether a reply says that the object or the upload is encrypted at rest. Then its ETag need be no MD5."""
    return any(map(_starts_as_encryption, headers_of(result)))


def parted_of(result: Any, size: int, etag: Optional[str] = None) -> Optional[Tuple[str, int]]:
    """(ETag, part size in bytes) of an object of `size` bytes in parts, if the size of its parts is known.

    `etag` is used if the reply has none.
    """
    headers = headers_of(result)
    etag, part_size = etag_of(headers.get("etag")) or etag or "", headers.get(PART_SIZE_METADATA, "")
    found = _PARTED_MD5.match(etag)
    length = whole_number(part_size)
    if found is None or length is None or is_encrypted(result):
        return None
    return (etag, length) if length and -(-size // length) == int(found.group(1)) else None


def crc64_of(result: Any) -> Optional[str]:
    """The CRC-64 of the whole object that a reply to HEAD, or GET without a range, announces: a decimal number.

    What it means in the reply to a range is not documented.
    """
    crc64 = whole_number(headers_of(result).get(_CRC64, ""))
    return None if crc64 is None or result.status == 206 else str(crc64)


class PartedMd5:
    """Computes the ETag of an object in parts, like a hash of hashlib: the MD5 of the parts' MD5s, and their number."""

    name = "md5"

    def __init__(self, part_size: int):
        self._part_size = part_size
        self._digests: List[bytes] = []
        self._part, self._left = hashlib.md5(), part_size

    def update(self, data: Any) -> None:
        data = memoryview(data)
        while data:
            piece = data[:self._left]
            self._part.update(piece)
            self._left -= len(piece)
            data = data[len(piece):]
            if not self._left:
                self._digests.append(self._part.digest())
                self._part, self._left = hashlib.md5(), self._part_size

    def hexdigest(self) -> str:
        last = [self._part.digest()] if self._left < self._part_size else []
        return f"{hashlib.md5(b''.join(self._digests + last)).hexdigest()}-{len(self._digests + last)}"


def encoded_md5(hex_digest: str) -> str:
    """In base64, for Content-MD5 and our metadata."""
    return base64.b64encode(bytes.fromhex(hex_digest)).decode("ascii")


def _decoded_md5(text: str) -> Optional[str]:
    try:
        digest = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return digest.hex() if len(digest) == 16 else None


def header_time(text: Optional[str]) -> Optional[float]:
    """A date in a header, in seconds since the epoch; None if it is no date."""
    parsed = email.utils.parsedate_tz(text) if text else None
    if parsed is None:
        return None
    try:
        return float(email.utils.mktime_tz(parsed))
    except (ValueError, OverflowError):
        return None


@functools.lru_cache(maxsize=4096)
def listed_time(text: Optional[str]) -> Optional[float]:
    """A time in the SDK's listing of parts or uploads, in seconds since the epoch.

    The SDK has turned UTC into a local time, which is wrong by an hour during daylight saving. So this looks for the
    instant from which the SDK makes the same text.
    """
    if not text:
        return None
    instant = utc_time(text)  # the SDK leaves a time that it cannot read
    if instant is not None:
        return instant
    try:
        guess = time.mktime(time.strptime(text, "%Y/%m/%d %H:%M:%S"))
    except (ValueError, OverflowError):
        return None
    from obs import DateTime
    for instant in (guess, guess + time.timezone - time.altzone):
        if DateTime.UTCToLocal(time.strftime("%Y-%m-%dT%H:%M:%S.0Z", time.gmtime(instant))) == text:
            return instant
    return guess


def retry_after(header: Optional[Iterable[Tuple[str, str]]]) -> Optional[float]:
    """Seconds that a reply asks us to wait, from its headers: a number, or a date by the server's clock."""
    headers = {name.lower(): value for name, value in header or ()}
    text = headers.get("retry-after", "").strip()
    seconds = whole_number(text)
    if seconds is not None:
        return float(seconds)
    until = header_time(text)
    if until is None:
        return None
    return max(0.0, until - (header_time(headers.get("date")) or time.time()))


def date_of(result: Any) -> Optional[float]:
    """The server's time by the Date of its reply, in seconds since the epoch."""
    headers = {name.lower(): value for name, value in result.header or ()}
    return header_time(headers.get("date"))
