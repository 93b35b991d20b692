"""Signatures of reads, as the OBS SDK makes them: HMAC-SHA1 over a few lines, in one of two dialects.

| dialect | Authorization    | headers  | used                                                      |
|---------|------------------|----------|-----------------------------------------------------------|
| obs     | `OBS key:digest` | `x-obs-` | where the bucket is in the host's name, with OBS          |
| v2      | `AWS key:digest` | `x-amz-` | where the bucket is in the path, and with other servers   |
"""
from __future__ import annotations

import base64
import functools
import hmac
from email.utils import formatdate
from urllib.parse import quote

from obs_sync.esdk.keys import Key

OBS, V2 = "obs", "v2"
_SCHEMES = {OBS: ("OBS", "x-obs-security-token"), V2: ("AWS", "x-amz-security-token")}


def quoted_key(key: str) -> str:
    """An object's key in a URL, and in the text that is signed."""
    return quote(key, "/~")


def signed_headers(method: str, dialect: str, key: Key, bucket: str, quoted: str, now: float) -> str:
    """Header lines, each with its line break, that sign a GET or HEAD of the object `quoted`, or of the bucket: "".

    Sub-resources would have to be signed, and are not supported. The query of a listing, Range and If-Match need not be
    signed. Without an access key the request is anonymous.
    """
    date = http_date(int(now))
    if not key.access_key_id or not key.secret_access_key:
        return f"Date: {date}\r\n"
    scheme, token_header = _SCHEMES[dialect]
    token = "" if key.security_token is None else f"{token_header}:{key.security_token}\n"
    text = f"{method}\n\n\n{date}\n{token}/{bucket}/{quoted}"
    digest = hmac.new(key.secret_access_key.encode("utf-8"), text.encode("utf-8"), "sha1").digest()
    signature = base64.b64encode(digest).decode("ascii")
    token = "" if key.security_token is None else f"{token_header}: {key.security_token}\r\n"
    return f"Date: {date}\r\n{token}Authorization: {scheme} {key.access_key_id}:{signature}\r\n"


@functools.lru_cache(maxsize=4)
def http_date(second: int) -> str:
    """A time (whole seconds since the epoch) in the format of HTTP headers."""
    return formatdate(second, usegmt=True)
