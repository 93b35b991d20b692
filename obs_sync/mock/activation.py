"""The mocked OBSes that are running, and os.environ while they are."""
from __future__ import annotations

import os
import threading
from typing import Dict, List, Mapping, Optional

from obs_sync.mock import resolver
from obs_sync.mock.protocol.signature import Credentials

RESOLVER_PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "resolver_path")

# Variables that a client in another process needs, or must not inherit from elsewhere.
NAMES = ("OBS_ACCESS_KEY_ID", "OBS_SECRET_ACCESS_KEY", "OBS_SECURITY_TOKEN", "OBS_SERVER", resolver.VARIABLE,
         "PYTHONPATH", "NO_PROXY")

_lock = threading.Lock()
_running: List["Announced"] = []
_before: Dict[str, str] = {}  # those of NAMES that were set before the first mock started


class Announced:
    """What clients need to know of a mocked OBS. `mocked.MockObs` derives from it."""

    host_name: str            # name of the service
    endpoint: str             # its URL
    credentials: Credentials  # the only identity that it accepts


def variables_of(mock: Announced, environ: Mapping[str, str]) -> Dict[str, str]:
    """The environment variables that point a client at a mock; lists such as PYTHONPATH keep what `environ` has."""
    path = [RESOLVER_PATH]
    path += [item for item in environ.get("PYTHONPATH", "").split(os.pathsep)
             if item not in ("", RESOLVER_PATH)]
    direct = [item for item in environ.get("NO_PROXY", "").split(",") if item not in ("", mock.host_name)]
    variables = {
        "OBS_ACCESS_KEY_ID": mock.credentials.access_key,
        "OBS_SECRET_ACCESS_KEY": mock.credentials.secret_key,
        "OBS_SERVER": mock.endpoint,
        resolver.VARIABLE: f"{mock.host_name}=127.0.0.1",
        "PYTHONPATH": os.pathsep.join(path),
        "NO_PROXY": ",".join(direct + [mock.host_name]),  # no proxy could find this name
    }
    if mock.credentials.security_token is not None:
        variables["OBS_SECURITY_TOKEN"] = mock.credentials.security_token
    return variables


def activate(mock: Announced) -> None:
    """Points os.environ at a mock that has started."""
    with _lock:
        if not _running:
            _before.clear()
            _before.update((name, os.environ[name]) for name in NAMES if name in os.environ)
        _running.append(mock)
        _apply()


def deactivate(mock: Announced) -> None:
    """Points os.environ at the mock that started last among those that still run. Without one, restores os.environ."""
    with _lock:
        _running.remove(mock)
        _apply()


def refresh() -> None:
    """Updates os.environ after a change of the mock that it points at."""
    with _lock:
        _apply()


def current_mock() -> Optional[Announced]:
    """The mocked OBS (a `MockObs`) that was started last in this process and still runs."""
    with _lock:
        return _running[-1] if _running else None


def _apply() -> None:
    wanted = dict(_before)
    if _running:
        wanted.pop("OBS_SECURITY_TOKEN", None)
        wanted.update(variables_of(_running[-1], _before))
    for name in NAMES:
        if name in wanted:
            os.environ[name] = wanted[name]
        else:
            os.environ.pop(name, None)
