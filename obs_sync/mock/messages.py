"""What travels between the socket and the operations: a request, a reply, and names for both."""
from __future__ import annotations

from typing import Any, Dict, Optional
from urllib.parse import unquote, unquote_plus

from obs_sync.mock.dialect import OBS, Dialect, dialect_of
from obs_sync.mock.errors import ObsError
from obs_sync.mock.incoming import IncomingBody

MAX_KEY_BYTES = 1024


class Request:
    """One request as the operations see it.

    Attributes:
        method: HTTP verb.
        path, raw_query: as they came, percent-encoded; what signatures cover.
        query: decoded parameters; the value of a parameter without "=" is "".
        headers: names in lower case.
        bucket, key: "" where the request names none.
        virtual_host: whether the bucket was in the host name rather than in the path.
        dialect: spelling of headers and XML.
        body: what follows the headers.
        operation: name of the call, e.g. "PutObject"; "Unknown" until it is known.
    """

    __slots__ = ("method", "path", "raw_query", "query", "headers", "bucket", "key", "virtual_host", "dialect", "body",
                 "operation")

    def __init__(self, method: str, target: str, headers: Dict[str, str], body: IncomingBody, host_name: str):
        self.method = method
        self.headers = headers
        self.body = body
        self.operation = "Unknown"
        self.path, _, self.raw_query = target.partition("?")
        self.query = _parse_query(self.raw_query) if self.raw_query else {}
        self.dialect: Dialect = dialect_of(headers) if headers else OBS
        self.virtual_host = False
        self.bucket, self.key = self._address(host_name)

    def _address(self, host_name: str):
        path = self.path[1:]
        host = self.headers.get("host", "").partition(":")[0].lower()
        if host.endswith("." + host_name):
            self.virtual_host = True
            bucket = host[:-len(host_name) - 1]
        else:
            bucket, _, path = path.partition("/")
        return unquote(bucket), unquote(path)

    def check_key(self) -> None:
        """Raises ObsError when the key cannot be the name of an object."""
        if "\ufffd" in self.key:  # either the character itself or what unquote() puts in place of bad bytes
            try:
                unquote(self.path, errors="strict")
            except UnicodeDecodeError:
                raise ObsError("InvalidArgument", "The object key is not UTF-8.") from None
        if len(self.key.encode("utf-8")) > MAX_KEY_BYTES:
            raise ObsError("KeyTooLong")

    def special(self, name: str, default: Optional[str] = None) -> Optional[str]:
        """The header `x-obs-<name>` or `x-amz-<name>`, in the dialect of the request."""
        return self.headers.get(self.dialect.prefix + name, default)

    @property
    def resource(self) -> str:
        """What the request is about, as error documents name it."""
        return "/" + "/".join(part for part in (self.bucket, self.key) if part)


class Response:
    """One reply.

    Attributes:
        status: HTTP status.
        headers: name to value; Content-Length and the common headers are added when it is sent.
        body: the bytes to send, unless `content` is given.
        content: an open `bodies.Slice` of an object, closed after it was sent.
        code: error code, or None.
    """

    __slots__ = ("status", "headers", "body", "content", "code")

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


def _parse_query(text: str) -> Dict[str, str]:
    query = {}
    for item in text.split("&"):
        if item:
            name, _, value = item.partition("=")
            query[unquote_plus(name)] = unquote_plus(value)
    return query
