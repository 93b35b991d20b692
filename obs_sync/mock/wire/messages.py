"""A request and a reply, as the operations see them."""
from __future__ import annotations

import time
from typing import Any, Callable, Dict, Optional, Sequence, Tuple
from urllib.parse import unquote, unquote_plus

from obs_sync.mock.wire.dialect import OBS, Dialect, dialect_of
from obs_sync.mock.wire.fields import check_key, decode
from obs_sync.mock.wire.incoming import IncomingBody
from obs_sync.mock.wire.mishaps import BEFORE_HEAD, Mishap


class Request:
    """One request.

    Attributes:
        method: HTTP verb.
        path, raw_query: percent-encoded, as they were sent and signed.
        query: decoded parameters; the value of a parameter without "=" is "". Bytes that are not UTF-8 are replaced by
            U+FFFD here, in `bucket` and in `key`; `check_names` then refuses the request.
        headers: names in lower case.
        bucket, key: "" if the request names none.
        virtual_host: whether the bucket is in the host name rather than in the path.
        dialect: names of headers, namespace of XML.
        body: the bytes after the headers.
        operation: name of the call, e.g. "PutObject"; "Unknown" until it is known.
        id: value of the reply's request-id header; "" until it is known.
        pause: sleeps for a number of seconds, or until the server stops.

    Faults set these; other requests keep the values of the class:
        faults: kinds of the faults injected so far.
        effects: the effects chosen for this request (`faults.Faults`).
        clock_offset: seconds by which the server's clock is ahead of the true time.
        listing_lag: (seconds, changes) by which a listing is behind, one of them None; or None.
        deletions_kept: (function from the number of keys to how many of them a batch deletion keeps, error code); or
            None.
    """

    faults: Tuple[str, ...] = ()
    effects: Sequence[Any] = ()
    clock_offset = 0.0
    listing_lag: Optional[Tuple[Optional[float], Optional[int]]] = None
    deletions_kept: Optional[Tuple[Callable[[int], int], str]] = None

    __slots__ = ("method", "path", "raw_query", "query", "headers", "bucket", "key", "virtual_host", "dialect", "body",
                 "operation", "id", "pause", "__dict__")

    def __init__(self, method: str, target: str, headers: Dict[str, str], body: IncomingBody, host_name: str):
        self.method = method
        self.headers = headers
        self.body = body
        self.operation = "Unknown"
        self.id = ""
        self.pause: Callable[[float], Any] = time.sleep
        self.path, _, self.raw_query = target.partition("?")
        self.query = _parse_query(self.raw_query) if self.raw_query else {}
        self.dialect: Dialect = dialect_of(headers) if headers else OBS
        self.virtual_host = False
        self.bucket, self.key = self._address(host_name)

    def _address(self, host_name: str) -> Tuple[str, str]:
        path = self.path[1:]
        host = self.headers.get("host", "").partition(":")[0].lower()
        if host.endswith("." + host_name):
            self.virtual_host = True
            bucket = host[:-len(host_name) - 1]
        else:
            bucket, _, path = path.partition("/")
        return unquote(bucket), unquote(path)

    def check_names(self) -> None:
        """Raises ObsError if the URL is malformed, or if an object cannot have this key."""
        if "%" in self.path:
            decode(self.path, "the path of the URL")
        if "%" in self.raw_query:
            decode(self.raw_query, "the query of the URL")
        check_key(self.key)

    def special(self, name: str, default: Optional[str] = None) -> Optional[str]:
        """The value of the header `x-obs-<name>` or `x-amz-<name>`, in the dialect of the request."""
        return self.headers.get(self.dialect.prefix + name, default)

    def note_fault(self, kind: str) -> None:
        """Adds a kind of fault to what the journal records of this request."""
        self.faults += (kind,)

    @property
    def resource(self) -> str:
        """The bucket and key, as error documents name them."""
        return "/" + "/".join(part for part in (self.bucket, self.key) if part)


class Response:
    """One reply.

    Attributes:
        status: HTTP status.
        headers: name to value; the server adds Content-Length and the common headers.
        body: the bytes to send, unless `content` is given.
        content: an open `bodies.Slice` of an object; the server closes it.
        code: error code, or None.
        mishaps: faults of its transport (`mishaps.Mishap`).
    """

    __slots__ = ("status", "headers", "body", "content", "code", "__dict__")

    mishaps: Tuple[Mishap, ...] = ()

    def __init__(self, status: int = 200, headers: Optional[Dict[str, str]] = None, body: bytes = b"",
                 content: Any = None, code: Optional[str] = None):
        self.status = status
        self.headers = headers if headers is not None else {}
        self.body = body
        self.content = content
        self.code = code

    @property
    def length(self) -> int:
        return self.content.length if self.content is not None else len(self.body)

    def part(self, start: int, length: int) -> bytes:
        """`length` bytes of the body from offset `start`."""
        if self.content is not None:
            return self.content.part(start, length).read()
        return self.body[start:start + length]

    def hang_up(self, at: int, ending: str) -> "Response":
        """Ends the connection after `at` bytes of the body; returns this reply."""
        self.mishaps += (Mishap(at, ending=ending),)
        return self

    @property
    def is_never_sent(self) -> bool:
        """Whether the connection ends before the status line is sent."""
        return any(mishap.at == BEFORE_HEAD and mishap.ending is not None for mishap in self.mishaps)


def _parse_query(text: str) -> Dict[str, str]:
    query = {}
    for item in text.split("&"):
        if item:
            name, _, value = item.partition("=")
            query[unquote_plus(name)] = unquote_plus(value)
    return query
