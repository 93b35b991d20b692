"""How slow a server may be: one that sends a byte now and then runs into no time-out, and might hold a request.

Only the time that is spent waiting for it counts: whoever reads may be slow, or be slowed down.
"""
from __future__ import annotations

import http.client
import io
import socket
import time
from typing import Any

WINDOW = 60.0  # seconds of waiting
LEAST = 60000  # bytes that have to come in these


class Pace:
    """Of one reply."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self._waited, self._came = 0.0, 0

    def add(self, seconds: float, size: int) -> None:
        """`size` bytes came after `seconds` of waiting. Raises socket.timeout if that is too little for too long."""
        self._waited += seconds
        self._came += size
        if self._waited >= WINDOW:
            if self._came < LEAST:
                raise socket.timeout(f"the server sent no more than {self._came} bytes in {self._waited:.0f} s")
            self.begin()


class PacedResponse(http.client.HTTPResponse):
    """A reply that has to come at a pace, for connections of `http.client` (their `response_class`)."""

    def __init__(self, sock: Any, *arguments: Any, **options: Any):
        super().__init__(sock, *arguments, **options)
        self.fp = io.BufferedReader(_Paced(self.fp.detach()))


class _Paced(io.RawIOBase):
    def __init__(self, raw: Any):
        self._raw = raw
        self._pace = Pace()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> Any:
        began = time.monotonic()
        size = self._raw.readinto(buffer)
        self._pace.add(time.monotonic() - began, size or 0)
        return size

    def fileno(self) -> int:
        return self._raw.fileno()

    def close(self) -> None:
        self._raw.close()
        super().close()
