"""A machine whose clock is wrong: requests are dated by the server's clock, in reading and in writing."""
from __future__ import annotations

import logging
import time

import pytest

from obs_sync import AccessDenied, open_store, pull, push
from obs_sync.esdk.connect import _client_class
from obs_sync.esdk.server_clock import ServerClock
from obs_sync.mock import Faults
from obs_sync.retry import Retry
from tests.obs_sync.scripted_server import error, scripted_server, store_at
from tests.obs_sync.trees import read_tree, write_tree

QUICK = Retry(attempts=4, sleep=lambda seconds: None)
WRONG = "RequestTimeTooSkewed"
TREE = {f"a/{number:02}": b"content of %d" % number for number in range(20)}


@pytest.fixture(params=["obs", "v2"])
def server(obs, request):
    """The mocked OBS, by host name in its own dialect or by address in the older one."""
    obs.url = obs.endpoint if request.param == "obs" else obs.path_style_endpoint
    return obs


def open_at(server, **changes):
    return open_store("obs://bucket/base/", dict(server.environment(), OBS_SERVER=server.url, **changes), retry=QUICK)


@pytest.mark.parametrize("seconds", [1000, -1000, 1e7])
def test_reads_and_writes_are_dated_by_the_server(server, tmp_path, seconds, caplog):
    server.faults = Faults([f"* skew={seconds}"])
    write_tree(tmp_path / "here", TREE)
    with open_at(server) as store:
        push(store, str(tmp_path / "here"))
    with open_at(server) as store:
        pull(store, str(tmp_path / "there"))
        store.write("one", b"x" * 1000)
        store.delete(["one"])
        assert [info.key for info in store.list("one")] == []
    assert read_tree(tmp_path / "there") == TREE
    refused = [record.operation for record in server.requests if record.code == WRONG]
    assert 1 <= len(refused) <= 4  # a client learns once, not with each request
    told = [record.getMessage() for record in caplog.records if "clock" in record.getMessage()]
    assert len(told) == 2 and ("behind" if seconds > 0 else "ahead of") in told[0]


def test_the_first_request_of_a_client_may_be_a_write(server):
    server.faults = Faults(["* skew=5000"])
    with open_at(server) as store:
        store.write("one", b"first")
    assert server.get("bucket", "base/one") == b"first"


def test_large_objects_are_dated_by_the_server_in_every_request(server, tmp_path):
    server.faults = Faults(["* skew=-4000"])
    data = bytes(range(256)) * 300_000  # stored in parts, fetched by ranges
    (tmp_path / "large").write_bytes(data)
    with open_at(server) as store:
        store.upload(str(tmp_path / "large"), "large")
        store.download(store.head("large"), str(tmp_path / "again"))
    assert (tmp_path / "again").read_bytes() == data
    assert {"UploadPart", "CompleteMultipartUpload"} <= {
        record.operation for record in server.requests if record.status < 300}


@pytest.mark.parametrize("operation", ["GetObject", "PutObject", "ListObjects", "HeadObject"])
def test_a_single_refusal_is_not_final(server, tmp_path, operation, caplog):
    server.put("bucket", "base/a", b"there")
    server.faults = Faults([f"{operation} nth=1 status=403 code={WRONG}"])
    with open_at(server) as store:
        assert [info.key for info in store.list()] == ["a"] and store.read("a") == b"there"
        store.write("b", b"x")
        assert store.head("b").size == 1
    assert server.injected and not any("clock" in record.getMessage() for record in caplog.records)


def test_a_refusal_amid_a_group_that_was_asked_for_at_once_is_not_final(server, tmp_path):
    for key, data in TREE.items():
        server.put("bucket", "base/" + key, data)
    server.faults = Faults([f"GetObject nth=7 status=403 code={WRONG}"])
    with open_at(server) as store:
        pull(store, str(tmp_path / "there"))
    assert read_tree(tmp_path / "there") == TREE and server.injected


def test_a_clock_that_is_always_refused_is_told_after_a_few_attempts():
    with scripted_server() as (script, url):
        script.twist = lambda request: error(403, WRONG)
        with store_at(url) as store, pytest.raises(AccessDenied, match="clock.*apart.*Set this machine's clock"):
            store.read("a")
        assert len(script.requests) == 4


def test_a_clock_that_is_set_meanwhile_is_believed_again(caplog):
    ours = [1000.0]
    clock = ServerClock(lambda: ours[0])
    clock.learn(5000.0)
    assert clock.now() == 5000.0
    ours[0] = 5100.0
    clock.learn(5101.0)
    assert clock.now() == 5100.0 and clock.ahead == 0.0
    clock.learn(None)
    assert clock.now() == 5100.0
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2


def test_version_4_signatures_carry_the_servers_date_as_well(obs):
    """Nothing of this project asks for them, but the SDK can."""
    obs.put("bucket", "a", b"x")
    obs.faults = Faults(["* skew=100000"])  # the day that is signed is another one, too
    client = _client_class()(**dict(obs.client_arguments(path_style=True), signature="v4", path_style=True,
                                    max_retry_count=0))
    assert client.headObject("bucket", "a").status == 403
    client.server_clock = ServerClock()
    client.server_clock.learn(time.time() + 100000)
    assert client.putContent("bucket", "b", "y").status == 200 and client.headObject("bucket", "a").status == 200
    client.close()
