"""A mocked ModelArts with fake containers whose time tests move by hand, and the unmodified SDK."""
from __future__ import annotations

import pytest

from job.modelarts.mocked import mock_modelarts
from tests.job.modelarts.mocked.fake_container import fake_containers
from tests.job.modelarts.mocked.support import BUCKET, make_client, put_code


@pytest.fixture
def containers():
    """The class of the containers; `made` has those that were made."""
    return fake_containers()


@pytest.fixture
def platform(containers):
    with mock_modelarts(buckets=[BUCKET], frozen=True, containers=containers, strict=False) as running:
        put_code(running.obs)
        yield running


@pytest.fixture
def client(platform):
    return make_client(platform)
