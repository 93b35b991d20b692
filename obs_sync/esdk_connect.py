"""An OBS client set up safely: what the SDK leaves open by default, and where its own ways are wrong.

| the SDK                                                      | here                                              |
|--------------------------------------------------------------|---------------------------------------------------|
| verifies no certificate, and never a host name               | both, with the system's authorities               |
| drops a reply's Retry-After                                  | it is in a result's `header`                      |
| with a proxy, cannot use a connection twice                  | it can                                            |
| follows redirections, signing anew for whatever server       | none is followed                                  |
| tries again by rules of its own                              | never: that is done by `Calls`                    |
| waits for ever for a server that sends a byte now and then   | a minute (`pace.py`)                              |

All of it is done from a subclass that adds to methods of the SDK. In a version that lacks one of them, waits are
drawn at random, or requests through a proxy fail; nothing becomes unsafe.
"""
from __future__ import annotations

import functools
import logging
import ssl
from typing import Any, Callable, List, Optional, Tuple

from obs_sync.credentials import Credentials, Endpoint
from obs_sync.esdk_keys import Keys
from obs_sync.pace import PacedResponse

_TIMEOUT = 30      # seconds, for a connection and for each read; then a stalled server is tried again
_CHUNK = 1 << 18   # bytes that the SDK sends at once

_log = logging.getLogger(__name__)


def connect(credentials: Credentials, endpoint: Endpoint,
            read_again: Optional[Callable[[], Credentials]] = None) -> Any:
    """An `obs.ObsClient`: TLS and host names verified, connections kept, nothing logged, no retries.

    Its attribute `keys` (see `Keys`) renews the access key by `read_again`.
    """
    proxy = endpoint.proxy
    client = _client_class()(
        access_key_id=credentials.access_key_id, secret_access_key=credentials.secret_access_key,
        security_token=credentials.security_token,
        security_provider_policy="ECS" if credentials.agency else None,
        server=endpoint.url, ssl_verify=endpoint.verify_tls, timeout=_TIMEOUT, chunk_size=_CHUNK,
        max_retry_count=0, max_redirect_count=0, long_conn_mode=True,
        proxy_host=proxy and proxy.host, proxy_port=proxy and proxy.port,
        proxy_username=proxy and proxy.username, proxy_password=proxy and proxy.password)
    client.keys = Keys(client, credentials, read_again)
    if client.is_secure:
        if endpoint.verify_tls:
            # The SDK's own context has no root certificates and checks no names.
            client.context = ssl.create_default_context()
        else:
            _log.warning("the TLS certificate of %s is not verified, as OBS_SSL_VERIFY or S3_VERIFY_SSL says: "
                         "whoever is on the way can read and change what is sent", endpoint.url)
    return client


@functools.lru_cache(maxsize=None)
def _client_class() -> Any:
    from obs import ObsClient

    class Client(ObsClient):
        def _rename_response_headers(self, headers: Any, *more: Any) -> List[Tuple[str, str]]:
            kept = super()._rename_response_headers(headers, *more)
            return kept + [(name, value) for name, value in headers.items() if name.lower() == "retry-after"]

        def _get_server_connection(self, *arguments: Any, **options: Any) -> Any:
            connection = super()._get_server_connection(*arguments, **options)
            connection.response_class = PacedResponse
            if getattr(connection, "sock", None) is not None:  # it has its tunnel, and the SDK will ask for another
                connection.set_tunnel = lambda *ignored, **ignored_too: None
            return connection

    return Client
