"""Signs requests as the facts page describes SDK-HMAC-SHA256, apart from the mock's own code and from the SDK."""
from __future__ import annotations

import hashlib
import hmac
import time
from urllib.parse import parse_qsl, quote


def signed(platform, method, target, body=b"", date=None, headers=None, secret_key=None, drop=()):
    """Headers of a request. drop: headers that are sent but not signed."""
    path, _, query = target.partition("?")
    date = date or time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    sent = {"host": platform.endpoint.rpartition("/")[2], "x-sdk-date": date}
    sent.update((name.lower(), value) for name, value in (headers or {}).items())
    names = sorted(name for name in sent if name not in drop)
    pairs = sorted(parse_qsl(query, keep_blank_values=True))
    canonical = "\n".join([
        method, quote(path, safe="/~").rstrip("/") + "/",
        "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in pairs),
        "".join(f"{name}:{sent[name].strip()}\n" for name in names), ";".join(names), hashlib.sha256(body).hexdigest()])
    text = f"SDK-HMAC-SHA256\n{date}\n{hashlib.sha256(canonical.encode('utf-8')).hexdigest()}"
    key = (secret_key or platform.credentials.secret_key).encode("utf-8")
    signature = hmac.new(key, text.encode("utf-8"), hashlib.sha256).hexdigest()
    sent["authorization"] = (f"SDK-HMAC-SHA256 Access={platform.credentials.access_key}, "
                             f"SignedHeaders={';'.join(names)}, Signature={signature}")
    return sent
