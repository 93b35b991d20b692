"""Clients of the mocked OBS, and bare HTTP where the client would be in the way."""
from __future__ import annotations

import base64
import hashlib
import http.client
from email.utils import formatdate
from typing import Dict, NamedTuple, Optional

from obs import ObsClient

from obs_sync.mock import Credentials, MockObs
from obs_sync.mock.protocol.signature import sign_hmac_sha1

BUCKET = "bucket"
DIALECTS = ("obs", "v2", "v4")
_SIGNED = ("delete", "partNumber", "torrent", "uploadId", "uploads")  # of the parameters that the tests send


def make_client(mock: MockObs, dialect: str = "obs", **changes) -> ObsClient:
    """The unmodified client: "obs" as in production, "v2" and "v4" by address with the bucket in the path."""
    arguments = dict(mock.client_arguments(path_style=dialect != "obs"), max_retry_count=0, timeout=20)
    if dialect != "obs":
        arguments.update(signature=dialect, path_style=True)
    arguments.update(changes)
    return ObsClient(**arguments)


def base64_md5_of(data: bytes) -> str:
    """As Content-MD5 wants it."""
    return base64.b64encode(hashlib.md5(data).digest()).decode("ascii")


class Reply(NamedTuple):
    status: int
    headers: Dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The error code of the document."""
        return self.body.partition(b"<Code>")[2].partition(b"</Code>")[0].decode("ascii")


def signed_headers(mock: MockObs, method: str, path: str, headers: Optional[Dict[str, str]] = None,
                   credentials: Optional[Credentials] = None, date: Optional[str] = None) -> Dict[str, str]:
    """Headers of a request to the bucket `BUCKET`, signed by hand as OBS documents it."""
    known = credentials or mock.credentials
    headers = dict(headers or {}, Host=f"{BUCKET}.{mock.host_name}:{mock.port}", Date=date or formatdate(usegmt=True))
    lower = {name.lower(): value for name, value in headers.items()}
    lines = [method, lower.get("content-md5", ""), lower.get("content-type", ""), headers["Date"]]
    lines += [f"{name}:{lower[name]}" for name in sorted(lower) if name.startswith("x-obs-")]
    path, _, query = path.partition("?")
    signed = "&".join(sorted(item for item in query.split("&") if item.partition("=")[0] in _SIGNED))
    text = "\n".join(lines + ["/" + BUCKET + path + ("?" + signed if signed else "")])
    headers["Authorization"] = f"OBS {known.access_key}:{sign_hmac_sha1(known.secret_key, text)}"
    return headers


def request(mock: MockObs, method: str, path: str, body=None, headers: Optional[Dict[str, str]] = None,
            **signing) -> Reply:
    """One signed request to the bucket `BUCKET`, through nothing but http.client."""
    connection = http.client.HTTPConnection("127.0.0.1", mock.port, timeout=20)
    try:
        connection.request(method, path, body, signed_headers(mock, method, path, headers, **signing))
        answer = connection.getresponse()
        return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()
