"""The client of Huawei's SDK: where it sends requests, how long it waits, its proxy and its certificates."""

from __future__ import annotations

import ipaddress
import logging
from typing import Any, Mapping
from urllib.parse import quote, urlsplit

from job.config.near_miss import suggestion, with_expected
from job.errors import ConfigError
from job.modelarts.access import REDIRECTION, Access
from job.modelarts.errors import AccessRefused
from job.printable import printable
from obs_sync.http.proxies import read_proxy

CONNECT_SECONDS, READ_SECONDS = 10.0, 60.0
IAM_ENDPOINT = "HUAWEICLOUD_SDK_IAM_ENDPOINT"


def endpoint_of(region: str) -> str:
    """The address of ModelArts in a region, or what HUAWEICLOUD_SDK_REGION_MODELARTS_<REGION> puts in its place.

    Raises:
        ConfigError: ModelArts has no such region, or the variable holds no address that may be used.
    """
    from huaweicloudsdkmodelarts.v1.region.modelarts_region import ModelArtsRegion

    try:
        endpoint = ModelArtsRegion.value_of(region).endpoints[0]
    except KeyError:
        known = sorted(ModelArtsRegion.static_fields)
        raise ConfigError(with_expected(f"--region={region}: ModelArts has no such region{suggestion(region, known)}",
                                        f"one of {', '.join(known)}")) from None
    return _checked(REDIRECTION + region.replace("-", "_").upper(), endpoint)


def iam_endpoint(region: str) -> str:
    """The address of IAM, which knows the project of an access key. Raises ConfigError if its variable holds none."""
    from huaweicloudsdkcore.auth.internal import IamHelper

    return _checked(IAM_ENDPOINT, IamHelper.get_iam_endpoint(region))


def _checked(variable: str, address: str) -> str:
    """The address. Raises ConfigError if it cannot be one, or would send a security token where others can read it."""
    try:
        parts = urlsplit(address)
        usable = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:  # such as a port that is no number
        usable = False
    if not usable or not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(address))):
        raise ConfigError(f"{variable}={printable(address)}: expected https://HOST; http:// is allowed only for this "
                          "machine, because others could read a security token on its way")
    return address


def is_loopback(url: str) -> bool:
    """Whether the server of a URL is this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def make_client(access: Access, endpoint: str, environ: Mapping[str, str]) -> Any:
    """A client for the ModelArts at ``endpoint``. Sends nothing.

    Raises:
        AccessRefused: there is no project, and IAM must not be asked for it.
    """
    from huaweicloudsdkcore.auth.credentials import BasicCredentials
    from huaweicloudsdkcore.http.http_config import HttpConfig
    from huaweicloudsdkmodelarts.v1 import ModelArtsClient

    if not access.project and is_loopback(endpoint) and not environ.get(IAM_ENDPOINT):
        # The key of a mocked platform is not for Huawei's IAM.
        raise AccessRefused("the project is not known, and ModelArts is on this machine", endpoint,
                            f"Export HUAWEICLOUD_SDK_PROJECT_ID, or {IAM_ENDPOINT}")
    logger = logging.getLogger("HuaweiCloud-SDK-ModelArtsClient")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())  # else Python prints its errors, which are told here in our words
    config = HttpConfig.get_default_config()
    config.timeout = (CONNECT_SECONDS, READ_SECONDS)
    config.ssl_ca_cert = environ.get("SSL_CERT_FILE") or environ.get("REQUESTS_CA_BUNDLE") or None
    proxy = read_proxy(environ, endpoint)
    if proxy is not None:
        config.proxy_protocol, config.proxy_host, config.proxy_port = "http", proxy.host, proxy.port
        if proxy.username:
            config.proxy_user, config.proxy_password = quote(proxy.username, safe=""), proxy.password or ""
    credentials = BasicCredentials(access.key_id, access.secret, access.project)
    if access.token:
        credentials = credentials.with_security_token(access.token)
    client = ModelArtsClient.new_builder().with_http_config(config).with_credentials(credentials) \
        .with_endpoint(endpoint).build()
    # Otherwise the HTTP library would send requests to this machine through a proxy, and take keys from ~/.netrc.
    client.get_http_client()._session.trust_env = False
    return client


def find_project(client: Any, region: str) -> None:
    """Ask IAM for the project of the client's access key in a region. Raises the errors of the SDK."""
    from huaweicloudsdkcore.exceptions.exceptions import SdkException, ServiceResponseException

    try:
        client.get_credentials().process_auth_params(client.get_http_client(), region)
    except SdkException as error:
        refusal = error.__context__  # of which the SDK has made another error, without a status
        if isinstance(refusal, ServiceResponseException):
            raise refusal from None
        raise
