"""SDK-HMAC-SHA256: the mock accepts what the SDK signs, and what the description says, and nothing else."""
from __future__ import annotations

import time

import pytest
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkmodelarts.v1 import JobSearches, ListTrainingJobsRequest, ShowTrainingJobLogsFromAomRequest

from job.modelarts.mocked import mock_modelarts
from obs_sync.mock import Credentials
from tests.job.modelarts.mocked.signing import signed
from tests.job.modelarts.mocked.support import create, make_client, request, show

BODY = b'{"offset": 0, "limit": 10}'


def searches(platform):
    return f"/v2/{platform.project_id}/training-job-searches"


def post(platform, body=BODY, **changes):
    """A search, signed by the independent signer; its headers can be changed."""
    return request(platform, "POST", searches(platform), body,
                   signed(platform, "POST", searches(platform), body, **changes))


def stamp(ahead):
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() + ahead))


def test_a_request_that_is_signed_as_described_is_accepted(platform):
    assert post(platform).status == 200


@pytest.mark.parametrize("text", ["ä ~ß", "a+b&c=d/e?f", "%2F", "中文", "a'b\"c\\d", " "])
def test_the_sdk_s_signature_of_odd_values_is_accepted(platform, client, text):
    found = client.list_training_jobs(ListTrainingJobsRequest(
        body=JobSearches(filters=[{"key": "name", "operator": "like", "value": [text]}])))
    assert found.items == []
    for call in (lambda: show(client, text), lambda: client.show_training_job_logs_from_aom(
            ShowTrainingJobLogsFromAomRequest("no-job", text, base_line=text))):
        with pytest.raises(ClientRequestException) as refused:
            call()
        assert refused.value.error_code != "APIG.0301"


@pytest.mark.parametrize("changes", [{"secret_key": "another"}, {"access_key": "another"}])
def test_another_key_is_refused(platform, changes):
    with pytest.raises(ClientRequestException) as refused:
        create(make_client(platform, **changes))
    assert (refused.value.status_code, refused.value.error_code) == (401, "APIG.0301")
    assert platform.jobs == []


def test_an_altered_request_is_refused(platform):
    headers = signed(platform, "POST", searches(platform), BODY)
    path = searches(platform)
    replies = [
        request(platform, "POST", path, BODY.replace(b"10", b"11"), headers),
        request(platform, "POST", path + "?offset=1", BODY, headers),
        request(platform, "POST", path + "x", BODY, headers),
        request(platform, "PUT", path, BODY, headers),
        request(platform, "POST", path, BODY, dict(headers, **{"x-sdk-date": stamp(1)})),
        request(platform, "POST", path, BODY, dict(headers, authorization=headers["authorization"][:-1] + "g")),
    ]
    assert [(reply.status, reply.code) for reply in replies] == [(401, "APIG.0301")] * len(replies)
    assert request(platform, "POST", path, BODY, headers).status == 200


@pytest.mark.parametrize("ahead, status", [(-899, 200), (899, 200), (-1000, 401), (1000, 401)])
def test_a_date_that_is_more_than_15_minutes_off_is_refused(platform, ahead, status):
    reply = post(platform, date=stamp(ahead))
    assert reply.status == status
    if status == 401:
        assert reply.code == "APIG.0301" and "signature expired" in reply.document["error_msg"]


def test_parameters_are_signed_in_their_order_and_sent_in_any(platform):
    path = f"/v2/{platform.project_id}/training-jobs/x/events?order=desc&limit=5"
    assert request(platform, "GET", path, headers=signed(platform, "GET", path)).code == "ModelArts.2775"


def test_the_service_s_own_clock_can_be_wrong(platform):
    platform.clock.skew = 1000
    assert post(platform).status == 401
    assert post(platform, date=stamp(1000)).status == 200


@pytest.mark.parametrize("drop", ["host", "x-sdk-date"])
def test_host_and_date_must_be_signed(platform, drop):
    reply = post(platform, drop=(drop,))
    assert (reply.status, reply.code) == (401, "APIG.0301") and drop in reply.document["error_msg"]


def test_an_unsigned_request_and_a_token_alone_are_refused_with_their_reason(platform):
    bare = request(platform, "POST", searches(platform), BODY)
    assert (bare.status, bare.code) == (401, "APIG.0301")
    token = request(platform, "POST", searches(platform), BODY, {"X-Auth-Token": "MII"})
    assert token.status == 401 and "sign with AK and SK" in token.document["error_msg"]
    odd = request(platform, "POST", searches(platform), BODY, {"Authorization": "Basic abc"})
    assert (odd.status, odd.code) == (401, "APIG.0301")


def test_a_temporary_key_needs_its_security_token():
    with mock_modelarts(credentials=Credentials("ak", "sk", "token")) as platform:
        accepted = make_client(platform, token="token")
        accepted.list_training_jobs(ListTrainingJobsRequest(body=JobSearches()))
        for client in (make_client(platform), make_client(platform, token="another")):
            with pytest.raises(ClientRequestException) as refused:
                client.list_training_jobs(ListTrainingJobsRequest(body=JobSearches()))
            assert refused.value.status_code == 401
        unsigned = post(platform, headers={"X-Security-Token": "token"}, drop=("x-security-token",))
        assert unsigned.status == 401


def test_a_permanent_key_has_no_security_token(platform):
    with pytest.raises(ClientRequestException, match="the security token does not belong to the AK"):
        create(make_client(platform, token="token"))


def test_after_a_rotation_only_the_new_key_is_accepted(platform, client):
    create(client)
    platform.credentials = Credentials("new", "secret")
    with pytest.raises(ClientRequestException):
        create(client)
    create(make_client(platform))
