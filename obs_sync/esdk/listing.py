"""Parses the pages of a bucket's listing."""
from __future__ import annotations

import calendar
import re
from typing import Dict, List, NamedTuple, Optional
from urllib.parse import unquote_plus
from xml.etree import ElementTree

from obs_sync.errors import StoreError, StoreUnavailable
from obs_sync.http.head import whole_number

_UTC = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d+)?Z\Z")


class Listed(NamedTuple):
    key: str
    size: int  # bytes
    etag: Optional[str]  # as the document has it, in quotes
    modified: Optional[float]  # seconds since the epoch


class Page(NamedTuple):
    objects: List[Listed]
    is_truncated: bool  # whether more objects follow
    next_marker: Optional[str]


def parse_page(document: bytes, where: str) -> Page:
    """Raises StoreUnavailable if the document is no listing, StoreError if an object in it has no key or no size.

    A listing says whether it is cut short. A document that does not might be taken for an empty folder.
    """
    root = _root(document, where)
    told = _texts(root)
    truncated = {"true": True, "false": False}.get(told.get("IsTruncated", "").lower())
    if truncated is None or ("Name" not in told and "MaxKeys" not in told):  # such as an error under a status of 200
        raise StoreUnavailable("the server's reply is not what was asked for", where,
                               "Check that OBS_SERVER is an OBS, and try again later")
    # Keys may hold characters that XML cannot, hence the encoding. Some servers ignore it.
    decoded = unquote_plus if told.get("EncodingType") == "url" else str
    objects = []
    for element in root:
        if _name(element) != "Contents":
            continue
        entry = _texts(element)
        key, size = decoded(entry.get("Key", "")), whole_number(entry.get("Size", ""))
        if not key or size is None:
            raise StoreError(f"the listing holds {key!r} with a size of {entry.get('Size', '')[:40]!r}", where)
        objects.append(Listed(key, size, entry.get("ETag"), utc_time(entry.get("LastModified", ""))))
    return Page(objects, truncated, decoded(told.get("NextMarker", "")) or None)


def utc_time(text: str) -> Optional[float]:
    """Seconds since the epoch of a time such as 2026-01-02T03:04:05.678Z, cut to whole seconds; None if it is none."""
    found = _UTC.match(text)
    if found is None:
        return None
    try:
        return float(calendar.timegm(tuple(int(part) for part in found.groups()) + (0, 0, 0)))
    except ValueError:
        return None


def _root(document: bytes, where: str) -> ElementTree.Element:
    try:
        if b"<!DOCTYPE" in document:  # its entities could fill the memory
            raise ElementTree.ParseError("a document type")
        return ElementTree.fromstring(document)
    except (ElementTree.ParseError, LookupError, ValueError) as error:  # LookupError: unknown encoding
        raise StoreUnavailable("the server's reply cannot be read", where, "Try again later") from error


def _texts(element: ElementTree.Element) -> Dict[str, str]:
    return {_name(child): child.text or "" for child in element}


def _name(element: ElementTree.Element) -> str:
    """Without the namespace, which differs between servers."""
    return element.tag.rpartition("}")[2]
