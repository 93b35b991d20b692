"""Makes `socket.getaddrinfo` know the host name of a mocked OBS, and every name below it.

The OBS client leaves its production dialect when the server is an IP address, so a mocked OBS needs a
host name, with a sub-domain for each bucket, that works without any change of the machine's settings.
This module imports almost nothing, because every child process loads it when it starts
(`resolver_path/sitecustomize.py`).
"""
from __future__ import annotations

import socket
import threading
from collections.abc import Mapping

VARIABLE = "MOCK_OBS_RESOLVE"  # for child processes: name=address, separated by commas

_lock = threading.Lock()
_addresses: dict[str, list[str]] = {}  # name to addresses, one for each mock that uses the name; the last one is valid
_original = socket.getaddrinfo
_installed = False  # not read off socket.getaddrinfo: other code may have wrapped this module's function since


def resolve(name: str, address: str = "127.0.0.1") -> None:
    """Makes `name` and all names below it resolve to this address in this process."""
    global _original, _installed
    with _lock:
        _addresses.setdefault(name.lower(), []).append(address)
        if not _installed:
            _original, socket.getaddrinfo, _installed = socket.getaddrinfo, _getaddrinfo, True


def forget(name: str, address: str = "127.0.0.1") -> None:
    """Undoes one call of `resolve` with the same arguments."""
    global _installed
    with _lock:
        users = _addresses.get(name.lower(), [])
        if address in users:
            users.remove(address)
        if not users:
            _addresses.pop(name.lower(), None)
        if not _addresses and socket.getaddrinfo is _getaddrinfo:
            socket.getaddrinfo, _installed = _original, False


def resolve_from(environ: Mapping[str, str]) -> None:
    """Calls `resolve` for each name in the environment variable MOCK_OBS_RESOLVE, if it is set."""
    for item in environ.get(VARIABLE, "").split(","):
        name, _, address = item.strip().partition("=")
        if name and address:
            resolve(name, address)


def _address_of(host) -> str | None:
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    if not isinstance(text, str):
        return None
    text = text.lower().rstrip(".")
    for name, addresses in list(_addresses.items()):
        if text == name or text.endswith("." + name):
            return addresses[-1]
    return None


def _getaddrinfo(host, *args, **kwargs):
    return _original(_address_of(host) or host, *args, **kwargs)
