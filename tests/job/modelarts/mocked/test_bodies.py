"""Bodies of new jobs: what the service refuses, with its error code and status."""
from __future__ import annotations

import json

import pytest

from job.modelarts.mocked import mock_modelarts
from tests.job.modelarts.mocked.signing import signed
from tests.job.modelarts.mocked.support import ENGINE, make_job, request

DELETED = object()


def body_of(**changes):
    """The body of a good job, with some fields changed: a path such as metadata__name to a value."""
    body = make_job().to_dict()
    body = json.loads(json.dumps(body))
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = body
        for name in parents:
            if place.get(name) is None:
                place[name] = {}
            place = place[name]
        if value is DELETED:
            del place[last]
        else:
            place[last] = value
    return _without_nothing(body)


def _without_nothing(value):
    if isinstance(value, dict):
        return {name: _without_nothing(item) for name, item in value.items() if item is not None}
    return [_without_nothing(item) for item in value] if isinstance(value, list) else value


def post(platform, body):
    data = body if isinstance(body, bytes) else json.dumps(body).encode("utf-8")
    path = f"/v2/{platform.project_id}/training-jobs"
    return request(platform, "POST", path, data, signed(platform, "POST", path, data))


def channel(url, name="data_url"):
    return [{"name": name, "remote": {"obs": {"obs_url": url}}}]


def test_a_good_body_is_accepted(platform):
    reply = post(platform, body_of())
    assert reply.status == 201 and reply.document["status"]["phase"] == "Creating"


@pytest.mark.parametrize("code, changes", [
    # the job itself
    ("ModelArts.2788", {"kind": "task"}),
    ("ModelArts.2788", {"metadata": DELETED}),
    ("ModelArts.2788", {"metadata__name": "a name"}),
    ("ModelArts.2788", {"metadata__name": "n" * 65}),
    ("ModelArts.2788", {"metadata__name": "naïve"}),
    ("ModelArts.2788", {"metadata__name": 3}),
    ("ModelArts.2788", {"metadata__description": "d" * 257}),
    ("ModelArts.2788", {"metadata__annotations": {"fault-tolerance/job-retry-num": "4"}}),
    ("ModelArts.2788", {"metadata__annotations": {"fault-tolerance/job-retry-num": 1}}),
    # code
    ("ModelArts.2802", {"algorithm__code_dir": "/no-bucket/code/"}),
    ("ModelArts.2802", {"algorithm__code_dir": "/bucket/no-code/"}),
    ("ModelArts.2802", {"algorithm__code_dir": "/bucket/code"}),
    ("ModelArts.2802", {"algorithm__code_dir": "obs://bucket/code/"}),
    ("ModelArts.2758", {"algorithm__boot_file": "/bucket/code/no.py"}),
    ("ModelArts.2758", {"algorithm__boot_file": "/bucket/data/one.jpg"}),
    ("ModelArts.2758", {"algorithm__boot_file": "boot.py"}),
    ("ModelArts.2788", {"algorithm__command": "python boot.py"}),
    # engine and resources
    ("ModelArts.2780", {"algorithm__engine": {"engine_id": "nothing"}}),
    ("ModelArts.2780", {"algorithm__engine__engine_name": "TensorFlow"}),
    ("ModelArts.2788", {"algorithm__engine": {}}),
    ("ModelArts.2788", {"algorithm__engine__engine_id": ENGINE["engine_version"]}),
    ("ModelArts.2806", {"algorithm__engine": {"image_url": "swr/image:1"}}),
    ("ModelArts.2763", {"spec__resource__flavor_id": "modelarts.vm.cpu.2u"}),
    ("ModelArts.2781", {"spec__resource__flavor_id": "modelarts.unknown"}),
    ("ModelArts.2781", {"spec__resource__flavor_id": DELETED}),
    ("ModelArts.2781", {"spec__resource__flavor_id": "modelarts.pool.visual.xlarge"}),  # without a pool
    ("ModelArts.2788", {"spec__resource__pool_id": "no-pool"}),
    ("ModelArts.2793", {"spec__resource__node_count": 2}),
    ("ModelArts.2788", {"spec__resource__node_count": 0}),
    ("ModelArts.2788", {"spec__resource__node_count": "1"}),
    # parameters and channels
    ("ModelArts.2788", {"algorithm__parameters": [{"name": "seed", "value": 3}]}),
    ("ModelArts.2788", {"algorithm__parameters": [{"value": "3"}]}),
    ("ModelArts.2767", {"algorithm__parameters": [{"name": "a", "value": "1"}, {"name": "a", "value": "2"}]}),
    ("ModelArts.2767", {"algorithm__parameters": [{"name": "data_url", "value": "1"}]}),
    ("ModelArts.2791", {"algorithm__inputs": channel("/bucket/nothing/")}),
    ("ModelArts.2791", {"algorithm__inputs": channel("/no-bucket/data/")}),
    ("ModelArts.2791", {"algorithm__inputs": channel("obs://bucket/data/")}),
    ("ModelArts.2791", {"algorithm__outputs": channel("/no-bucket/out/", "train_url")}),
    ("ModelArts.2791", {"algorithm__outputs": channel("/bucket/out", "train_url")}),
    ("ModelArts.2788", {"algorithm__inputs": [{"name": "data_url"}]}),
    ("ModelArts.2788", {"algorithm__environments": {"1A": "x"}}),
    ("ModelArts.2788", {"algorithm__environments": {f"A{number}": "x" for number in range(101)}}),
    # the rest
    ("ModelArts.2791", {"spec__log_export_path": {"obs_url": "/no-bucket/log/"}}),
    ("ModelArts.2788", {"spec__auto_stop": {"time_unit": "HOURS", "duration": 0}}),
    ("ModelArts.2788", {"spec__auto_stop": {"time_unit": "DAYS", "duration": 1}}),
    ("ModelArts.2788", {"spec__notification": {"topic_urn": "urn", "events": ["JobExploded"]}}),
    ("ModelArts.2788", {"spec__notification": {"topic_urn": "", "events": ["JobFailed"]}}),
])
def test_a_body_that_the_service_refuses_makes_no_job(platform, code, changes):
    reply = post(platform, body_of(**changes))
    assert (reply.status, reply.code) == (400, code), reply.document
    assert platform.jobs == []


@pytest.mark.parametrize("changes", [
    {"metadata__name": "n" * 64}, {"algorithm__parameters": DELETED}, {"algorithm__inputs": DELETED},
    {"spec__log_export_path": DELETED}, {"algorithm__engine": {"engine_id": ENGINE["engine_version"]}},
    {"algorithm__engine": {"engine_name": "Ascend-Powered-Engine", "image_url": "swr/image:1"}},
    {"spec__resource": {"flavor_id": "modelarts.pool.visual.xlarge", "pool_id": "pool-mock", "node_count": 2}},
    {"metadata__annotations": {"fault-tolerance/job-retry-num": "3"}},
])
def test_what_the_service_leaves_open_is_accepted(platform, changes):
    assert post(platform, body_of(**changes)).status == 201


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"null", b"[]", b'"text"'])
def test_a_body_that_is_no_object_is_refused(platform, body):
    assert (post(platform, body).status, platform.jobs) == (400, [])


def test_a_body_that_is_too_long_is_refused(platform):
    reply = post(platform, b'{"a": "' + b"a" * 2 ** 20 + b'"}')
    assert (reply.status, reply.code) == (400, "ModelArts.2787")


def test_more_than_a_thousand_files_of_code_are_refused(platform):
    for number in range(1000):
        platform.obs.put("bucket", f"code/{number}.py", b"")
    assert post(platform, body_of()).code == "ModelArts.2759"


def test_a_name_in_use_is_refused_where_names_are_unique(containers):
    with mock_modelarts(buckets=["bucket"], containers=containers, unique_names=True, frozen=True) as platform:
        platform.obs.put("bucket", "code/boot.py", b"")
        body = body_of(algorithm__inputs=[])
        assert [post(platform, body).status for _ in range(2)] == [201, 400]
        assert len(platform.jobs) == 1
