"""The proxy between us and OBS, read from an environment.

| variable                | meaning                                                                           |
|-------------------------|-----------------------------------------------------------------------------------|
| HTTPS_PROXY, HTTP_PROXY | `http://[user:password@]host[:port]`, for a server of that scheme                 |
| NO_PROXY                | servers that are asked directly: `*`, or names (with all names below), addresses  |
|                         | and networks such as 10.0.0.0/8, separated by commas; `name:port` for one port    |

The names may be in lower case: such a proxy takes precedence, and the exceptions of both names count. A server on this
machine (localhost, 127.0.0.0/8, ::1) is always asked directly. The proxy is asked for a tunnel (CONNECT) for http and
https, so it never sees a request to an https server, nor its key.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Mapping, Optional, Union
from urllib.parse import unquote, urlsplit

from obs_sync.errors import InvalidUrl

_DEFAULT_PORTS = {"http": 80, "https": 443}
_PROXY_PORT = 80


@dataclass(frozen=True)
class HttpProxy:
    """An HTTP proxy. Its password stays out of the repr."""

    host: str
    port: int
    username: Optional[str] = None
    password: Optional[str] = field(default=None, repr=False)


def read_proxy(environ: Mapping[str, str], server: str) -> Optional[HttpProxy]:
    """The proxy for the URL `server`, or None. Raises InvalidUrl, which shows no password."""
    parts = urlsplit(server)
    host = parts.hostname or ""
    for name in (f"{parts.scheme}_proxy", f"{parts.scheme.upper()}_PROXY"):
        text = environ.get(name, "").strip()
        if text:
            excepted = f"{environ.get('no_proxy', '')},{environ.get('NO_PROXY', '')}"
            if _asked_directly(host, parts.port or _DEFAULT_PORTS[parts.scheme], excepted):
                return None
            return _parsed(text, name)
    return None


def _parsed(text: str, name: str) -> HttpProxy:
    text = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(text)
        port = parts.port or _PROXY_PORT
        rest = parts.path + parts.query + parts.fragment  # a /, ? or # in the password ends the host there
        valid = parts.scheme == "http" and parts.hostname and "@" not in rest
    except ValueError:  # the port is no number, or the IPv6 address is incomplete
        valid = False
    if not valid:
        scheme, _, rest = text.partition("://")
        shown = f"{scheme if scheme.isalnum() else '…'}://{rest.rpartition('@')[2]}"
        raise InvalidUrl(f"{name} is not the address of a proxy that we can use", shown,
                         "Expected http://host:port or http://user:password@host:port; characters such as @, /, ? or # "
                         "in a password are written %40, %2F, %3F, %23")
    username, password = (None if part is None else unquote(part) for part in (parts.username, parts.password))
    return HttpProxy(parts.hostname, port, username, password)


def _asked_directly(host: str, port: int, excepted: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        address = None
    if host == "localhost" or address is not None and address.is_loopback:
        return True
    entries = [entry.strip().lower() for entry in excepted.split(",")]
    return any(_covers(entry, host, port, address) for entry in entries if entry)


def _covers(entry: str, host: str, port: int, address: Union[IPv4Address, IPv6Address, None]) -> bool:
    if entry == "*":
        return True
    if entry.count(":") == 1:  # else an IPv6 address
        entry, digits = entry.split(":")
        if digits != str(port):
            return False
    name = (entry[1:] if entry.startswith("*.") else entry).lstrip(".")
    if address is None:
        return host == name or host.endswith("." + name)
    try:
        return address in ip_network(name, strict=False)
    except ValueError:
        return False
