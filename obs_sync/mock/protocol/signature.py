"""Verifies signatures, in the three schemes that OBS accepts in the Authorization header.

    OBS <key>:<Base64 HMAC-SHA1>           production, with headers x-obs-*
    AWS <key>:<Base64 HMAC-SHA1>           "v2", the same with headers x-amz-*
    AWS4-HMAC-SHA256 Credential=<key>/...  "v4"

The string to sign of the first two is documented by OBS ("Authentication of Signature in a Header"). It consists of
the verb, Content-MD5, Content-Type and Date (empty if x-obs-date is sent), each followed by a line feed; the x-obs-*
headers, sorted by name, as `name:value` lines; and the resource: `/bucket/key`, percent-encoded, with those parameters
that are sub-resources.
"""
from __future__ import annotations

import base64
import dataclasses
import functools
import hashlib
import hmac
import time
from datetime import datetime, timezone
from typing import Callable, List, NamedTuple, Optional, Tuple
from urllib.parse import quote, unquote_plus

from obs_sync.mock.clock import parse_date
from obs_sync.mock.errors import ObsError
from obs_sync.mock.wire.messages import Request

MAX_SKEW_S = 15 * 60

# Parameters that are sub-resources, and so are signed in the first two schemes.
SUB_RESOURCES = frozenset((
    "acl backtosource policy torrent logging location storageinfo quota storageclass storagepolicy "
    "requestpayment versions versioning versionid uploads uploadid partnumber website notification lifecycle "
    "deletebucket delete cors restore tagging replication metadata encryption inventory object-lock "
    "retention directcoldaccess "
    "append position truncate modify rename length name response-content-type response-content-language "
    "response-expires response-cache-control response-content-disposition response-content-encoding "
    "x-image-save-bucket x-image-save-object x-image-process").split())


@dataclasses.dataclass(frozen=True)
class Credentials:
    """The only identity that a mocked OBS accepts. repr() shows only the access key."""

    access_key: str = "mock-access-key"
    secret_key: str = dataclasses.field(default="mock-secret-key", repr=False)
    security_token: Optional[str] = dataclasses.field(default=None, repr=False)  # None: permanent credentials


class SignatureCheck:
    """Verifies requests against one identity.

    Attributes:
        credentials: may be replaced at any time; from then on only the new ones are accepted.
    """

    def __init__(self, credentials: Credentials):
        self.credentials = credentials

    def verify(self, request: Request) -> None:
        """Raises ObsError unless the accepted identity has signed the request, less than 15 minutes ago."""
        if "Signature" in request.query or "X-Amz-Signature" in request.query:
            raise ObsError("NotImplemented", "The mocked OBS does not check signatures in the URL.")
        claim = _claim_of(request)
        known = self.credentials
        if claim.access_key != known.access_key:
            raise ObsError("InvalidAccessKeyId")
        token = known.security_token
        if token is not None and request.special("security-token") != token:
            raise ObsError("InvalidSecurityToken")
        if abs(time.time() + request.clock_offset - claim.moment.timestamp()) > MAX_SKEW_S:
            raise ObsError("RequestTimeTooSkewed")
        signatures = [claim.sign(known.secret_key, text).encode("ascii") for text in claim.texts]
        if not any(hmac.compare_digest(right, claim.signature.encode("utf-8")) for right in signatures):
            raise ObsError("SignatureDoesNotMatch", details=[("StringToSign", claim.texts[0])])


class _Claim(NamedTuple):
    """Who sent a request and when, as its headers say."""

    access_key: str
    moment: datetime
    signature: str
    texts: List[str]                  # the strings to sign; a signature of any of them is accepted
    sign: Callable[[str, str], str]   # (secret key, string to sign) -> signature


def _claim_of(request: Request) -> _Claim:
    """Raises ObsError if there is no signature, or if it has none of the three schemes."""
    scheme, _, rest = request.headers.get("authorization", "").partition(" ")
    if scheme in ("OBS", "AWS"):
        access_key, _, signature = rest.strip().partition(":")
        moment = _parse_date(request.special("date") or request.headers.get("date"))
        texts = [_string_to_sign(request)]
        if request.raw_query.endswith("=") or "=&" in request.raw_query:
            texts.append(_string_to_sign(request, bare=True))  # botocore signs "?uploads=" as it is, rclone "?uploads"
        return _Claim(access_key, moment, signature, texts, sign_hmac_sha1)
    if scheme == "AWS4-HMAC-SHA256":
        access_key, scope, signed_names, signature = _parse_v4(rest)
        moment = _parse_date(request.headers.get("x-amz-date") or request.headers.get("date"))
        text = _v4_string_to_sign(request, scope, signed_names, moment)
        return _Claim(access_key, moment, signature, [text], functools.partial(_sign_v4, scope))
    if not scheme:
        raise ObsError("AccessDenied")
    raise ObsError("InvalidArgument", "Unsupported Authorization Type")


def _sign_v4(scope: Tuple[str, ...], secret_key: str, text: str) -> str:
    return hmac.digest(_v4_key(scope, secret_key), text.encode("utf-8"), "sha256").hex()


@functools.lru_cache(maxsize=64)  # a client signs with the same key all day
def _v4_key(scope: Tuple[str, ...], secret_key: str) -> bytes:
    key = ("AWS4" + secret_key).encode("utf-8")
    for step in scope:
        key = hmac.digest(key, step.encode("utf-8"), "sha256")
    return key


def sign_hmac_sha1(secret_key: str, text: str) -> str:
    """The signature of the OBS and v2 schemes, and of temporary URLs."""
    digest = hmac.digest(secret_key.encode("utf-8"), text.encode("utf-8"), "sha1")
    return base64.b64encode(digest).decode("ascii")


def _string_to_sign(request: Request, bare: bool = False) -> str:
    """bare: whether `?uploads=` is signed as `?uploads`."""
    headers, prefix = request.headers, request.dialect.prefix
    date = "" if prefix + "date" in headers else headers.get("date", "")
    lines = [request.method, headers.get("content-md5", ""), headers.get("content-type", ""), date]
    lines += [f"{name}:{headers[name]}" for name in sorted([name for name in headers if name.startswith(prefix)])]
    resource = "/" + request.bucket + request.path if request.virtual_host else request.path
    signed = {}
    for item in map(unquote_plus, request.raw_query.split("&") if request.raw_query else ()):
        name, _, value = item.partition("=")
        if name.lower() in SUB_RESOURCES or name.lower().startswith(prefix):
            signed[name] = name if bare and not value else item
    if signed:
        resource += "?" + "&".join(signed[name] for name in sorted(signed))
    return "\n".join(lines + [resource])


def _parse_v4(text: str) -> Tuple[str, Tuple[str, ...], List[str], str]:
    """Access key, scope (date, region, service, terminator), names of the signed headers, signature."""
    fields = dict(item.strip().partition("=")[::2] for item in text.split(","))
    credential = fields.get("Credential", "").split("/")
    if len(credential) != 5 or credential[3:] != ["s3", "aws4_request"] or not fields.get("SignedHeaders"):
        raise ObsError("InvalidArgument", "The Authorization header is malformed.")
    return credential[0], tuple(credential[1:]), fields["SignedHeaders"].split(";"), fields.get("Signature", "")


def _v4_string_to_sign(request: Request, scope: Tuple[str, ...], signed_names: List[str], moment: datetime) -> str:
    query = sorted((quote(name, safe=""), quote(value, safe="")) for name, value in request.query.items())
    canonical = [request.method, request.path, "&".join(f"{name}={value}" for name, value in query)]
    for name in signed_names:
        value = " ".join(request.headers.get(name, "").split())
        canonical.append(f"{name}:{value}")
    canonical += ["", ";".join(signed_names), request.headers.get("x-amz-content-sha256", "UNSIGNED-PAYLOAD")]
    digest = hashlib.sha256("\n".join(canonical).encode("utf-8")).hexdigest()
    return "\n".join(("AWS4-HMAC-SHA256", moment.strftime("%Y%m%dT%H%M%SZ"), "/".join(scope), digest))


@functools.lru_cache(maxsize=256)  # many requests have the same second
def _parse_date(text: Optional[str]) -> datetime:
    """The moment in a Date, x-obs-date or x-amz-date header. Raises ObsError (AccessDenied)."""
    if not text:
        raise ObsError("AccessDenied", "A signed request needs a Date, x-obs-date or x-amz-date header.")
    try:
        if text.endswith("Z"):
            return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
        return parse_date(text)
    except ValueError:
        raise ObsError("AccessDenied", f"The date {text[:100]!r} is neither RFC 1123 nor ISO 8601 basic.") from None
