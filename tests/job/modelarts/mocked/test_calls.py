"""The unmodified SDK through every call of the mocked ModelArts."""
from __future__ import annotations

from tests.job.modelarts.mocked.support import create, show


def test_a_job_that_was_created_is_shown_as_it_was_sent(client):
    job_id = create(client)
    job = show(client, job_id)
    assert job.metadata.name == "first" and job.metadata.id == job_id
    assert job.status.phase == "Creating"
