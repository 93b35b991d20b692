"""A mocked OBS with one bucket, and the real client in each dialect of the protocol."""

from __future__ import annotations

import pytest

from obs_sync.mock import mock_obs
from tests.obs_sync.mock.support import BUCKET, DIALECTS, make_client


@pytest.fixture
def mock():
    with mock_obs(buckets=[BUCKET]) as running:
        yield running


@pytest.fixture(params=DIALECTS)
def client(mock, request):
    made = make_client(mock, request.param)
    yield made
    made.close()
