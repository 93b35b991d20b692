"""The mocked ModelArts that are running, and os.environ while they are.

The mocked OBS has its own part of os.environ. NO_PROXY belongs to both: it is extended here, and the end of the mocked
OBS restores it.
"""
from __future__ import annotations

import os
import threading
from typing import Any, Dict, List, Mapping, Optional

# Variables that a client in another process needs, or must not inherit from elsewhere.
NAMES = ("HUAWEICLOUD_SDK_AK", "HUAWEICLOUD_SDK_SK", "HUAWEICLOUD_SDK_PROJECT_ID", "HUAWEICLOUD_SDK_SECURITY_TOKEN",
         "HUAWEICLOUD_SDK_DOMAIN_ID", "HUAWEICLOUD_SDK_IAM_ENDPOINT", "HUAWEICLOUD_SDK_REGION")
_LOOPBACK = "127.0.0.1"

_lock = threading.Lock()
_running: List[Any] = []
_before: Dict[str, str] = {}   # variables of the SDK that were set before the first mock started


def variables_of(mock: Any, environ: Mapping[str, str]) -> Dict[str, str]:
    """The environment variables that point the SDK at a mock. NO_PROXY keeps what `environ` has."""
    direct = [item for item in environ.get("NO_PROXY", "").split(",") if item not in ("", _LOOPBACK)]
    variables = {
        "HUAWEICLOUD_SDK_AK": mock.credentials.access_key,
        "HUAWEICLOUD_SDK_SK": mock.credentials.secret_key,
        "HUAWEICLOUD_SDK_PROJECT_ID": mock.project_id,
        "HUAWEICLOUD_SDK_REGION": mock.region,  # which `python -m job` reads, and the SDK does not
        region_variable(mock.region): mock.endpoint,
        "HUAWEICLOUD_SDK_IAM_ENDPOINT": mock.endpoint,
        "NO_PROXY": ",".join(direct + [_LOOPBACK]),
    }
    if mock.credentials.security_token is not None:
        variables["HUAWEICLOUD_SDK_SECURITY_TOKEN"] = mock.credentials.security_token
    return variables


def region_variable(region: str) -> str:
    """The variable that redirects the SDK's client of ModelArts in a region."""
    return f"HUAWEICLOUD_SDK_REGION_MODELARTS_{region.replace('-', '_').upper()}"


def activate(mock: Any) -> None:
    """Points os.environ at a mock that has started."""
    with _lock:
        if not _running:
            _before.clear()
        for name in _names_of(mock):
            if not any(name in _names_of(other) for other in _running) and name in os.environ:
                _before[name] = os.environ[name]
        _running.append(mock)
        _apply(mock)


def deactivate(mock: Any) -> None:
    """Points os.environ at the mock that started last among those that still run, or restores it."""
    with _lock:
        _running.remove(mock)
        _apply(mock)


def refresh(mock: Any) -> None:
    """Updates os.environ after a change of a mock, or of the mocked OBS."""
    with _lock:
        _apply(mock)


def current_modelarts() -> Optional[Any]:
    """The mocked ModelArts (a `MockModelArts`) that was started last in this process and still runs."""
    with _lock:
        return _running[-1] if _running else None


def _names_of(mock: Any) -> List[str]:
    return [*NAMES, region_variable(mock.region)]


def _apply(changed: Any) -> None:
    names = {name for mock in [changed] + _running for name in _names_of(mock)}
    wanted = {name: value for name, value in _before.items() if name in names}
    if _running:
        for name in NAMES:
            wanted.pop(name, None)
        for mock in _running:
            wanted.update(variables_of(mock, os.environ))
    for name in names - set(wanted):
        os.environ.pop(name, None)
    os.environ.update(wanted)
