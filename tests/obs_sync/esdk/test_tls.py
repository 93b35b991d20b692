"""TLS is verified: by certificate and by host name, which the SDK by itself does not do."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading

import pytest

from obs_sync import StoreError, open_store
from obs_sync.http.reply import is_quiet
from obs_sync.retry import Retry
from tests.obs_sync.scripted_server import reply, scripted_server, store_at
from tests.obs_sync.tunnel_proxy import TunnelProxy

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")


@pytest.fixture(scope="module")
def make_server(tmp_path_factory):
    """make_server(name) -> (context manager of a server with a certificate for `name`, path of that certificate)."""
    directory = tmp_path_factory.mktemp("tls")

    def make(name):
        key, certificate = str(directory / (name + ".key")), str(directory / (name + ".pem"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test",
                        "-addext", "subjectAltName=" + name, "-keyout", key, "-out", certificate],
                       check=True, stderr=subprocess.DEVNULL)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return scripted_server(context), certificate

    return make


def test_an_unknown_certificate_is_refused_and_the_ways_out_are_told(make_server):
    server, _ = make_server("IP:127.0.0.1")
    with server as (script, url), store_at(url) as store:
        with pytest.raises(StoreError, match="SSL_CERT_FILE.*OBS_SSL_VERIFY=0"):
            store.read("a")
        assert script.requests == []


def test_a_private_authority_is_named_by_ssl_cert_file(make_server, monkeypatch):
    server, certificate = make_server("IP:127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", certificate)
    with server as (script, url), store_at(url) as store:
        store.write("a", b"content")
        assert store.read("a") == b"content"


def test_a_certificate_for_another_host_is_refused(make_server, monkeypatch):
    server, certificate = make_server("DNS:obs.example.com")
    monkeypatch.setenv("SSL_CERT_FILE", certificate)
    with server as (script, url), store_at(url) as store:
        with pytest.raises(StoreError, match="127.0.0.1"):
            store.read("a")
        assert script.requests == []


def test_verification_can_be_switched_off_and_the_log_warns_of_it(make_server, caplog):
    server, _ = make_server("DNS:obs.example.com")
    with server as (script, url), store_at(url, verify_tls=False) as store:
        store.write("a", b"content")
        assert store.read("a") == b"content"
        warning, = caplog.records
        assert warning.levelname == "WARNING" and url in caplog.text and "OBS_SSL_VERIFY" in caplog.text


def test_nothing_is_warned_of_while_tls_is_verified_or_there_is_none(make_server, caplog):
    server, _ = make_server("IP:127.0.0.1")
    with server as (script, url), store_at(url), store_at("http://127.0.0.1:1", verify_tls=False):
        assert caplog.records == []


def test_through_a_proxy_the_certificate_is_still_the_servers(make_server, monkeypatch):
    """With the name that the proxy is asked for, and nothing of it to be read on the way."""
    from obs_sync.mock import resolver
    server, certificate = make_server("DNS:bucket.obs.tunnel.test")
    monkeypatch.setenv("SSL_CERT_FILE", certificate)
    resolver.resolve("obs.tunnel.test")
    proxy = TunnelProxy()
    try:
        with server as (script, url):
            script.twist = lambda request: reply() if request.method == "HEAD" else None
            environ = {"OBS_SERVER": url.replace("127.0.0.1", "obs.tunnel.test"), "OBS_ACCESS_KEY_ID": "id",
                       "OBS_SECRET_ACCESS_KEY": "hush", "HTTPS_PROXY": "http://127.0.0.1:%d" % proxy.port}
            with open_store("obs://bucket/", environ, retry=Retry(1)) as store:
                assert list(store.list()) == []
            with open_store("obs://another/", environ, retry=Retry(1)) as store:
                with pytest.raises(StoreError, match="certificate could not be verified"):
                    list(store.list())
        assert {place.split(".")[0] for place in proxy.connects} == {"bucket", "another"}
    finally:
        proxy.close()
        resolver.forget("obs.tunnel.test")


def test_tickets_for_later_tls_sessions_are_no_reason_to_drop_a_connection(make_server):
    _, certificate = make_server("IP:127.0.0.1")
    ours, theirs = socket.socketpair()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate[:-len("pem")] + "key")
    accepted = []
    thread = threading.Thread(target=lambda: accepted.append(context.wrap_socket(theirs, server_side=True)))
    thread.start()
    trusting = ssl.create_default_context(cafile=certificate)
    with trusting.wrap_socket(ours, server_hostname="127.0.0.1") as connected:
        thread.join(10)  # by now the tickets of TLS 1.3 are there
        assert is_quiet(connected)
        accepted[0].sendall(b"unasked")
        assert not is_quiet(connected)
        connected.recv(100)
        assert is_quiet(connected)
        accepted[0].close()
        assert not is_quiet(connected)
