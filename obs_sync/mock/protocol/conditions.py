"""Range and If-* headers: what of an object is sent, if anything (RFC 7232, RFC 7233)."""
from __future__ import annotations

import re
from typing import Mapping, Optional, Tuple

from obs_sync.mock.clock import parse_http_date
from obs_sync.mock.errors import ObsError

_RANGE = re.compile(r"bytes=(\d*)-(\d*)$")


def check(headers: Mapping[str, str], etag: str, modified: float, prefix: str = "") -> None:
    """Holds the conditions of a request against an object.

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
    match = _RANGE.match(text.strip()) if text else None
    if match is None or match.group(1) == match.group(2) == "":
        return None
    first, last = match.groups()
    if not first:
        length = min(int(last), size)
        offset = size - length
    else:
        offset = int(first)
        length = min(int(last), size - 1) - offset + 1 if last else size - offset
        if last and int(last) < offset:
            return None
    if offset >= size or length <= 0:
        raise ObsError("InvalidRange", headers={"Content-Range": f"bytes */{size}"})
    return offset, length
