"""The control interface: faults, journals, clocks and jobs of both mocks, read and changed over HTTP."""
from __future__ import annotations

import json

import pytest
from huaweicloudsdkcore.exceptions.exceptions import ServerResponseException
from obs import ObsClient

from obs_sync.mock import Faults
from tests.job.modelarts.mocked.support import BUCKET, control, create, request, run, show


def attempt(platform, method, path, content=None, token=None):
    """(status, message) of a request that is refused."""
    headers = {"Authorization": f"Bearer {platform.token if token is None else token}"}
    body = content if isinstance(content, bytes) else json.dumps(content).encode("utf-8")
    reply = request(platform, method, "/_mock/" + path, body, headers)
    return reply.status, reply.document["error"]


def get_object(platform):
    """The status of a request to the mocked OBS, through the unmodified client."""
    client = ObsClient(max_retry_count=0, timeout=10, **platform.obs.client_arguments())
    try:
        return client.getObject(BUCKET, "data/one.jpg", loadStreamInMemory=True).status
    finally:
        client.close()


def test_an_outage_is_switched_on_and_off(platform, client):
    job_id = create(client)
    told = control(platform, "PUT", "modelarts/faults", {"rules": ["status=503"], "seed": 3})
    assert (told["rules"], told["seed"], told["injected"]) == (["status=503"], 3, {})
    with pytest.raises(ServerResponseException):
        show(client, job_id)
    assert control(platform, "GET", "modelarts/faults")["injected"] == {"status=503": 1}
    assert control(platform, "PUT", "modelarts/faults", {"rules": []})["rules"] == []
    assert show(client, job_id).metadata.id == job_id


def test_the_faults_of_obs_are_changed_apart_from_those_of_modelarts(platform, client):
    control(platform, "PUT", "obs/faults", {"rules": ["GetObject status=503"]})
    assert get_object(platform) == 503
    create(client)
    assert control(platform, "GET", "obs/faults")["injected"] == {"status=503": 1}
    control(platform, "PUT", "obs/faults", {})
    assert get_object(platform) == 200


def test_faults_that_a_test_has_set_are_shown(platform):
    platform.obs.faults = Faults(["storm"], seed=7)
    told = control(platform, "GET", "obs/faults")
    assert told["seed"] == 7 and len(told["rules"]) > 10 and "Stall" in told["rules"][0]


def test_the_journals_are_read_in_parts_and_emptied(platform, client):
    job_id = create(client)
    show(client, job_id)
    told = control(platform, "GET", "modelarts/requests")
    assert [record["operation"] for record in told["requests"]] == ["CreateTrainingJob", "ShowTrainingJobDetails"]
    assert told["requests"][0]["status"] == 201 and told["total"] == 2
    later = control(platform, "GET", "modelarts/requests?since=1")["requests"]
    assert [record["operation"] for record in later] == ["ShowTrainingJobDetails"]
    picked = control(platform, "GET", "modelarts/requests?operation=CreateTrainingJob")["requests"]
    assert len(picked) == 1
    assert control(platform, "DELETE", "modelarts/requests") == {"total": 0}
    get_object(platform)
    told = control(platform, "GET", "obs/requests")["requests"]
    assert told[-1]["operation"] == "GetObject" and told[-1]["key"] == "data/one.jpg"
    assert control(platform, "DELETE", "obs/requests") == {"total": 0}
    assert get_object(platform) == 200  # the objects stay


def test_the_time_of_the_jobs_is_moved(platform, client):
    job_id = create(client)
    before = control(platform, "GET", "modelarts/clock")
    after = control(platform, "PUT", "modelarts/clock", {"advance": 60})
    assert after["now"] - before["now"] == 60 and after["frozen"] is True
    assert show(client, job_id).status.phase == "Pending"


@pytest.mark.parametrize("seconds, status", [(1000, 403), (-1000, 403), (0, 200)])
def test_the_clock_of_obs_can_be_wrong(platform, seconds, status):
    assert control(platform, "PUT", "obs/clock", {"skew": seconds})["skew"] == seconds
    assert get_object(platform) == status
    control(platform, "PUT", "obs/faults", {"rules": ["GetObject status=500"]})  # keeps the clock
    assert control(platform, "GET", "obs/clock")["skew"] == seconds
    control(platform, "PUT", "obs/clock", {"skew": 0})
    assert get_object(platform) == 500  # keeps the faults


def test_a_wrong_clock_of_modelarts_refuses_signatures(platform, client):
    control(platform, "PUT", "modelarts/clock", {"skew": -1000})
    with pytest.raises(Exception, match="signature expired"):
        create(client)


def test_a_running_job_is_struck_at_once(platform, client, containers):
    job_id = run(platform, client, annotations={"fault-tolerance/job-retry-num": "1"})
    assert control(platform, "GET", "modelarts/jobs")["jobs"] == [{"id": job_id, "name": "first", "phase": "Running"}]
    control(platform, "POST", f"modelarts/jobs/{job_id}", {"strike": "lose-node"})
    assert containers.made[0].calls[1] == "kill, disk lost"
    platform.advance(0)
    assert attempt(platform, "POST", f"modelarts/jobs/{job_id}", {"strike": "kill"}) == (
        400, "Invalid parameter(the training job is Pending, not Running).")


def test_without_the_token_nothing_is_told_or_changed(platform):
    for token in ("", "wrong", platform.token[:-1]):
        status, message = attempt(platform, "PUT", "modelarts/faults", {"rules": ["status=503"]}, token=token)
        assert status == 401 and "Authorization: Bearer TOKEN" in message
    assert request(platform, "GET", "/_mock/").status == 401
    assert control(platform, "GET", "modelarts/faults")["rules"] == []


def test_control_requests_are_neither_recorded_nor_hurt_by_faults(platform):
    control(platform, "PUT", "modelarts/faults", {"rules": ["status=503", "reset=before"]})
    assert control(platform, "GET", "")["modelarts"] == platform.endpoint
    assert platform.requests == []


@pytest.mark.parametrize("method, path, content, status, message", [
    ("GET", "nothing", None, 404, "GET /_mock/ lists what there is"),
    ("GET", "obs/jobs", None, 404, "there is no GET /_mock/obs/jobs"),
    ("PUT", "modelarts/requests", {}, 404, "there is no PUT"),
    ("PUT", "modelarts/faults", b"{", 400, "the body is not a JSON object"),
    ("PUT", "modelarts/faults", {"rules": "storm"}, 400, 'expected {"rules": [texts]'),
    ("PUT", "modelarts/faults", {"rules": ["strom"]}, 400, "expected a preset"),
    ("PUT", "obs/faults", {"rules": ["RunJob kill=1"]}, 400, "expected one effect"),
    ("PUT", "obs/clock", {"advance": 3}, 400, "the clock of obs has no advance"),
    ("PUT", "modelarts/clock", {"advance": -3}, 400, "expected 0 or more"),
    ("PUT", "modelarts/clock", {"skew": "late"}, 400, "expected seconds"),
    ("GET", "obs/requests?since=x", None, 400, "expected a whole number"),
    ("POST", "modelarts/jobs/x", {"strike": "hit"}, 400, "expected one of kill, lose-node, preempt, abnormal"),
    ("POST", "modelarts/jobs/x", {"strike": "kill"}, 400, "Training job (ID: x) not found."),
    ("GET", "modelarts/faults/1", None, 404, "there is no GET"),
])
def test_a_request_that_is_wrong_says_what_was_expected(platform, method, path, content, status, message):
    found = attempt(platform, method, path, content)
    assert found[0] == status and message in found[1]
