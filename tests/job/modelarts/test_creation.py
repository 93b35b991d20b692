"""A job is created exactly once, whatever becomes of the replies."""

from __future__ import annotations

import pytest

from job.errors import ModelArtsError
from job.modelarts.creation import ATTEMPTS, create_once
from job.modelarts.errors import ModelArtsUnavailable, QuotaExceeded, RequestRefused, TooManyRequests
from job.modelarts.request import SUBMISSION, JobRequest
from tests.job.modelarts.memory_service import MemoryJobService

REQUEST = JobRequest("masf", "obs://code/1/", "boot_modelarts.py", "flavor", annotations=((SUBMISSION, "mine"),))
LOST = ModelArtsUnavailable("the connection broke")


@pytest.fixture
def service():
    return MemoryJobService()


def create(service, slept=None):
    return create_once(service, REQUEST, (slept if slept is not None else []).append)


def test_a_job_is_created_with_one_request(service):
    job = create(service)
    assert (job.id, len(service.requests)) == ("id-1", 1)


def test_a_lost_reply_leads_to_the_job_that_exists(service):
    service.after = [LOST]
    assert create(service).id == "id-1"
    assert len(service.requests) == 1


def test_a_request_that_did_not_arrive_is_sent_again(service):
    service.before = [LOST]
    assert create(service).id == "id-1"
    assert (len(service.requests), len(service.table)) == (2, 1)


def test_the_job_of_another_submission_with_the_same_name_is_not_taken_for_this_one(service):
    service.create(REQUEST._replace(annotations=((SUBMISSION, "another"),)))
    service.before = [LOST]
    assert create(service).id == "id-2"


def test_a_job_that_is_listed_late_is_found(service):
    service.after = [LOST]
    listed = service.find
    looks = []

    def late(name):
        looks.append(name)
        return listed(name) if len(looks) == 3 else []

    service.find = late
    assert create(service).id == "id-1"
    assert len(service.requests) == 1


def test_no_second_request_is_sent_while_the_list_cannot_be_read(service):
    service.after, service.outages = [LOST], 1
    with pytest.raises(ModelArtsUnavailable, match="nobody knows whether the job was created.*python -m job jobs"):
        create(service)
    assert len(service.requests) == 1


def test_a_service_that_drops_annotations_still_shows_whose_job_it_is(service):
    service.after = [LOST]
    listed = service.find
    service.find = lambda name: [job._replace(annotations={}) for job in listed(name)]
    assert create_once(service, REQUEST._replace(description="submission mine"), lambda _: None).id == "id-1"
    assert len(service.requests) == 1


def test_a_name_that_is_in_use_after_a_lost_request_is_the_job_itself(service):
    """The list showed the job too late, so it was asked for again, and ModelArts refused its name."""
    service.after = [LOST]
    listed, looks = service.find, []

    def late(name):
        looks.append(name)
        return listed(name) if len(looks) > 3 else []

    service.find = late
    service.before = [None, RequestRefused("the name is in use")]
    assert create(service).id == "id-1"
    assert len(service.table) == 1


def test_a_refusal_is_told_at_once(service):
    for error in (RequestRefused("no such flavor"), QuotaExceeded("no more cards")):
        service.before = [error]
        with pytest.raises(type(error)):
            create(service)
    assert len(service.requests) == 2


def test_too_many_requests_are_repeated_after_longer_and_longer_delays(service):
    service.before, slept = [TooManyRequests("slow down")] * 2, []
    assert create(service, slept).id == "id-1"
    assert slept == [2.0, 4.0]


def test_it_gives_up_after_some_attempts(service):
    service.before = [LOST] * ATTEMPTS
    with pytest.raises(ModelArtsError, match=f"could not be created in {ATTEMPTS} attempts"):
        create(service)
    assert len(service.requests) == ATTEMPTS
