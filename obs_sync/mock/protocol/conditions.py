"""Range and If-* headers: whether an object is sent, and which bytes of it (RFC 7232, RFC 7233)."""
from __future__ import annotations

import re
from typing import Mapping, Optional, Tuple

from obs_sync.mock.clock import parse_http_date
from obs_sync.mock.errors import ObsError
from obs_sync.mock.wire.fields import whole_number

_RANGE = re.compile(r"bytes=([0-9]*)-([0-9]*)")
_MOST = 10 ** 18  # bytes, more than any object has; larger numbers in a range are taken for this one


def check(headers: Mapping[str, str], etag: str, modified: float, prefix: str = "") -> None:
    """Checks the conditions of a request against an object.

    Args:
        headers: of the request, names in lower case.
        etag: of the object, without quotes.
        modified: of the object, seconds since 1970; compared as whole seconds.
        prefix: put before the header names, e.g. "x-obs-copy-source-".

    Raises:
        ObsError: PreconditionFailed or NotModified. ETags are compared as they were sent, apart from
            surrounding quotes; a client that percent-encodes the quotes matches nothing, as on OBS.
    """
    match = headers.get(prefix + "if-match")
    none_match = headers.get(prefix + "if-none-match")
    changed_since = parse_http_date(headers.get(prefix + "if-modified-since"))
    unchanged_since = parse_http_date(headers.get(prefix + "if-unmodified-since"))
    unchanged = "PreconditionFailed" if prefix else "NotModified"

    if match is not None:
        if not _names(match, etag):
            raise ObsError("PreconditionFailed")
    elif unchanged_since is not None and int(modified) > unchanged_since:
        raise ObsError("PreconditionFailed")
    if none_match is not None:
        if _names(none_match, etag):
            raise ObsError(unchanged, headers={"ETag": f'"{etag}"'})
    elif changed_since is not None and int(modified) <= changed_since:
        raise ObsError(unchanged, headers={"ETag": f'"{etag}"'})


def _names(condition: str, etag: str) -> bool:
    return any(item.strip().strip('"') in ("*", etag) for item in condition.split(","))


def parse_range(text: Optional[str], size: int) -> Optional[Tuple[int, int]]:
    """The (offset, length) that a Range header asks for; None for the whole object.

    A header that is not one plain range of bytes is ignored, as RFC 7233 wants it.

    Raises:
        ObsError: InvalidRange when the range begins behind the end of the object.
    """
    match = _RANGE.fullmatch(text.strip()) if text else None
    if match is None:
        return None
    first, last = (_position(digits) for digits in match.groups())
    if first is None and last is None:
        return None
    if first is None:
        length = min(last, size)
        offset = size - length
    else:
        offset = first
        length = size - offset if last is None else min(last, size - 1) - offset + 1
        if last is not None and last < offset:
            return None
    if offset >= size or length <= 0:
        raise ObsError("InvalidRange", headers={"Content-Range": f"bytes */{size}"})
    return offset, length


def _position(digits: str) -> Optional[int]:
    if not digits:
        return None
    number = whole_number(digits.lstrip("0") or "0")
    return _MOST if number is None else number
