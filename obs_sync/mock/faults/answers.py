"""Effects that change replies. `plan.py` says how to use them."""
from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Dict, Optional

from obs_sync.mock.errors import ObsError
from obs_sync.mock.faults.effect import (
    FAULT_MESSAGE, Amount, Effect, FaultError, Refusal, check_amount, check_seconds, share_of,
)
from obs_sync.mock.protocol.operations import error_response
from obs_sync.mock.wire.messages import Request, Response

_CODES = {403: "AccessDenied", 404: "NoSuchKey", 429: "TooManyRequests", 500: "InternalError", 502: "BadGateway",
          503: "SlowDown", 504: "GatewayTimeout"}
_HEX = re.compile(r"[0-9a-f]{32}")
_ETAG_ELEMENT = re.compile(rb"<ETag>([^<]*)</ETag>")


@dataclass(frozen=True)
class Status(Refusal):
    """The reply is an error, and the request is not handled. `code` is that of the XML document."""

    lowest = 300

    status: int = 503

    def reply(self, request: Request, headers: Dict[str, str]) -> Response:
        code = self.code or _CODES.get(self.status, "FaultOnPurpose")
        return error_response(request, ObsError(code, FAULT_MESSAGE, headers, status=self.status))


@dataclass(frozen=True)
class ErrorBody(Effect):
    """A reply with status 200 and an <Error> document, as OBS sends it if a completion fails after its headers were
    sent."""

    code: str = "InternalError"
    applied: bool = False   # whether the request is carried out nevertheless

    kind = "error-body"

    def before_handling(self, request: Request) -> Optional[Response]:
        return None if self.applied or request.method == "HEAD" else self._reply(request)

    def before_reply(self, request: Request, response: Response) -> Response:
        if not self.applied or request.method == "HEAD" or response.status >= 300:
            return response
        if response.content is not None:
            response.content.close()
        return self._reply(request)

    def _reply(self, request: Request) -> Response:
        request.note_fault(self.kind)
        return error_response(request, ObsError(self.code, FAULT_MESSAGE, status=200))


@dataclass
class ExpiredToken(Effect):
    """The security token of the first request that the rule picks has expired. From then on picked requests with this
    token get 403 ExpiredToken; those with another token do not. An instance belongs to one plan."""

    _expired: Dict[str, str] = field(default_factory=dict, init=False, repr=False)

    kind = "expired-token"

    def before_handling(self, request: Request) -> Optional[Response]:
        token = request.special("security-token")
        if token is None or self._expired.setdefault("token", token) != token:
            return None
        request.note_fault(self.kind)
        return error_response(request, ObsError("ExpiredToken"))


@dataclass(frozen=True)
class PartialDelete(Effect):
    """A batch deletion keeps the last keys that it names, at least one, and reports an error for each of them."""

    kept: Amount = 0.5
    code: str = "InternalError"

    kind = "partial-delete"

    def __post_init__(self) -> None:
        check_amount(self.kind, self.kept)

    def before_handling(self, request: Request) -> Optional[Response]:
        if request.operation == "DeleteObjects":
            request.note_fault(self.kind)
            request.deletions_kept = (lambda count: max(1, min(count, share_of(self.kept, count))), self.code)
        return None


@dataclass(frozen=True)
class StaleListing(Effect):
    """A listing shows the bucket as it was `seconds` ago, or before its last `changes` (at most 10,000). Objects that
    were written since are missing, deleted ones are listed, overwritten ones have their old version. Give one of the
    two. Other requests see the bucket as it is."""

    seconds: Optional[float] = None
    changes: Optional[int] = None

    kind = "stale"

    def __post_init__(self) -> None:
        if (self.seconds is None) == (self.changes is None):
            raise FaultError("a stale listing has an age: expected either stale (seconds) or stale-changes")
        check_seconds(self.kind, self.seconds or 0)
        if self.changes is not None and self.changes < 1:
            raise FaultError(f"stale-changes={self.changes}: expected 1 or more")

    def before_handling(self, request: Request) -> Optional[Response]:
        if request.operation == "ListObjects":
            request.note_fault(self.kind)
            request.listing_lag = (self.seconds, self.changes)
        return None


@dataclass(frozen=True)
class ETag(Effect):
    """The reply's ETag, in the header and in the document, is "wrong" (another one of the same form) or "missing"."""

    how: str = "wrong"

    def __post_init__(self) -> None:
        if self.how not in ("wrong", "missing"):
            raise FaultError(f"etag={self.how}: expected wrong or missing")

    @property
    def kind(self) -> str:
        return f"etag={self.how}"

    def before_reply(self, request: Request, response: Response) -> Response:
        etag = response.headers.get("ETag")
        if etag is None and not _ETAG_ELEMENT.search(response.body):
            return response
        request.note_fault(self.kind)
        if self.how == "missing":
            response.headers.pop("ETag", None)
            response.body = _ETAG_ELEMENT.sub(b"", response.body)
        else:
            if etag is not None:
                response.headers["ETag"] = _another(etag)
            response.body = _ETAG_ELEMENT.sub(
                lambda found: b"<ETag>" + _another(found.group(1).decode("ascii")).encode("ascii") + b"</ETag>",
                response.body)
        return response


@dataclass(frozen=True)
class IgnoredRange(Effect):
    """The reply to a request for a range has status 200 and the whole object."""

    kind = "ignored-range"

    def before_reply(self, request: Request, response: Response) -> Response:
        if response.status == 206:
            request.note_fault(self.kind)
            size = int(response.headers.pop("Content-Range").rpartition("/")[2])
            response.status, response.content = 200, response.content.narrowed(0, size)
        return response


def _another(etag: str) -> str:
    """An ETag of the same form, as other content has it."""
    return _HEX.sub(lambda found: hashlib.md5(found.group().encode("ascii")).hexdigest(), etag)
