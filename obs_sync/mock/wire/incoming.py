"""The body of a request, read from the connection in pieces."""
from __future__ import annotations

import re
from typing import BinaryIO, Callable, Iterator, Optional

from obs_sync.mock.errors import ObsError

_CHUNK = 256 * 1024         # bytes read at once
_MAX_XML = 2 * 1024 * 1024  # bytes of an XML document; 1,000 keys of 1,024 bytes fit
_MAX_LINE = 4096            # bytes of a line of a chunked body's framing
_MAX_TRAILERS = 100
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")  # hexadecimal; extensions are ignored
_LINE_END = (b"\r\n", b"\n")


class IncomingBody:
    """The body of a request. It is read from the connection when it is asked for.

    Args:
        stream: buffered reader of the connection.
        length: Content-Length; None for a chunked body.
        invite: called before the first byte is read, to send "100 Continue" if the client waits for it.
    """

    def __init__(self, stream: BinaryIO, length: Optional[int], invite: Optional[Callable[[], None]] = None):
        self._stream = stream
        self._invite = invite
        self._ended = length == 0
        self._pieces = self._chunked() if length is None else self._counted(length)
        self.received = 0    # bytes, without the framing of a chunked body
        self.broken = False  # whether the body ended early or is malformed, so that no request can follow it

    @property
    def awaited(self) -> bool:
        """Whether the client has not sent the body yet because it waits for "100 Continue"."""
        return self._invite is not None and not self._ended

    def chunks(self) -> Iterator[bytes]:
        """The rest of the body. Raises ObsError (IncompleteBody) if it ends early or is malformed."""
        if self._ended:
            return
        try:
            if self._invite is not None:
                self._invite()
                self._invite = None
            for piece in self._pieces:
                self.received += len(piece)
                yield piece
        except ObsError:
            self.broken = True
            raise
        except OSError:
            self.broken = True
            raise ObsError("IncompleteBody", "The connection broke before the body ended.") from None
        self._ended = True

    def flip_bit(self, at: int) -> None:
        """Flips the lowest bit of the byte at offset `at`, once it is read."""
        self._pieces = _flipped(self._pieces, at)

    def read(self, limit: int = _MAX_XML) -> bytes:
        """The whole body. Raises ObsError (InvalidRequest) if it has more than `limit` bytes."""
        pieces, size = [], 0
        for piece in self.chunks():
            size += len(piece)
            if size > limit:
                raise ObsError("InvalidRequest", f"The body is longer than {limit} bytes.")
            pieces.append(piece)
        return b"".join(pieces)

    def drain(self) -> None:
        """Reads and drops the rest, so that the connection can carry the next request."""
        for _ in self.chunks():
            pass

    def _counted(self, left: int) -> Iterator[bytes]:
        while left:
            piece = self._stream.read(min(left, _CHUNK))
            if not piece:
                raise ObsError("IncompleteBody")
            left -= len(piece)
            yield piece

    def _chunked(self) -> Iterator[bytes]:
        while True:
            size_line = _CHUNK_SIZE.fullmatch(self._stream.readline(_MAX_LINE))
            if size_line is None:
                raise ObsError("IncompleteBody", "The chunked body ends early, or a chunk has no size.")
            size = int(size_line.group(1), 16)
            if size == 0:
                self._skip_trailers()
                return
            yield from self._counted(size)
            if self._stream.readline(2) not in _LINE_END:
                raise ObsError("IncompleteBody", "A chunk of the body does not end where its size says.")

    def _skip_trailers(self) -> None:
        for _ in range(_MAX_TRAILERS):
            line = self._stream.readline(_MAX_LINE)
            if line in _LINE_END:
                return
            if not line.endswith(b"\n"):
                break
        raise ObsError("IncompleteBody", "The trailers of the chunked body are too long or do not end.")


def _flipped(pieces: Iterator[bytes], at: int) -> Iterator[bytes]:
    for piece in pieces:
        if 0 <= at < len(piece):
            piece = piece[:at] + bytes([piece[at] ^ 1]) + piece[at + 1:]
        at -= len(piece)
        yield piece
