"""Effects on bytes, connections and time. `plan.py` says how to use them."""
from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Callable, Optional

from obs_sync.mock.clock import http_date
from obs_sync.mock.faults.effect import Amount, Effect, FaultError, check_amount, check_seconds, share_of
from obs_sync.mock.wire.messages import Request, Response
from obs_sync.mock.wire.mishaps import BEFORE_HEAD, CLOSE, RESET, Mishap


@dataclass(frozen=True)
class Cut(Effect):
    """The reply announces its whole body, but the connection ends after the first bytes of it."""

    after: Amount = 0.5
    ending: str = CLOSE   # how the connection ends: "close" or "reset"

    kind = "cut"

    def __post_init__(self) -> None:
        check_amount(self.kind, self.after)
        if self.ending not in (CLOSE, RESET):
            raise FaultError(f"ending={self.ending}: expected {CLOSE} or {RESET}")

    def before_reply(self, request: Request, response: Response) -> Response:
        if response.length == 0:
            return response
        request.note_fault(self.kind)
        return response.hang_up(min(share_of(self.after, response.length), response.length - 1), self.ending)


@dataclass(frozen=True)
class Reset(Effect):
    """The connection is reset (RST) without a reply: "before" the request is handled, so that its body is not read and
    nothing changes, or "after", so that the request is carried out and only the reply is lost."""

    when: str = "before"

    def __post_init__(self) -> None:
        if self.when not in ("before", "after"):
            raise FaultError(f"reset={self.when}: expected before or after")

    @property
    def kind(self) -> str:
        return f"reset={self.when}"

    def before_handling(self, request: Request) -> Optional[Response]:
        if self.when != "before":
            return None
        request.note_fault(self.kind)
        return Response(0).hang_up(BEFORE_HEAD, RESET)

    def before_reply(self, request: Request, response: Response) -> Response:
        if self.when != "after":
            return response
        request.note_fault(self.kind)
        return response.hang_up(BEFORE_HEAD, RESET)


@dataclass(frozen=True)
class Stall(Effect):
    """The request is handled, and then nothing is sent for a while: before the reply, or in the middle of its body.
    (`Latency` waits before the request is handled.)"""

    seconds: float
    at: Optional[Amount] = None   # of the body; None: before the reply

    kind = "stall"

    def __post_init__(self) -> None:
        check_seconds(self.kind, self.seconds)
        if self.at is not None:
            check_amount("at", self.at)

    def before_reply(self, request: Request, response: Response) -> Response:
        if self.at is not None and response.length == 0:
            return response
        request.note_fault(self.kind)
        at = BEFORE_HEAD if self.at is None else share_of(self.at, response.length)
        response.mishaps += (Mishap(at, seconds=self.seconds),)
        return response


@dataclass(frozen=True)
class Flip(Effect):
    """The lowest bit of one byte is flipped: of the reply's body ("reply"), or of the request's body ("upload"), before
    the mock computes any digest, as if the network had damaged it."""

    at: Amount = 0.5
    of: str = "reply"

    def __post_init__(self) -> None:
        check_amount("flip", self.at)
        if self.of not in ("reply", "upload"):
            raise FaultError(f"of={self.of}: expected reply or upload")

    @property
    def kind(self) -> str:
        return f"flip={self.of}"

    def before_handling(self, request: Request) -> Optional[Response]:
        if self.of == "upload":
            length = request.headers.get("content-length", "0")
            chunked = "transfer-encoding" in request.headers  # the length is unknown, so a share means the first byte
            size = 1 if chunked else int(length)
            if size > 0:
                request.note_fault(self.kind)
                at = self.at if chunked and isinstance(self.at, int) else min(share_of(self.at, size), size - 1)
                request.body.flip_bit(at)
        return None

    def before_reply(self, request: Request, response: Response) -> Response:
        if self.of != "reply" or response.length == 0:
            return response
        request.note_fault(self.kind)
        response.mishaps += (Mishap(min(share_of(self.at, response.length), response.length - 1), flips=True),)
        return response


@dataclass(frozen=True)
class Latency(Effect):
    """The request waits before it is handled."""

    seconds: float

    kind = "latency"

    def __post_init__(self) -> None:
        check_seconds(self.kind, self.seconds)

    def before_handling(self, request: Request) -> Optional[Response]:
        request.note_fault(self.kind)
        request.pause(self.seconds)
        return None


@dataclass(frozen=True)
class Skew(Effect):
    """The server's clock is ahead by a number of seconds, or behind if it is negative: when it verifies signatures, and
    in the Date header of the reply. The times of objects stay true."""

    seconds: float

    kind = "skew"

    def before_handling(self, request: Request) -> Optional[Response]:
        request.note_fault(self.kind)
        request.clock_offset = self.seconds
        return None

    def before_reply(self, request: Request, response: Response) -> Response:
        response.headers["Date"] = http_date(time.time() + self.seconds)
        return response


@dataclass(frozen=True)
class Call(Effect):
    """Calls function(request) in the thread that serves the request: "before" it is handled, or "after" it is carried
    out and before its reply is sent. An exception of the function ends the connection and is logged."""

    function: Callable[[Request], object]
    when: str = "before"

    kind = "call"

    def __post_init__(self) -> None:
        if self.when not in ("before", "after"):
            raise FaultError(f"when={self.when!r}: expected before or after")

    def before_handling(self, request: Request) -> Optional[Response]:
        if self.when == "before":
            self._call(request)
        return None

    def before_reply(self, request: Request, response: Response) -> Response:
        if self.when == "after":
            self._call(request)
        return response

    def _call(self, request: Request) -> None:
        request.note_fault(self.kind)
        self.function(request)
