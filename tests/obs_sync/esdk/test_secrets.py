"""No secret in any log, at any level: not in ours, not in the SDK's, nor in exceptions."""

from __future__ import annotations

import logging
import os
import traceback

import pytest

from obs_sync import StoreError, open_store
from obs_sync.checkpoints.collect import find_waste, remove_waste
from obs_sync.esdk import upload
from obs_sync.mock import Call, Credentials, Faults, Rule, Status, mock_obs
from obs_sync.retry import Retry
from tests.obs_sync.tunnel_proxy import TunnelProxy

SECRET, TOKEN, PASSWORD, WRONG = "S3cr3tKeyOfTheUser", "T0kenOfTheSession", "Pr0xyPassw0rd", "Wr0ngS3cr3t"


@pytest.fixture
def obs():
    with mock_obs(credentials=Credentials("access-key-id", SECRET, TOKEN)) as server:
        server.create_bucket("bucket")
        yield server


@pytest.fixture
def proxy():
    proxy = TunnelProxy()
    yield proxy
    proxy.close()


def log_everything_of_the_sdk(client, directory):
    """As the SDK's own manual says; it has no other switch."""
    from obs import LogConf
    (directory / "log.conf").write_text(
        f"[LOGCONF]\nLogFileDir={directory}\nLogFileName=sdk.log\nLogFileNumber=0\nLogFileSize=0\nLogFileLevel=DEBUG\n"
        "PrintLogToConsole=1\nPrintLogLevel=DEBUG\n")
    client.sdk.initLog(LogConf(str(directory / "log.conf")), "sdk_of_" + directory.name)


def everything(store, path, tmp_path):
    yield lambda: store.write("a", b"content")
    yield lambda: store.read("a")
    yield lambda: store.download(store.head("a"), str(tmp_path / "down"))
    yield lambda: store.upload(path, "big")
    yield lambda: list(store.list())
    yield lambda: store.read_range(store.head("a"), 1, 2)
    yield lambda: store.unfinished_uploads()
    yield lambda: [remove_waste(store, waste) for waste in find_waste(store, bool)]
    yield lambda: store.head("missing")
    yield lambda: store.delete(["a", "big"])


@pytest.mark.parametrize("trouble", ["none", "wrong secret", "wrong token", "denied", "storm", "down"])
def test_no_secret_is_in_any_log_or_exception(obs, proxy, tmp_path, caplog, capfd, monkeypatch, trouble):
    original = upload.put_file
    monkeypatch.setattr("obs_sync.esdk.store.put_file",
                        lambda *arguments: original(*arguments, part_size=200000, largest_put=300000))
    caplog.set_level(logging.DEBUG)
    (tmp_path / "big").write_bytes(os.urandom(500000))
    environ = {**obs.environment(), "HTTP_PROXY": f"http://me:{PASSWORD}@127.0.0.1:{proxy.port}",
               "NO_PROXY": ""}
    if trouble == "wrong secret":
        environ["OBS_SECRET_ACCESS_KEY"] = WRONG
    if trouble == "wrong token":
        environ["OBS_SECURITY_TOKEN"] = WRONG
    signatures, told = set(), []
    rules = {"denied": [Rule(Status(403, "AccessDenied"))],
             "down": [Rule(Status(503, retry_after=1), "*Object*,*Upload*")],
             "storm": [Rule(Status(503), every=3)]}.get(trouble, [])
    note = Call(lambda request: signatures.add(request.headers.get("authorization", "none:none").split(":")[1]))
    obs.faults = Faults([Rule(note)] + rules)
    with open_store("obs://bucket/", environ, retry=Retry(3, sleep=lambda seconds: None)) as store:
        log_everything_of_the_sdk(store._calls.client, tmp_path)
        for operation in everything(store, str(tmp_path / "big"), tmp_path):
            try:
                told.append(repr(operation()))
            except StoreError:
                told.append(traceback.format_exc())
        told += [repr(store), repr(store._calls.client.keys.current()), str(store)]
    log = (tmp_path / "sdk.log").read_text(encoding="utf-8")
    printed = capfd.readouterr()
    everywhere = "\n".join(told) + caplog.text + log + printed.out + printed.err
    signatures.discard("none")
    assert "PUT" in log and len(log) > 1000 and len(signatures) > 3  # so there was something to look at
    assert proxy.connects
    for secret in [SECRET, TOKEN, PASSWORD, WRONG] + sorted(signatures):
        assert secret not in everywhere
