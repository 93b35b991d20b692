"""From a URL to a store."""
from __future__ import annotations

import importlib.util
import os
from typing import Mapping

from obs_sync.errors import StoreError
from obs_sync.esdk.credentials import has_obs_credentials, read_credentials, read_endpoint
from obs_sync.local.store import LocalStore
from obs_sync.retry import DEFAULT_RETRY, Retry
from obs_sync.store import Store
from obs_sync.urls import Location, parse_url

BACKENDS = ("auto", "esdk", "moxing")


def open_store(url: str, environ: Mapping[str, str] = os.environ, backend: str = "auto",
               retry: Retry = DEFAULT_RETRY) -> Store:
    """The store at `url`: a directory, or a bucket through one of two backends.

    `auto` takes moxing if it is installed and the environment holds no OBS_* credentials: so it is inside a ModelArts
    job, where moxing is logged in already. Otherwise it takes the OBS SDK. `retry` says how often and how long failed
    requests are retried. No request is made yet.

    Raises InvalidUrl, CredentialsMissing, StoreError (the backend is not installed).
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend is {backend!r}; expected one of {', '.join(BACKENDS)}")
    location = parse_url(url)
    if location.is_local:
        return LocalStore(location.path)
    if backend == "auto":
        has_moxing = importlib.util.find_spec("moxing") is not None
        backend = "moxing" if has_moxing and not has_obs_credentials(environ) else "esdk"
    return _open_moxing(location, retry) if backend == "moxing" else _open_esdk(location, environ, retry)


def _open_esdk(location: Location, environ: Mapping[str, str], retry: Retry) -> Store:
    credentials, endpoint = read_credentials(environ), read_endpoint(environ)
    if importlib.util.find_spec("obs") is None:
        raise StoreError("the OBS SDK is not installed", location.url, "Install it with: pip install esdk-obs-python")
    from obs_sync.esdk.connect import Client
    from obs_sync.esdk.store import EsdkStore
    return EsdkStore(Client(credentials, endpoint, lambda: read_credentials(environ)), location.bucket,
                     location.prefix, retry)


def _open_moxing(location: Location, retry: Retry) -> Store:
    from obs_sync.moxing_store import MoxingStore
    try:
        import moxing
    except ImportError as error:
        raise StoreError(f"moxing cannot be imported ({error})", location.url,
                         "It exists only inside ModelArts. Set OBS_ACCESS_KEY_ID, OBS_SECRET_ACCESS_KEY and OBS_SERVER "
                         "to use the OBS SDK") from error
    return MoxingStore(moxing.file, location.url, retry)
