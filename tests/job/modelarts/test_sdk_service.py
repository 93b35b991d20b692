"""Huawei's SDK over HTTP to a server that answers as a test says: requests, retries, errors, and what is never sent."""

from __future__ import annotations

import http.server
import json
import logging
import threading

import pytest

from job.errors import ConfigError
from job.exits import CONFIGURATION, MODELARTS, exit_code
from job.modelarts import sdk_service
from job.modelarts.errors import (
    AccessRefused,
    ModelArtsUnavailable,
    NoSuchJob,
    QuotaExceeded,
    RequestRefused,
    SdkMissing,
    TooManyRequests,
)
from job.modelarts.request import JobRequest
from obs_sync.retry import Retry
from tests.job.modelarts.test_replies import JOB

SECRET, TOKEN = "the-secret-key", "the-token"
REDIRECTION = "HUAWEICLOUD_SDK_REGION_MODELARTS_CN_NORTH_4"
REFUSED = {"error_code": "ModelArts.2758", "error_msg": "something is wrong"}
REQUEST = JobRequest("name", "obs://bucket/code/", "boot_modelarts.py", "flavor", engine="E:v")


class Scripted(http.server.BaseHTTPRequestHandler):
    """Gives the next of the server's `replies`, (status, document or bytes), and notes the request."""

    def reply(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.server.requests.append((self.command, self.path, dict(self.headers), self.rfile.read(length)))
        status, content = self.server.replies.pop(0)
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        if status is None:  # the connection ends before a reply
            return
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = reply

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def running():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Scripted)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def server(running, monkeypatch):
    running.replies, running.requests = [], []
    monkeypatch.setenv(REDIRECTION, f"http://127.0.0.1:{running.server_port}")
    return running


@pytest.fixture
def environ(tmp_path):
    return {"HUAWEICLOUD_SDK_AK": "the-key", "HUAWEICLOUD_SDK_SK": SECRET, "HUAWEICLOUD_SDK_SECURITY_TOKEN": TOKEN,
            "HUAWEICLOUD_SDK_PROJECT_ID": "project", "HOME": str(tmp_path)}


@pytest.fixture
def service(server, environ):
    slept = []
    made = sdk_service.connect(environ, "cn-north-4", Retry(attempts=3, sleep=slept.append))
    made.slept = slept
    return made


def test_the_very_body_of_a_request_is_sent(service, server):
    server.replies = [(201, JOB)]
    request = REQUEST._replace(
        parameters=(("seed", "3"),), inputs=(("data_url", "obs://bucket/pacs/"),),
        outputs=(("train_url", "obs://bucket/output/"),), annotations=(("a", "b"),), nodes=2, pool="pool",
        log_url="obs://bucket/logs/", max_hours=3, retries=2, notify="urn:smn:topic", environment=(("E", "v"),))
    assert service.create(request).id == "id"
    ((method, path, _, body),) = server.requests
    assert (method, path, json.loads(body)) == ("POST", "/v2/project/training-jobs", request.body())
    assert request.body()["metadata"]["annotations"] == {"a": "b", "fault-tolerance/job-retry-num": "2"}
    assert request.body()["spec"]["auto_stop"] == {"time_unit": "HOURS", "duration": 3}


def test_the_other_calls_ask_as_modelarts_expects(service, server):
    server.replies = [(200, each) for each in (
        JOB, JOB, {"start_line": "2", "content": "b\nc\n"}, {"flavors": [{"flavor_id": "f"}]},
        {"items": [{"engine_id": "e"}]}, {"events": [{"message": "m"}], "total": 1}, {"is_duplicate": True})]
    assert service.get("id").name == "name"
    assert service.stop("id").name == "name"
    assert service.lines("id", "worker-0", 2).lines == ("b", "c")
    assert [flavor.id for flavor in service.flavors("Ascend")] == ["f"]
    assert [engine.id for engine in service.engines()] == ["e"]
    assert [event.message for event in service.events("id")] == ["m"]
    assert not service.is_name_free("name")
    assert [f"{method} {path}" for method, path, _, _ in server.requests] == [
        "GET /v2/project/training-jobs/id",
        "POST /v2/project/training-jobs/id/actions",
        "GET /v2/project/training-jobs/id/logs/worker-0?base_line=1&lines=500&order=asc",
        "GET /v2/project/training-job-flavors?flavor_type=Ascend",
        "GET /v2/project/training-job-engines",
        "GET /v2/project/training-jobs/id/events?limit=100&offset=0&order=asc",
        "GET /v2/project/training-job-names?job_name=name"]


def listed(*numbers):
    return [dict(JOB, metadata=dict(JOB["metadata"], id=str(number))) for number in numbers]


def test_a_list_asks_for_further_pages_as_they_are_needed_and_shows_no_job_twice(service, server):
    server.replies = [(200, {"total": 52, "items": listed(*range(50))}), (200, {"total": 52, "items": listed(49, 50)})]
    jobs = service.jobs("na")
    assert next(jobs).id == "0" and len(server.requests) == 1
    assert [job.id for job in jobs] == [str(number) for number in range(1, 51)]
    first, second = (json.loads(body) for _, _, _, body in server.requests)
    assert (first["offset"], second["offset"], first["limit"]) == (0, 1, 50)  # offset counts pages
    assert first["filters"] == [{"key": "name", "operator": "like", "value": ["na"]}]


def test_a_job_is_found_by_its_whole_name(service, server):
    other = dict(JOB, metadata=dict(JOB["metadata"], id="2", name="name-2"))
    server.replies = [(200, {"total": 2, "items": [other, JOB]})]
    assert [job.id for job in service.find("name")] == ["id"]


def test_a_request_that_can_be_repeated_is_repeated(service, server):
    server.replies = [(503, {}), (429, REFUSED), (200, JOB)]
    assert service.get("id").id == "id"
    assert len(service.slept) == 2


def test_a_connection_that_ends_without_a_reply_is_tried_again(service, server):
    server.replies = [(None, b""), (200, JOB)]
    assert service.get("id").id == "id"


def test_it_gives_up_after_some_attempts_and_says_how_many(service, server):
    server.replies = [(500, REFUSED)] * 3
    with pytest.raises(ModelArtsUnavailable, match=r"ModelArts failed: something is wrong.*tried 3 times"):
        service.get("id")


@pytest.mark.parametrize("status, error", [(500, ModelArtsUnavailable), (429, TooManyRequests)])
def test_a_creation_is_never_repeated_by_itself(service, server, status, error):
    server.replies = [(status, REFUSED)]
    with pytest.raises(error):
        service.create(REQUEST)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status, document, error, told, code", [
    (401, REFUSED, AccessRefused, "does not accept the access key from HUAWEICLOUD_SDK_AK.*clock", MODELARTS),
    (403, REFUSED, AccessRefused, "may not do this.*ModelArts CommonOperations.*agency", MODELARTS),
    (403, {"error_code": "ModelArts.1", "error_msg": "Quota exceeded"}, QuotaExceeded, "Stop a job", MODELARTS),
    (400, {"error_code": "ModelArts.1", "error_msg": "no quota left"}, QuotaExceeded, "My Quotas", MODELARTS),
    (400, REFUSED, RequestRefused, r"refused the request: something is wrong \(ModelArts.2758\)", MODELARTS),
    (404, REFUSED, NoSuchJob, "knows no job 'id'.*python -m job jobs", CONFIGURATION),
    (400, {"error_code": "ModelArts.2775", "error_msg": "no such job"}, NoSuchJob, "knows no job 'id'", CONFIGURATION),
])
def test_a_refusal_says_what_is_wrong_and_how_to_mend_it(service, server, status, document, error, told, code):
    server.replies = [(status, document)]
    with pytest.raises(error, match=told) as caught:
        service.get("id")
    assert (exit_code(caught.value), len(server.requests)) == (code, 1)
    assert SECRET not in str(caught.value) and TOKEN not in str(caught.value)


def test_a_call_that_the_gateway_does_not_know_is_not_told_as_an_unknown_job(service, server):
    for call in (lambda: service.get("id"), service.engines):
        server.replies = [(404, {"error_code": "APIG.0101", "error_msg": "The API does not exist"})]
        with pytest.raises(RequestRefused, match="refused the request: The API does not exist"):
            call()


@pytest.mark.parametrize("content", [b"<html>log in</html>", b"[]", b"{}", b"\xff"])
def test_a_reply_that_is_no_job_is_told(service, server, content):
    server.replies = [(200, content)] * 3
    with pytest.raises(ModelArtsUnavailable, match="no proxy answers in its place"):
        service.get("id")


def test_the_secret_key_is_never_sent(service, server):
    server.replies = [(201, JOB)]
    service.create(REQUEST)
    sent = repr(server.requests)
    assert SECRET not in sent and "Access=the-key" in sent and TOKEN in sent


def test_nothing_is_printed_by_the_sdk(server, environ, capfd, monkeypatch):
    monkeypatch.setattr(logging.getLogger("HuaweiCloud-SDK-ModelArtsClient"), "handlers", [])  # pytest has added some
    service = sdk_service.connect(environ, "cn-north-4", Retry(attempts=3, sleep=lambda seconds: None))
    server.replies = [(None, b"")] * 3  # of which the SDK would print an error itself
    with pytest.raises(ModelArtsUnavailable, match="cannot be reached"):
        service.get("id")
    assert capfd.readouterr() == ("", "")


def test_a_proxy_is_not_asked_for_a_server_on_this_machine(server, environ, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    server.replies = [(200, JOB)]
    assert sdk_service.connect(dict(environ, HTTP_PROXY="http://127.0.0.1:9"), "cn-north-4").get("id").id == "id"


def test_the_key_of_a_mocked_platform_is_not_sent_to_huawei_to_find_the_project(server, environ):
    del environ["HUAWEICLOUD_SDK_PROJECT_ID"]
    with pytest.raises(AccessRefused, match="the project is not known, and ModelArts is on this machine"):
        sdk_service.connect(environ, "cn-north-4")


def test_the_project_is_asked_for_where_it_is_not_given(server, environ, monkeypatch):
    del environ["HUAWEICLOUD_SDK_PROJECT_ID"]
    iam = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("HUAWEICLOUD_SDK_IAM_ENDPOINT", iam)
    server.replies = [(200, {"projects": [{"id": "found"}]})]
    service = sdk_service.connect(dict(environ, HUAWEICLOUD_SDK_AK="a-key", HUAWEICLOUD_SDK_IAM_ENDPOINT=iam),
                                  "cn-north-4")
    assert service.project == "found"
    assert server.requests[0][1] == "/v3/projects?name=cn-north-4"


@pytest.mark.parametrize("key, status, reply, error, told", [
    ("unknown-key", 401, REFUSED, AccessRefused,
     "IAM does not accept the access key from HUAWEICLOUD_SDK_AK: something"),
    ("key-without-permission", 403, REFUSED, AccessRefused,
     "IAM did not tell the project of this access key: something is wrong .* Export HUAWEICLOUD_SDK_PROJECT_ID"),
    ("key-of-a-proxy", 200, b"<html>log in</html>", ModelArtsUnavailable,
     "IAM sent a reply that cannot be read .*: IAM-ADDRESS. Check that no proxy answers in its place"),
])
def test_what_iam_refuses_is_told_as_its_own(server, environ, monkeypatch, key, status, reply, error, told):
    del environ["HUAWEICLOUD_SDK_PROJECT_ID"]
    iam = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("HUAWEICLOUD_SDK_IAM_ENDPOINT", iam + "/iam")  # to be told from the address of ModelArts
    server.replies = [(status, reply)]
    with pytest.raises(error, match=told.replace("IAM-ADDRESS", iam + "/iam")):
        sdk_service.connect(dict(environ, HUAWEICLOUD_SDK_AK=key, HUAWEICLOUD_SDK_IAM_ENDPOINT=iam), "cn-north-4")


def test_an_iam_that_cannot_be_reached_is_told_with_its_address(environ, monkeypatch):
    del environ["HUAWEICLOUD_SDK_PROJECT_ID"]
    iam = "http://127.0.0.1:9"
    monkeypatch.setenv("HUAWEICLOUD_SDK_IAM_ENDPOINT", iam)
    with pytest.raises(ModelArtsUnavailable, match="IAM cannot be reached .*: http://127.0.0.1:9. Check the network"):
        sdk_service.connect(dict(environ, HUAWEICLOUD_SDK_AK="another-key", HUAWEICLOUD_SDK_IAM_ENDPOINT=iam),
                            "cn-north-4")


@pytest.mark.parametrize("variable", [REDIRECTION, "HUAWEICLOUD_SDK_IAM_ENDPOINT"])
@pytest.mark.parametrize("address", ["http://modelarts.example.com", "nonsense", "http://127.0.0.1:abc", "https://"])
def test_an_address_that_is_none_or_would_show_a_token_is_refused(environ, monkeypatch, variable, address):
    del environ["HUAWEICLOUD_SDK_PROJECT_ID"]
    monkeypatch.setenv(REDIRECTION, "https://127.0.0.1")
    monkeypatch.setenv(variable, address)
    with pytest.raises(ConfigError, match=f"{variable}={address}: expected https://HOST"):
        sdk_service.connect(dict(environ, HUAWEICLOUD_SDK_IAM_ENDPOINT="set"), "cn-north-4")


def test_an_unknown_region_is_told_with_one_that_resembles_it(environ):
    with pytest.raises(ConfigError, match="--region=cn-nort-4: .*; did you mean 'cn-north-4'. Expected one of"):
        sdk_service.connect(environ, "cn-nort-4")


def test_a_missing_sdk_is_told_with_the_command_that_installs_it(environ, monkeypatch):
    monkeypatch.setattr(sdk_service.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SdkMissing, match="pip install .*huaweicloudsdkmodelarts==3.1.219"):
        sdk_service.connect(environ)
