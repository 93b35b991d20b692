from __future__ import annotations

import traceback

import pytest

from obs_sync import InvalidUrl
from obs_sync.esdk.credentials import read_endpoint
from obs_sync.http.proxies import read_proxy

OBS = "https://obs.example.com"


def test_the_proxy_is_that_of_the_servers_scheme():
    environ = {"HTTPS_PROXY": "http://secure:3128", "HTTP_PROXY": "plain:8080"}
    assert (read_proxy(environ, OBS).host, read_proxy(environ, OBS).port) == ("secure", 3128)
    assert (read_proxy(environ, "http://obs.example.com").host, read_proxy(environ, "http://x").port) == ("plain", 8080)
    assert read_proxy({"HTTP_PROXY": "http://plain"}, OBS) is None
    assert read_proxy({"https_proxy": "http://lower", "HTTPS_PROXY": "http://upper"}, OBS).host == "lower"
    assert read_endpoint({"OBS_SERVER": "obs.example.com", "HTTPS_PROXY": "http://secure"}).proxy.host == "secure"


@pytest.mark.parametrize("server", ["https://localhost", "https://127.0.0.1:9000", "https://127.3.2.1", "https://[::1]"])
def test_this_machine_is_asked_directly(server):
    assert read_proxy({"HTTPS_PROXY": "http://proxy"}, server) is None


@pytest.mark.parametrize("excepted, directly", [
    ("*", True), ("example.com", True), (".example.com", True), ("*.example.com", True), ("obs.example.com", True),
    ("OBS.Example.com", True), ("other.org, obs.example.com:443", True), ("obs.example.com:8443", False),
    ("ample.com", False), ("a.obs.example.com", False), ("", False), (",", False), ("10.0.0.0/8", False)])
def test_no_proxy_names_servers_and_all_below_them(excepted, directly):
    assert (read_proxy({"HTTPS_PROXY": "http://proxy", "NO_PROXY": excepted}, OBS) is None) == directly


@pytest.mark.parametrize("excepted, directly", [("10.0.0.0/8", True), ("10.1.2.3", True), ("10.1.2.3:443", True),
                                                ("11.0.0.0/8", False), ("nonsense/8", False), ("2.3", False)])
def test_no_proxy_names_addresses_and_networks(excepted, directly):
    assert (read_proxy({"HTTPS_PROXY": "http://p", "no_proxy": excepted}, "https://10.1.2.3") is None) == directly


def test_a_password_is_decoded_and_never_shown():
    proxy = read_proxy({"HTTPS_PROXY": "http://me:p%40ss%2Fs3cr3t@proxy:1"}, OBS)
    assert (proxy.username, proxy.password) == ("me", "p@ss/s3cr3t") and "s3cr3t" not in repr(proxy)
    for wrong in ("https://me:s3cr3t@proxy:1", "socks5://me:s3cr3t@proxy:1", "http://me:s3cr3t@proxy:port",
                  "http://me:s3cr3t@", "http://me:s3cr3t#@proxy:1/", "http://me:12#s3cr3t@proxy:1", "me:s3cr3t/@proxy",
                  "http://me:1/s3cr3t?@proxy", "http://me:s3cr3t@[::1", "http://me:s3cr3t[@proxy",
                  "http://me:s3cr3t\u2100@proxy", "me:s3cr3t://@proxy"):
        with pytest.raises(InvalidUrl, match="HTTPS_PROXY") as caught:
            read_proxy({"HTTPS_PROXY": wrong}, OBS)
        assert "s3cr3t" not in "".join(traceback.format_exception(None, caught.value, caught.value.__traceback__))
