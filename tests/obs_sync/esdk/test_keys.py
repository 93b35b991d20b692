"""Keys that are rotated, and tokens that expire, while the job runs."""

from __future__ import annotations

import sys
import os
import threading
import types

import pytest

from obs_sync import AccessDenied, CredentialsMissing, open_store, pull, push
from obs_sync.esdk.credentials import Credentials
from obs_sync.esdk.keys import Keys
from obs_sync.mock import Call, ExpiredToken, Faults, Rule, mock_obs
from obs_sync.mock import Credentials as MockedCredentials
from tests.obs_sync.scripted_server import error, reply, scripted_server, store_at
from tests.obs_sync.trees import read_tree, write_tree

CODES = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "InvalidSecurityToken")


def key_of(request):
    return request.headers.get("Authorization", "").partition(" ")[2].partition(":")[0]


@pytest.fixture
def server():
    with scripted_server() as (script, url):
        script.url = url
        yield script


class Source:
    """Where keys come from; counts how often it is asked."""

    def __init__(self, name="new"):
        self.name = name
        self.asked = 0

    def __call__(self):
        self.asked += 1
        if self.name is None:
            raise CredentialsMissing("half written")
        return Credentials(self.name, "hush", "token", source="the source")


def only(names, code="ExpiredToken"):
    """A twist that refuses all keys but these."""
    def twist(request):
        if key_of(request) in names:
            return None
        return reply(403) if request.method == "HEAD" else error(403, code)
    return twist


@pytest.mark.parametrize("code", CODES)
def test_a_rotated_key_is_read_again_and_the_request_repeated(server, code, tmp_path):
    source = Source()
    (tmp_path / "file").write_bytes(b"content")
    server.twist = only(["new"], code)
    with store_at(server.url, read_again=source) as store:
        store.upload(str(tmp_path / "file"), "a")
        assert server.objects == {"a": b"content"} and source.asked == 1
        assert [info.key for info in store.list()] == ["a"] and store.read("a") == b"content"
    assert source.asked == 1


def test_the_reply_to_head_tells_no_reason_and_is_taken_for_such(server):
    source = Source()
    server.objects["a"] = b"content"
    server.twist = lambda request: None if key_of(request) == "new" else \
        reply(403) if request.method == "HEAD" else error(403, "AccessDenied")
    with store_at(server.url, read_again=source) as store:
        assert store.head("a").size == 7
    assert source.asked == 1


def test_a_read_renews_too(server):
    server.objects["a"] = b"content"
    server.twist = only(["new"])
    with store_at(server.url, read_again=Source()) as store:
        assert store.read("a") == b"content"


@pytest.mark.parametrize("name", ["id", None], ids=["the same key", "an unreadable source"])
def test_without_another_key_the_refusal_is_told_with_its_source(server, name):
    source = Source(name)
    told = "OBS_CREDENTIALS_FILE"
    same = (lambda: source() and Credentials("id", "hush", source=told)) if name else source
    server.twist = only([])
    with store_at(server.url, read_again=same, source=told) as store:
        for _ in range(3):
            with pytest.raises(AccessDenied, match="ExpiredToken.* access key of OBS_CREDENTIALS_FILE") as caught:
                store.read("a")
            assert type(caught.value) is AccessDenied and "hush" not in str(caught.value)
    assert source.asked == 1  # in these seconds
    assert len(server.requests) == 3


def test_a_new_key_that_is_refused_too_is_not_tried_for_ever(server):
    source = Source()
    server.twist = only([])
    with store_at(server.url, read_again=source) as store:
        with pytest.raises(AccessDenied, match="the access key of the source"):
            store.read("a")
    assert source.asked == 1 and len(server.requests) == 2


def test_a_permission_that_lacks_is_no_reason_to_read_again(server):
    source = Source()
    server.twist = lambda request: error(403, "AccessDenied")
    with store_at(server.url, read_again=source) as store:
        with pytest.raises(AccessDenied, match="Grant"):
            store.read("a")
    assert source.asked == 0 and len(server.requests) == 1


def test_of_many_threads_that_are_refused_at_once_one_reads_again(server):
    source, barrier, failed = Source(), threading.Barrier(8), []
    server.objects["a"] = b"content"

    def twist(request):
        if key_of(request) == "new":
            return None
        barrier.wait(10)
        return error(403, "ExpiredToken")

    server.twist = twist
    with store_at(server.url, read_again=source) as store:
        def read():
            try:
                assert store.read("a") == b"content"
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=read) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failed == [] and source.asked == 1


def test_a_source_is_asked_again_after_a_while():
    now, client = [0.0], types.SimpleNamespace(sign_with=lambda key: None)
    source = Source("id")
    keys = Keys(client, Credentials("id", "hush", "token"), source, clock=lambda: now[0])
    used = keys.current()
    assert not keys.renew(used) and not keys.renew(used) and source.asked == 1
    now[0] = 6.0
    assert not keys.renew(used) and source.asked == 2
    assert "hush" not in repr(used)


def test_a_token_that_expires_in_mid_run_is_followed_by_that_of_the_file(tmp_path):
    """Against the mocked OBS, which checks signatures and tokens."""
    text = "OBS_ACCESS_KEY_ID={}\nOBS_SECRET_ACCESS_KEY={}\nOBS_SECURITY_TOKEN={}\n"
    path, tree = tmp_path / "key", {"%d.jpg" % number: b"x" * number for number in range(30)}
    with mock_obs(buckets=["bucket"], credentials=MockedCredentials("first", "hush", "token-1")) as obs:
        rotating = threading.Lock()

        def rotate(request):  # by whoever comes first; none is refused before the file says what is to be had
            with rotating:
                (tmp_path / "new").write_text(text.format("second", "hushed", "token-2"))
                os.replace(str(tmp_path / "new"), str(path))
                obs.credentials = MockedCredentials("second", "hushed", "token-2")

        obs.faults = Faults([Rule(Call(rotate), since=40), Rule(ExpiredToken(), since=40)])
        path.write_text(text.format("first", "hush", "token-1"))
        with open_store("obs://bucket/", {"OBS_SERVER": obs.endpoint, "OBS_CREDENTIALS_FILE": str(path)}) as store:
            push(store, write_tree(tmp_path / "source", tree))
            pull(store, str(tmp_path / "back"))
        assert obs.injected["expired-token"] >= 1
    assert read_tree(tmp_path / "back") == tree


def test_a_token_that_expires_without_another_is_told_with_the_file(tmp_path):
    path = tmp_path / "key"
    path.write_text("OBS_ACCESS_KEY_ID=first\nOBS_SECRET_ACCESS_KEY=hush\nOBS_SECURITY_TOKEN=token-1\n")
    with mock_obs(buckets=["bucket"], credentials=MockedCredentials("first", "hush", "token-1")) as obs:
        obs.faults = Faults([Rule(ExpiredToken(), "*Object")])
        with open_store("obs://bucket/", {"OBS_SERVER": obs.endpoint, "OBS_CREDENTIALS_FILE": str(path)}) as store:
            with pytest.raises(AccessDenied, match="ExpiredToken.*access key of .*key .OBS_CREDENTIALS_FILE.*expired"):
                store.write("a", b"content")


def test_the_agency_is_asked_for_another_key(monkeypatch):
    """The SDK keeps its key in a class of its own; an instance that does not answer leaves the old one."""
    class ECS:
        ak, sk, token, expires = "old", "hush", "token", "later"

    monkeypatch.setitem(sys.modules, "obs.loadtoken", types.SimpleNamespace(ECS=ECS))

    class Client:
        answers = True

        def _get_token(self):
            if self.answers:
                ECS.ak, ECS.expires = "new", "much later"

    client = Client()
    keys = Keys(types.SimpleNamespace(sdk=client), Credentials(agency=True, source="OBS_CREDENTIALS=ecs"))
    used = keys.current()
    client.answers = False
    assert not keys.renew(used) and ECS.expires == "later"
    client.answers, keys._nothing_new = True, None
    assert keys.renew(used) and keys.current().access_key_id == "new"
