"""OBS_SERVER as people write it: by name, by address, on this machine, mistyped."""
from __future__ import annotations

import pytest

from obs_sync import StoreError, StoreUnavailable, open_store, pull, push
from obs_sync.mock.activation import RESOLVER_PATH
from obs_sync.mock.resolver import forget, resolve
from obs_sync.retry import Retry
from tests.obs_sync.scripted_server import scripted_server
from tests.obs_sync.trees import read_tree, write_tree

QUICK = Retry(attempts=2, sleep=lambda seconds: None)
TREE = {"a": b"x" * 100, "b/c": b"y", "b/d": b""}


@pytest.fixture
def one_address():
    """The mocked OBS listens at 127.0.0.1 alone: these names lead there, whatever this machine makes of them."""
    names = ("::1", "localhost", "storage")
    for name in names:
        resolve(name)
    yield
    for name in names:
        forget(name)


def opened(obs, server):
    return open_store("obs://bucket/base/", dict(obs.environment(), OBS_SERVER=server), retry=QUICK)


@pytest.mark.parametrize("host", ["localhost", "[::1]", "storage", "127.0.0.1", "LOCALHOST"])
def test_a_host_below_which_nothing_resolves_has_the_bucket_in_the_path(obs, one_address, tmp_path, host):
    write_tree(tmp_path / "here", TREE)
    with opened(obs, f"http://{host}:{obs.port}") as store:
        push(store, str(tmp_path / "here"))
        pull(store, str(tmp_path / "there"))
        store.delete(["a"])  # by the SDK, too
        assert [info.key for info in store.list()] == ["b/c", "b/d"]
    assert read_tree(tmp_path / "there") == TREE


def test_a_name_with_dots_keeps_the_bucket_in_the_host_name(obs):
    with opened(obs, obs.endpoint) as store:
        store.write("a", b"x")
        assert not store._calls.client.in_path and store._calls.client.sdk.path_style is False


@pytest.mark.parametrize("operation", [lambda store: store.read("a"), lambda store: store.write("a", b"x")])
def test_a_name_that_does_not_resolve_is_told(obs, operation):
    with opened(obs, "http://obs.cn-nowhere-1.invalid:1") as store:
        with pytest.raises(StoreUnavailable, match="'bucket.obs.cn-nowhere-1.invalid' cannot be resolved") as caught:
            operation(store)
    assert "OBS_SERVER" in str(caught.value) and "DNS" in str(caught.value) and "tried 2 times" in str(caught.value)


def test_the_name_of_a_mock_that_does_not_resolve_asks_for_the_folder_of_its_resolver(obs, monkeypatch):
    monkeypatch.setenv("MOCK_OBS_RESOLVE", "other.invalid=127.0.0.1,obs.mocked.invalid=127.0.0.1")
    with opened(obs, "http://obs.mocked.invalid:1") as store:
        with pytest.raises(StoreUnavailable) as caught:
            store.read("a")
    assert f"PYTHONPATH lacks the folder {RESOLVER_PATH}; put it in front of PYTHONPATH" in str(caught.value)


def test_the_name_of_a_proxy_that_does_not_resolve_is_told_as_the_proxys(obs):
    environ = dict(obs.environment(), HTTP_PROXY="http://proxy.invalid:3128", NO_PROXY="")
    with open_store("obs://bucket/", environ, retry=QUICK) as store:
        with pytest.raises(StoreUnavailable, match="proxy.*'proxy.invalid' cannot be resolved.*HTTP_PROXY"):
            store.read("a")


def test_a_server_that_speaks_no_tls_is_told_at_once():
    with scripted_server() as (script, url):
        environ = {"OBS_ACCESS_KEY_ID": "id", "OBS_SECRET_ACCESS_KEY": "hush",
                   "OBS_SERVER": url.replace("http:", "https:")}
        with open_store("obs://bucket/", environ, retry=QUICK) as store:
            with pytest.raises(StoreError, match="does not speak TLS.*http://") as caught:
                store.read("a")
    assert not isinstance(caught.value, StoreUnavailable)


def test_a_server_address_that_begins_with_the_bucket_is_told(obs):
    with opened(obs, f"http://bucket.{obs.host_name}:{obs.port}") as store:
        with pytest.raises(StoreError, match="OBS_SERVER begins with the bucket's name") as caught:
            list(store.list())
    assert obs.host_name in str(caught.value)
