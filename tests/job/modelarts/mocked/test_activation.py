"""os.environ while mocked ModelArts run, and afterwards."""
from __future__ import annotations

import os

from job.modelarts.mocked import current_modelarts, mock_modelarts

NAMES = ("HUAWEICLOUD_SDK_AK", "HUAWEICLOUD_SDK_PROJECT_ID", "HUAWEICLOUD_SDK_IAM_ENDPOINT", "HUAWEICLOUD_SDK_REGION",
         "HUAWEICLOUD_SDK_REGION_MODELARTS_CN_NORTH_4", "HUAWEICLOUD_SDK_REGION_MODELARTS_CN_EAST_3", "OBS_SERVER",
         "NO_PROXY")


def known():
    found = {name: os.environ.get(name) for name in NAMES}
    return dict(found, NO_PROXY=set((found["NO_PROXY"] or "").split(",")))


def test_the_environment_points_at_the_mock_that_started_last_and_is_restored(monkeypatch, containers):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HUAWEICLOUD_SDK_AK", "mine")
    monkeypatch.setenv("NO_PROXY", "example.com")
    before = known()
    with mock_modelarts(containers=containers) as outer:
        during = known()
        assert during["HUAWEICLOUD_SDK_AK"] == outer.credentials.access_key
        assert during["HUAWEICLOUD_SDK_REGION_MODELARTS_CN_NORTH_4"] == outer.endpoint
        assert during["NO_PROXY"] == {"example.com", "127.0.0.1", "obs.fake-obs.test"}
        with mock_modelarts(containers=containers, region="cn-east-3") as inner:
            assert current_modelarts() is inner
            assert known()["HUAWEICLOUD_SDK_IAM_ENDPOINT"] == inner.endpoint
            assert known()["HUAWEICLOUD_SDK_REGION"] == "cn-east-3"
            assert known()["HUAWEICLOUD_SDK_REGION_MODELARTS_CN_NORTH_4"] == outer.endpoint
            assert known()["HUAWEICLOUD_SDK_REGION_MODELARTS_CN_EAST_3"] == inner.endpoint
        assert known() == during and current_modelarts() is outer
    assert known() == before and current_modelarts() is None


def test_the_environment_of_a_child_has_nothing_that_points_elsewhere(containers):
    mine = {"HUAWEICLOUD_SDK_REGION": "cn-east-3", "HUAWEICLOUD_SDK_SECURITY_TOKEN": "mine", "NO_PROXY": "example.com",
            "OBS_SECURITY_TOKEN": "mine", "HOME": "/home/me"}
    with mock_modelarts(containers=containers, region="cn-north-1") as mock:
        found = mock.environment(mine)
    assert found["HOME"] == "/home/me" and "mine" not in found.values()
    assert found["HUAWEICLOUD_SDK_REGION"] == "cn-north-1"
    assert set(found["NO_PROXY"].split(",")) == {"example.com", "127.0.0.1", "obs.fake-obs.test"}


def test_a_mock_that_shares_an_obs_leaves_it_running(containers):
    with mock_modelarts(containers=containers) as first:
        with mock_modelarts(containers=containers, obs=first.obs) as second:
            assert second.obs is first.obs
        first.obs.create_bucket("later")
        assert first.obs.buckets() == ["later"]
