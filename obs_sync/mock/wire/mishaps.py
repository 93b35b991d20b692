"""What happens to a reply on its way out: pauses, flipped bits, and connections that end before it does."""
from __future__ import annotations

import socket
import struct
from typing import Any, Callable, NamedTuple, Optional

BEFORE_HEAD = -1  # as `Mishap.at`: before the status line is sent

CLOSE = "close"   # the connection is closed in good order (FIN)
RESET = "reset"   # the connection is reset (RST)


class Mishap(NamedTuple):
    """One thing that happens once `at` bytes of the body were sent: first the pause, then the flip, then the end."""

    at: int
    seconds: float = 0.0           # of silence
    flips: bool = False            # whether the next byte goes out with its lowest bit flipped
    ending: Optional[str] = None   # CLOSE or RESET


class HungUp(Exception):
    """The connection ends here, on purpose."""


def reset_on_close(connection: socket.socket) -> None:
    """Makes close() send RST instead of FIN, and drop what was not sent yet."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def send_with_mishaps(connection: Any, socket_below: socket.socket, head: bytes, response: Any,
                      pause: Callable[[float], None], head_only: bool) -> None:
    """Writes a reply whose `mishaps` are not empty.

    Args:
        connection: the socket, or the slow link over it.
        socket_below: the socket itself.
        response: the `messages.Response`.
        pause: sleeps for some seconds, or until the server stops.
        head_only: the reply to a HEAD request.

    Raises:
        HungUp: the connection is to be closed now.
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
    """Sends what is missing of the first `at` bytes of the body, and the head before them; returns what was sent."""
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
