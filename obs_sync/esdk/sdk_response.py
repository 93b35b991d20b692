"""The replies that the SDK reads through `http.client`, held to the bounds of our own reader (`http/`).

The SDK expects UTF-8 in the body of an error and raises UnicodeDecodeError for a proxy's page in another encoding. Here
the status counts, whatever the body is.
"""
from __future__ import annotations

import http.client
import io
import time
from typing import Any, Optional

from obs_sync.http.head import BadReply, whole_number
from obs_sync.http.pace import Pace

_MOST_BYTES = 1 << 26   # of a reply; the SDK only reads documents, of a thousand entries each
_MOST_ERROR = 1 << 16   # bytes of an error's document
_LONGEST = 300.0        # seconds of waiting for a reply


class SdkResponse(http.client.HTTPResponse):
    """For connections of `http.client` (their `response_class`)."""

    def __init__(self, sock: Any, *arguments: Any, **options: Any):
        super().__init__(sock, *arguments, **options)
        self.fp = io.BufferedReader(_Bounded(self.fp.detach()))
        self._error: Optional[bytes] = None  # the rest of an error's document, once it has been read
        self._given_up = False  # its end was not read: the connection cannot be used again

    def begin(self) -> None:
        """Raises BadReply if the length of the body is ambiguous; `http.client` would take the first or none."""
        super().begin()
        lengths = self.headers.get_all("Content-Length", []) + [
            self.headers[name] for name in ("x-obs-content-length", "x-amz-content-length") if name in self.headers]
        if len(set(lengths)) > 1 or lengths and whole_number(lengths[0]) is None:
            raise BadReply(f"Content-Length is {', '.join(lengths)[:80]}")
        encodings = self.headers.get_all("Transfer-Encoding", [])
        if encodings and ([encoding.lower() for encoding in encodings] != ["chunked"] or lengths):
            raise BadReply(f"Transfer-Encoding is {', '.join(encodings)[:80]}, with {len(lengths)} Content-Length")

    def read(self, amt: Optional[int] = None) -> bytes:
        """Of an error at most 64 KiB, and in UTF-8: a damaged or endless page must not hide the status."""
        if self.status < 300:
            return super().read(amt)
        if self._error is None:
            self._error = self._document().decode("utf-8", "replace").encode("utf-8")
        size = len(self._error) if amt is None else amt
        piece, self._error = self._error[:size], self._error[size:]
        return piece

    def _document(self) -> bytes:
        document = b""
        try:
            while len(document) <= _MOST_ERROR:
                piece = super().read(_MOST_ERROR + 1 - len(document))
                if not piece:
                    return document
                document += piece
        except (OSError, http.client.HTTPException):
            pass
        self._given_up = True
        return document[:_MOST_ERROR]

    def getheader(self, name: str, default: Any = None) -> Any:
        """The SDK closes a connection after `Connection: close`."""
        if self._given_up and name.lower() == "connection":
            return "close"
        return super().getheader(name, default)


class _Bounded(io.RawIOBase):
    """What comes from the socket, at a pace (`http/pace`), and not without end."""

    def __init__(self, raw: Any):
        self._raw = raw
        self._pace = Pace()
        self._left, self._waited = _MOST_BYTES, 0.0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> Any:
        began = time.monotonic()
        size = self._raw.readinto(buffer) or 0
        seconds = time.monotonic() - began
        self._pace.add(seconds, size)
        self._left -= size
        self._waited += seconds
        if self._left < 0 or self._waited > _LONGEST:
            raise BadReply(f"the reply did not end within {_MOST_BYTES >> 20} MiB and {_LONGEST:.0f} s")
        return size

    def fileno(self) -> int:
        return self._raw.fileno()

    def close(self) -> None:
        self._raw.close()
        super().close()
