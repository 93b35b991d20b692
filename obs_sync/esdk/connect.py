"""An OBS client set up safely: what differs from the SDK as it comes.

| the SDK                                                      | here                                              |
|--------------------------------------------------------------|---------------------------------------------------|
| verifies no certificate, and never a host name               | verifies both, with the system's authorities      |
| drops the Retry-After of a reply                             | keeps it in `header` of the result                |
| with a proxy, cannot reuse a connection                      | reuses it                                         |
| follows redirections, and signs for any server               | follows none                                      |
| retries by rules of its own                                  | does not retry; `Calls` does                      |
| waits for ever for a server that sends a byte now and then   | for a minute (`http/pace`)                        |
| reads replies of any size                                    | up to a limit (`sdk_response`)                    |
| fails at an error's body that is not UTF-8                   | reads it; the status counts                       |
| reads what an idle connection received as the next reply     | drops that connection                             |
| dates requests by this machine's clock                       | by the server's, after it refused a date          |
| reads an IPv6 address as a name with a port                  | as an address                                     |
| asks `bucket.localhost`, which seldom resolves               | puts the bucket into the path                     |

A subclass of the SDK's client does this by extending its methods. With an SDK that lacks one of them, Retry-After is
ignored, or requests fail that go through a proxy, to an IPv6 address or from a machine with a wrong clock; nothing
becomes unsafe.
"""
from __future__ import annotations

import functools
import logging
import re
import ssl
import threading
import time
from typing import Any, Callable, List, Optional, Tuple
from urllib.parse import urlsplit

from obs_sync.errors import StoreError
from obs_sync.esdk.credentials import Credentials, Endpoint
from obs_sync.esdk.keys import Key, Keys
from obs_sync.esdk.server_clock import ServerClock
from obs_sync.esdk.signing import http_date

_TIMEOUT = 30      # seconds, for a connection and for each read; then the request is retried
_CHUNK = 1 << 18   # bytes that the SDK sends at once
_IPV4 = re.compile(r"\d{1,3}(\.\d{1,3}){3}\Z")

_log = logging.getLogger(__name__)


class Client:
    """A server and the key to sign with: what our own requests need, and the SDK's client for all others.

    The SDK's client is made when it is first used: importing the SDK takes longer than many transfers.
    """

    def __init__(self, credentials: Credentials, endpoint: Endpoint,
                 read_again: Optional[Callable[[], Credentials]] = None):
        """`read_again` reads the credentials again, after the server refused the key (see `Keys`)."""
        address = urlsplit(endpoint.url)
        self.host = address.hostname or ""
        self.port = address.port or (443 if address.scheme == "https" else 80)
        self.proxy = endpoint.proxy
        self.context = _context(endpoint) if address.scheme == "https" else None
        self.timeout = _TIMEOUT
        self.in_path = is_in_path(self.host)
        """Whether the bucket is named in the path; otherwise the host name begins with it."""
        self.clock = ServerClock()
        self.keys = Keys(self, credentials, read_again)
        self._endpoint = endpoint
        self._agency = credentials.agency
        self._lock = threading.Lock()
        self._sdk: Any = None

    def server_of(self, bucket: str) -> str:
        """The host that a request about `bucket` names."""
        return self.host if self.in_path else f"{bucket}.{self.host}"

    def connects_to(self, bucket: str) -> str:
        """The host whose name must resolve for such a request."""
        return self.server_of(bucket) if self.proxy is None else self.proxy.host

    def doubled(self, bucket: str) -> Optional[str]:
        """How to mend an OBS_SERVER that names the bucket too, as the console shows it; None for others."""
        if not self.host.startswith(f"{bucket}."):
            return None
        return f"OBS_SERVER begins with the bucket's name: leave it out, as in {self.host[len(bucket) + 1:]}"

    @property
    def sdk(self) -> Any:
        """An `obs.ObsClient`: TLS and host names verified, connections kept, nothing logged, no retries.

        Raises StoreError if the SDK cannot be imported.
        """
        with self._lock:
            if self._sdk is None:
                try:
                    self._sdk = self._made(Key("", "", None) if self._agency else self.keys.current())
                except ImportError as error:
                    raise StoreError(f"the OBS SDK cannot be imported ({error})", self._endpoint.url,
                                     "Install it with: pip install esdk-obs-python") from error
            return self._sdk

    @property
    def made_sdk(self) -> Any:
        """The same client, or None if it was not used yet."""
        return self._sdk

    def sign_with(self, key: Key) -> None:
        """Give the SDK's client another key, if that client was made."""
        with self._lock:
            if self._sdk is not None:
                self._sdk.refresh(*key)

    def _made(self, key: Key) -> Any:
        endpoint, proxy = self._endpoint, self.proxy
        client = _client_class()(
            path_style=self.in_path, access_key_id=key.access_key_id, secret_access_key=key.secret_access_key,
            security_token=key.security_token, security_provider_policy="ECS" if self._agency else None,
            server=endpoint.url, ssl_verify=endpoint.verify_tls, timeout=self.timeout, chunk_size=_CHUNK,
            max_retry_count=0, max_redirect_count=0, long_conn_mode=True,
            proxy_host=proxy and proxy.host, proxy_port=proxy and proxy.port,
            proxy_username=proxy and proxy.username, proxy_password=proxy and proxy.password)
        client.server_clock = self.clock
        if self.context is not None:
            client.context = self.context
        return client


def is_in_path(host: str) -> bool:
    """Whether requests name the bucket in their path: nothing below an address or a name without a dot resolves."""
    return "." not in host or ":" in host or _IPV4.match(host) is not None


def _context(endpoint: Endpoint) -> ssl.SSLContext:
    """The SDK's own has no root certificates and checks no names."""
    context = ssl.create_default_context()
    if not endpoint.verify_tls:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        _log.warning("the TLS certificate of %s is not verified, because OBS_SSL_VERIFY or S3_VERIFY_SSL says so: "
                     "anybody between this machine and the server can read and change the traffic", endpoint.url)
    return context


@functools.lru_cache(maxsize=None)
def _client_class() -> Any:  # noqa: C901 (it counts the methods of the class)
    from obs import ObsClient

    from obs_sync.esdk.sdk_response import SdkResponse
    from obs_sync.http.head import BadReply
    from obs_sync.http.reply import is_quiet

    class SafeClient(ObsClient):
        server_clock = ServerClock()

        @staticmethod
        def _split_host_port(hostname: str, port: Optional[int]) -> Tuple[List[str], Optional[int]]:
            """The address in "[::1]:9000" is "[::1]", not "["."""
            if not hostname.startswith("["):
                return ObsClient._split_host_port(hostname, port)
            address, _, stated = hostname.partition("]")
            return [f"{address}]"], int(stated[1:]) if stated else port

        def _add_auth_headers(self, headers: Any, *arguments: Any, **options: Any) -> Any:
            name = self.ha.date_header()  # x-obs-date or x-amz-date, which take precedence over Date
            if self.server_clock.ahead and name not in headers:
                headers[name] = self._date_of_the_server()
            return super()._add_auth_headers(headers, *arguments, **options)

        def _date_of_the_server(self) -> str:
            scheme = self.thread_local.signature if self.is_signature_negotiation else self.signature
            now = self.server_clock.now()
            return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now)) if scheme.lower() == "v4" else http_date(int(now))

        def _rename_response_headers(self, headers: Any, *more: Any) -> List[Tuple[str, str]]:
            kept = super()._rename_response_headers(headers, *more)
            return kept + [(name, value) for name, value in headers.items() if name.lower() == "retry-after"]

        def _get_server_connection(self, *arguments: Any, **options: Any) -> Any:
            connection = super()._get_server_connection(*arguments, **options)
            while getattr(connection, "sock", None) is not None and not is_quiet(connection.sock):
                connection.close()
                connection = super()._get_server_connection(*arguments, **options)
            connection.response_class = SdkResponse
            connection.host = connection.host.strip("[]")  # some versions of http.client leave them on
            if getattr(connection, "sock", None) is not None:  # it has its tunnel, and the SDK would ask for another
                connection.set_tunnel = lambda *ignored, **ignored_too: None
            return connection

        def _parse_xml(self, *arguments: Any, **options: Any) -> Any:
            try:
                return super()._parse_xml(*arguments, **options)
            except OSError:
                raise
            except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
                raise BadReply(f"the SDK cannot read it: {type(error).__name__}: {error}") from error

    return SafeClient
