"""Verifies the signature SDK-HMAC-SHA256 of a request.

    canonical = METHOD \\n path, ending in "/" \\n sorted query \\n "name:value\\n" of each signed header \\n
                names joined by ";" \\n hex SHA-256 of the body
    text      = "SDK-HMAC-SHA256" \\n X-Sdk-Date \\n hex SHA-256 of canonical
    signature = hex HMAC-SHA256(secret key, text)
    header    = Authorization: SDK-HMAC-SHA256 Access=<key>, SignedHeaders=<names>, Signature=<signature>
"""
from __future__ import annotations

import hashlib
import hmac
import re
from datetime import datetime, timezone
from typing import List, Tuple
from urllib.parse import quote, unquote

from job.modelarts.mocked.errors import NOT_AUTHENTICATED, ModelArtsError
from obs_sync.mock.protocol.signature import MAX_SKEW_S, Credentials
from obs_sync.mock.wire.messages import Request

ALGORITHM = "SDK-HMAC-SHA256"
_DATE_FORMAT = "%Y%m%dT%H%M%SZ"
_AUTHORIZATION = re.compile(ALGORITHM + r"\s+Access=([^,\s]+),\s*SignedHeaders=([^,\s]+),\s*Signature=([0-9a-f]{64})")
_MUST_BE_SIGNED = ("host", "x-sdk-date")
_UNSIGNED_BODY = "UNSIGNED-PAYLOAD"


class SignatureCheck:
    """Verifies requests against one identity.

    Attributes:
        credentials: may be replaced at any time; from then on only the new ones are accepted.
    """

    def __init__(self, credentials: Credentials):
        self.credentials = credentials

    def verify(self, request: Request, body: bytes, now: float) -> None:
        """Raises ModelArtsError (APIG.0301, 401) unless the accepted identity has signed the request just now.

        Args:
            body: of the request.
            now: the service's time, in seconds since 1970.
        """
        headers = request.headers
        if "authorization" not in headers:
            if "x-auth-token" in headers:
                raise _refusal("decrypt token fail: the mocked ModelArts has no tokens; sign with AK and SK")
            raise _refusal("x-auth-token not found")
        claim = _AUTHORIZATION.fullmatch(headers["authorization"].strip())
        if claim is None:
            raise _refusal(f"the Authorization header is not {ALGORITHM} Access=…, SignedHeaders=…, Signature=…")
        access_key, names, signature = claim.group(1), claim.group(2).split(";"), claim.group(3)
        known = self.credentials
        if access_key != known.access_key:
            raise _refusal("Get secretKey failed, the AK does not exist")
        if headers.get("x-security-token") != known.security_token:
            raise _refusal("the security token does not belong to the AK")
        needed = _MUST_BE_SIGNED + (("x-security-token",) if "x-security-token" in headers else ())
        missing = [name for name in needed if name not in names]
        if missing:
            raise _refusal(f"verify aksk signature fail, {missing[0]} is not signed")
        date = headers.get("x-sdk-date", "")
        if abs(now + request.clock_offset - _moment_of(date)) > MAX_SKEW_S:
            raise _refusal("verify aksk signature fail, signature expired")
        right = sign(known.secret_key, date, canonical_request(request, names, body))
        if not hmac.compare_digest(right, signature):
            raise _refusal("verify aksk signature fail")


def canonical_request(request: Request, names: List[str], body: bytes) -> str:
    """What the client has signed: request line, headers with these names, and the digest of the body."""
    path = "/".join(quote(part, safe="~") for part in unquote(request.path).split("/"))
    lines = [request.method, path if path.endswith("/") else path + "/"]
    lines.append("&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in _query(request)))
    lines += [f"{name}:{_text_of(request.headers.get(name, '')).strip()}" for name in names]
    declared = request.headers.get("x-sdk-content-sha256")
    digest = hashlib.sha256(body).hexdigest()
    lines += ["", ";".join(names), _UNSIGNED_BODY if body and declared == _UNSIGNED_BODY else digest]
    return "\n".join(lines)


def sign(secret_key: str, date: str, canonical: str) -> str:
    """The signature, as hexadecimal digits."""
    digest = hashlib.sha256(canonical.encode("utf-8")).hexdigest()
    return hmac.new(secret_key.encode("utf-8"), f"{ALGORITHM}\n{date}\n{digest}".encode("utf-8"), "sha256").hexdigest()


def _query(request: Request) -> List[Tuple[str, str]]:
    pairs = [item.partition("=") for item in request.raw_query.split("&") if item]
    return sorted((unquote(name), unquote(value)) for name, _, value in pairs)


def _text_of(value: str) -> str:
    """A header, which HTTP reads as Latin-1, as the UTF-8 text that the client has signed."""
    return value.encode("latin-1", "replace").decode("utf-8", "replace")


def _moment_of(date: str) -> float:
    try:
        return datetime.strptime(date, _DATE_FORMAT).replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        raise _refusal(f"X-Sdk-Date is {date[:40]!r}, not of the form 20260101T000000Z") from None


def _refusal(text: str) -> ModelArtsError:
    return ModelArtsError(NOT_AUTHENTICATED, text)
