"""The head of a reply, judged strictly: what `http.client` or h11 refuses, or what the two read in different ways, is
refused here.
"""
from __future__ import annotations

import http.client
import re
from typing import Dict, NamedTuple, Optional

LONGEST = 1 << 14  # bytes of a reply's head, with the interim replies before it; of its trailers as well

_VALUE = rb"[\t\x20-\x7e\x80-\xff]*"
_FIELDS = rb"(?:\r\n[!#$%&'*+\-.^_`|~0-9A-Za-z]+:" + _VALUE + rb"){0,98}"
_HEAD = re.compile(rb"HTTP/1\.[01] [1-9][0-9]{2}(?: " + _VALUE + rb")?" + _FIELDS)
_TRAILERS = re.compile(_FIELDS)
_NO_TRAILER = re.compile(rb"\r\n(?:content-length|transfer-encoding):", re.IGNORECASE)
_TRANSFER_ENCODING = re.compile(rb"\r\ntransfer-encoding:[ \t]*([^\r]*)")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;" + _VALUE + rb")?[ \t]*")
_MOST_DIGITS = 20  # of a length, a time or a CRC-64
_VENDOR = ("x-obs-", "x-amz-")


class BadReply(http.client.HTTPException):
    """The server's reply is not HTTP/1.1, or is ambiguous."""


class Head(NamedTuple):
    """The status line and the headers of a reply."""

    status: int
    reason: str
    headers: Dict[str, str]  # names in lower case, without x-obs-, x-amz- and meta- prefixes, as the SDK has them
    length: Optional[int]    # bytes, by Content-Length
    chunked: bool
    keeps: bool              # whether the server keeps the connection open afterwards


def parse_head(head: bytes) -> Head:
    """The head of a reply, without the empty line at its end. Raises BadReply."""
    if not _HEAD.fullmatch(head):
        raise BadReply(f"no valid status line and headers: {_shown(head)}")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers: Dict[str, str] = {}
    vendor: Dict[str, str] = {}
    metadata: Dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip(" \t")
        if name[:6] not in _VENDOR:
            if headers.setdefault(name, value) != value:
                headers[name] += f", {value}"
        elif name.startswith("meta-", 6):
            metadata[name[11:]] = value
        else:
            vendor[name[6:]] = value
    status, length, chunked = int(first[9:12]), headers.get("content-length"), "transfer-encoding" in headers
    size = None if length is None else whole_number(length)
    if length is not None and size is None:
        raise BadReply(f"Content-Length is {length[:40]!r}")
    if vendor.get("content-length", length) != length:
        raise BadReply(f"Content-Length is {length}, and the vendor's {vendor['content-length'][:40]!r}")
    if chunked:
        _check_chunked(head, status, size)
    keeps = first.startswith("HTTP/1.1") and "close" not in headers.get("connection", "").lower()
    # The names of the vendor and of users must not hide those of the standard.
    return Head(status, first[13:], {**metadata, **vendor, **headers}, size, chunked, keeps)


def _check_chunked(head: bytes, status: int, length: Optional[int]) -> None:
    """Refuse what programs on the way may read in two ways."""
    if _TRANSFER_ENCODING.findall(head.lower()) != [b"chunked"] or not head.startswith(b"HTTP/1.1"):
        raise BadReply("Transfer-Encoding is not exactly one 'chunked' under HTTP/1.1")
    if length is not None or status in (204, 304):
        raise BadReply(f"Transfer-Encoding with Content-Length {length} under status {status}")


def chunk_size(line: bytes) -> int:
    """The bytes of a chunk, by the line before it without its end. Raises BadReply."""
    found = _CHUNK_SIZE.fullmatch(line)
    if found is None:
        raise BadReply(f"a chunk begins with {_shown(line)}")
    return int(found.group(1), 16)


def check_trailers(trailers: bytes) -> None:
    """`trailers`: each begins with a line end. Raises BadReply."""
    if not _TRAILERS.fullmatch(trailers) or _NO_TRAILER.search(trailers):
        raise BadReply(f"no valid trailers: {_shown(trailers)}")


def whole_number(text: str) -> Optional[int]:
    """A number from a header or a document: 1 to 20 decimal digits and nothing else, or None."""
    return int(text) if text.isdecimal() and text.isascii() and len(text) <= _MOST_DIGITS else None


def _shown(data: bytes) -> str:
    return repr(data[:80].decode("latin-1"))
