"""How slow a server may be: one that sends a byte now and then causes no time-out, and could hold a request for ever.

Only the time spent waiting for the server counts: the reader itself may be slow, or be slowed down by a limit.
"""
from __future__ import annotations

import socket

WINDOW = 60.0  # seconds of waiting
LEAST = 60000  # bytes that must arrive in each window


class Pace:
    """The pace of one reply."""

    def __init__(self) -> None:
        self._waited, self._came = 0.0, 0

    def add(self, seconds: float, size: int) -> None:
        """`size` bytes came after `seconds` of waiting. Raises socket.timeout after a window with too few bytes."""
        self._waited += seconds
        self._came += size
        if self._waited >= WINDOW:
            if self._came < LEAST:
                raise socket.timeout(f"the server sent no more than {self._came} bytes in {self._waited:.0f} s")
            self._waited, self._came = 0.0, 0
