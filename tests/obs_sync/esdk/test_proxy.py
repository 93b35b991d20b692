"""Through a proxy: what the environment says, with few tunnels, and its password kept to itself."""

from __future__ import annotations

import base64
import os

import pytest

from obs_sync import StoreError, open_store
from obs_sync.esdk import upload
from obs_sync.esdk import client
from tests.obs_sync.tunnel_proxy import TunnelProxy


@pytest.fixture
def proxy():
    proxy = TunnelProxy()
    yield proxy
    proxy.close()


def open_through(obs, proxy, login="", **variables):
    environ = {**obs.environment(), "HTTP_PROXY": "http://%s127.0.0.1:%d" % (login, proxy.port), "NO_PROXY": "",
               **variables}
    return open_store("obs://bucket/", environ)


def test_every_request_goes_through_the_proxy_over_few_tunnels(obs, proxy, tmp_path, monkeypatch):
    original = upload.put_file
    monkeypatch.setattr("obs_sync.esdk.store.put_file", lambda *arguments: original(
        *arguments, part_size=200000, largest_put=300000))
    (tmp_path / "big").write_bytes(os.urandom(500000))
    with open_through(obs, proxy) as store:
        for number in range(5):
            store.write("a%d" % number, b"content")
            assert store.read("a%d" % number) == b"content"
        store.upload(str(tmp_path / "big"), "big")
        assert len(list(store.list())) == 6
        store.delete(["a0"])
    assert set(proxy.connects) == {"bucket.%s:%d" % (obs.host_name, obs.port)}
    assert len(obs.requests) > 20 and len(proxy.connects) <= 2 + 4  # SDK, reader, and the workers of an upload


def test_a_server_that_is_excepted_is_asked_directly(obs, proxy):
    with open_through(obs, proxy, NO_PROXY=".fake-obs.test") as store:
        store.write("a", b"content")
    assert proxy.connects == []


def test_the_mocked_obs_is_never_looked_for_behind_a_proxy(obs, proxy, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:%d" % proxy.port)
    for environ in (os.environ, obs.environment({"HTTP_PROXY": os.environ["HTTP_PROXY"], "NO_PROXY": "a.org,.b.org"})):
        with open_store("obs://bucket/", environ) as store:
            store.write("a", b"content")
        assert environ["NO_PROXY"].split(",")[-1] == obs.host_name
    assert proxy.connects == [] and environ["NO_PROXY"].startswith("a.org,.b.org,")


def test_a_proxy_may_ask_for_a_password_which_nobody_else_sees(obs):
    login = "Basic " + base64.b64encode(b"me:s3cr3t@").decode()
    proxy = TunnelProxy(login)
    try:
        with open_through(obs, proxy, "me:s3cr3t%40@") as store:
            store.write("a", b"content")
            assert store.read("a") == b"content"
            assert "s3cr3t" not in repr(store)
    finally:
        proxy.close()


@pytest.mark.parametrize("operation", [lambda store: store.read("a"), lambda store: store.write("a", b"x")])
def test_a_proxy_that_refuses_is_named_at_once_without_the_password(obs, operation):
    proxy = TunnelProxy("Basic other")
    try:
        with open_through(obs, proxy, "me:s3cr3t@") as store:
            with pytest.raises(StoreError, match="the proxy refuses.*407.*HTTPS_PROXY") as caught:
                operation(store)
        assert "s3cr3t" not in str(caught.value) and len(proxy.heads) == 1
    finally:
        proxy.close()


@pytest.mark.parametrize("told, refused", [
    ("the proxy answers 407 Proxy Authentication Required", True), ("Tunnel connection failed: 403 Forbidden", True),
    ("the proxy answers 503 the upstream said 429", False)])
def test_only_the_status_says_whether_a_proxy_refuses_for_good(told, refused):
    assert (client._PROXY_REFUSED.search(told) is not None) == refused
