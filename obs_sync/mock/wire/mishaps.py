"""Faults of a reply's transport: pauses, flipped bits, and connections that end early."""
from __future__ import annotations

import socket
import struct
from typing import Any, Callable, NamedTuple, Optional

BEFORE_HEAD = -1  # as `Mishap.at`: before the status line is sent

CLOSE = "close"   # the connection is closed (FIN)
RESET = "reset"   # the connection is reset (RST)


class Mishap(NamedTuple):
    """A fault after `at` bytes of the body: first the pause, then the flipped bit, then the end of the connection."""

    at: int
    seconds: float = 0.0           # of silence
    flips: bool = False            # whether the lowest bit of the next byte is flipped
    ending: Optional[str] = None   # CLOSE or RESET


class HungUp(Exception):
    """A mishap ends the connection."""


def reset_on_close(connection: socket.socket) -> None:
    """Makes close() send RST instead of FIN, and drop unsent bytes."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def send_with_mishaps(connection: Any, socket_below: socket.socket, head: bytes, response: Any,
                      pause: Callable[[float], None], head_only: bool) -> None:
    """Sends a reply that has mishaps.

    Args:
        connection: the socket, or the `LinkedConnection` around it.
        socket_below: the socket itself.
        response: the `messages.Response`.
        pause: sleeps for a number of seconds, or until the server stops.
        head_only: whether this is the reply to a HEAD request.

    Raises:
        HungUp: the caller must close the connection now.
    """
    length = 0 if head_only else response.length
    sent = BEFORE_HEAD
    for mishap in sorted(response.mishaps, key=lambda item: (item.at, item.ending is not None)):
        at = min(mishap.at, length)
        sent = _send_up_to(connection, head, response, sent, at)
        if mishap.seconds:
            pause(mishap.seconds)
        if mishap.flips and 0 <= at < length:
            byte = response.part(at, 1)
            connection.sendall(bytes([byte[0] ^ 1]))
            sent = at + 1
        if mishap.ending == RESET:
            reset_on_close(socket_below)
        if mishap.ending is not None:
            raise HungUp
    _send_up_to(connection, head, response, sent, length)


def _send_up_to(connection: Any, head: bytes, response: Any, sent: int, at: int) -> int:
    """Sends the head and the body up to `at`, from where `sent` says; returns how far it is sent now."""
    if at <= sent:
        return sent
    if sent == BEFORE_HEAD:
        connection.sendall(head)
        sent = 0
    if at > sent:
        if response.content is None:
            connection.sendall(response.body[sent:at])
        else:
            response.content.part(sent, at - sent).send(connection)
    return max(sent, at)
