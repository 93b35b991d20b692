"""The unmodified SDK through every call of the mocked ModelArts."""
from __future__ import annotations

import concurrent.futures
import urllib.request

import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException, SdkException
from huaweicloudsdkmodelarts.v1 import (
    DeleteTrainingJobRequest, Filter, JobActionType, JobSearches, ListTrainingJobEventsRequest, ListTrainingJobsRequest,
    ModelArtsClient, ShowTrainingJobEnginesRequest, ShowTrainingJobFlavorsRequest, ShowTrainingJobLogsFromAomRequest,
    ShowTrainingJobLogsPreviewRequest, StopTrainingJobRequest, ValidateTrainingJobNameRequest,
)
from huaweicloudsdkmodelarts.v1.region.modelarts_region import ModelArtsRegion

from job.modelarts.mocked import UnknownCalls, current_modelarts, mock_modelarts
from tests.job.modelarts.mocked.signing import signed
from tests.job.modelarts.mocked.support import BUCKET, create, make_client, make_job, request, run, show


def search(client, **body):
    return client.list_training_jobs(ListTrainingJobsRequest(body=JobSearches(**body)))


def stop(client, job_id, action="terminate"):
    return client.stop_training_job(
        StopTrainingJobRequest(training_job_id=job_id, body=JobActionType(action_type=action)))


def refusal(call):
    with pytest.raises(ClientRequestException) as refused:
        call()
    return refused.value.status_code, refused.value.error_code


def test_a_job_that_was_created_is_shown_as_it_was_sent(platform, client):
    sent = make_job("first_job-1", annotations={"masf/submission": "one"}, flavor="modelarts.kat1.8xlarge", nodes=2)
    job = show(client, create(client, name="first_job-1", annotations={"masf/submission": "one"},
                              flavor="modelarts.kat1.8xlarge", nodes=2))
    assert (job.kind, job.metadata.name, job.metadata.description) == ("job", "first_job-1", "a job")
    assert job.metadata.annotations == {"masf/submission": "one"}
    assert job.metadata.create_time == int(platform.clock.now() * 1000)  # milliseconds
    assert job.algorithm.code_dir == sent.algorithm.code_dir and job.algorithm.boot_file == sent.algorithm.boot_file
    assert job.algorithm.engine.engine_version == sent.algorithm.engine.engine_version
    assert [(each.name, each.value) for each in job.algorithm.parameters] == [("seed", "3")]
    assert [(each.name, each.remote.obs.obs_url) for each in job.algorithm.inputs] == [("data_url", "/bucket/data/")]
    assert [(each.name, each.remote.obs.obs_url) for each in job.algorithm.outputs] == [("train_url", "/bucket/out/")]
    assert job.algorithm.environments == [{"KEY": "value"}]
    assert (job.spec.resource.flavor_id, job.spec.resource.node_count) == ("modelarts.kat1.8xlarge", 2)
    assert job.spec.log_export_path.obs_url == "/bucket/log/"
    assert (job.status.phase, job.status.tasks, job.status.duration) == ("Creating", ["worker-0", "worker-1"], 0)


def test_a_container_gets_what_the_job_asks_for(platform, client, containers):
    job_id = run(platform, client, flavor="modelarts.kat1.8xlarge", nodes=2)
    spec = containers.made[1].spec
    assert (spec.job_id, spec.job_name, spec.code_dir, spec.boot_file) == (
        job_id, "first", "/bucket/code/", "/bucket/code/boot.py")
    assert spec.parameters == (("seed", "3"),) and spec.environments == {"KEY": "value"}
    assert spec.inputs == (("data_url", "/bucket/data/"),) and spec.outputs == (("train_url", "/bucket/out/"),)
    assert (spec.cards, spec.nodes, spec.node) == (8, 2, 1) and len(containers.made) == 2
    assert containers.made[1].environ["OBS_SERVER"] == platform.obs.endpoint


def test_a_search_gives_pages_of_the_newest_jobs(platform, client):
    ids = []
    for number in range(5):
        ids.append(create(client, name=f"job-{number}"))
        platform.advance(0.001)
    first, last = search(client, offset=0, limit=2), search(client, offset=2, limit=2)
    assert [job.metadata.id for job in first.items] == [ids[4], ids[3]]
    assert [job.metadata.id for job in last.items] == [ids[0]]
    assert (last.total, last.limit, last.offset) == (5, 2, 2)
    assert search(client, offset=3, limit=2).items == []
    assert search(client, limit=50, order="asc").items[0].metadata.id == ids[0]


@pytest.mark.parametrize("key, operator, value, found", [
    ("name", "like", ["job-1"], ["job-1", "job-11"]),
    ("name", "in", ["job-1", "job-2"], ["job-1", "job-2"]),
    ("name", "not", ["job-1"], ["job-2", "job-11"]),
    ("phase", "in", ["Terminated"], ["job-2"]),
    ("create_time", "between", ["", ""], ["job-1", "job-2", "job-11"]),
    ("create_time", "between", ["", "1000"], []),
    ("name", "in", [], ["job-1", "job-2", "job-11"]),
])
def test_a_search_filters(platform, client, key, operator, value, found):
    ids = {name: create(client, name=name) for name in ("job-1", "job-2", "job-11")}
    stop(client, ids["job-2"])
    platform.advance(0)
    reply = search(client, limit=50, filters=[Filter(key=key, operator=operator, value=value)])
    assert {job.metadata.name for job in reply.items} == set(found)


@pytest.mark.parametrize("body, code", [
    ({"limit": 51}, "ModelArts.2788"), ({"limit": 0}, "ModelArts.2788"), ({"offset": -1}, "ModelArts.2788"),
    ({"order": "up"}, "ModelArts.2788"), ({"sort_by": "colour"}, "ModelArts.2790"),
    ({"filters": [Filter(key="colour", operator="in", value=["red"])]}, "ModelArts.2807"),
    ({"filters": [Filter(key="name", operator="equals", value=["a"])]}, "ModelArts.2808"),
    ({"filters": [Filter(key="create_time", operator="between", value=["1"])]}, "ModelArts.2809"),
])
def test_a_search_that_the_service_does_not_know_is_refused(client, body, code):
    assert refusal(lambda: search(client, **body)) == (400, code)


def test_a_job_that_is_stopped_terminates(platform, client, containers):
    job_id = run(platform, client)
    containers.made[0].last_words = "saved\n"
    assert [stop(client, job_id).status.phase for _ in range(2)] == ["Terminating"] * 2
    assert containers.made[0].calls == ["start", "terminate 15"]
    platform.advance(0)
    job = show(client, job_id)
    assert (job.status.phase, job.status.task_statuses[0].exit_code) == ("Terminated", 143)
    assert platform.obs.get(BUCKET, f"log/modelarts-job-{job_id}-worker-0.log") == b"saved\n"
    told = client.list_training_job_events(ListTrainingJobEventsRequest(training_job_id=job_id, pattern="stopped"))
    assert told.total == 1
    assert refusal(lambda: stop(client, job_id)) == (400, "ModelArts.2788")


def test_another_action_and_another_job_are_refused(client):
    job_id = create(client)
    assert refusal(lambda: stop(client, job_id, "stop")) == (400, "ModelArts.2788")
    assert refusal(lambda: show(client, "nothing")) == (400, "ModelArts.2775")
    assert refusal(lambda: stop(client, "nothing")) == (400, "ModelArts.2775")


def test_flavors_have_cards_nodes_and_billing(client):
    reply = client.show_training_job_flavors(ShowTrainingJobFlavorsRequest(flavor_type="Ascend"))
    assert reply.total_count == len(reply.flavors)
    flavor = {each.flavor_id: each for each in reply.flavors}["modelarts.kat1.8xlarge"]
    assert (flavor.flavor_info.npu.unit_num, flavor.max_num) == ("8", 16)
    assert (flavor.billing.code, flavor.billing.unit_num) == ("modelarts.kat1.8xlarge", 8)
    assert {each.flavor_type for each in reply.flavors} == {"Ascend"}
    every = client.show_training_job_flavors(ShowTrainingJobFlavorsRequest())
    assert {each.flavor_type for each in every.flavors} == {"Ascend", "CPU"}
    assert refusal(lambda: client.show_training_job_flavors(ShowTrainingJobFlavorsRequest(flavor_type="TPU"))) == (
        400, "ModelArts.2764")


def test_engines_have_names_and_versions(client):
    reply = client.show_training_job_engines(ShowTrainingJobEnginesRequest())
    assert reply.total == len(reply.items)
    assert "Ascend-Powered-Engine" in {each.engine_name for each in reply.items}
    assert reply.items[0].image_info.image_version


def test_a_name_in_use_is_a_duplicate(client):
    create(client, name="taken")
    known = [client.validate_training_job_name(ValidateTrainingJobNameRequest(job_name=name)).is_duplicate
             for name in ("taken", "free")]
    assert known == [True, False]
    assert refusal(lambda: client.validate_training_job_name(ValidateTrainingJobNameRequest(job_name="a b"))) == (
        400, "ModelArts.2764")


def test_events_have_pages_levels_and_an_order(platform, client, containers):
    job_id = run(platform, client)
    containers.made[0].end(3)
    platform.advance(0)

    def events(**query):
        return client.list_training_job_events(ListTrainingJobEventsRequest(training_job_id=job_id, **query))

    told = [each.message for each in events().events]
    assert told[0] == "Training job created." and told[2] == "The training job starts to run."
    assert "code 3" in told[3] and events().total == 4
    assert [each.message for each in events(offset=1, limit=3).events] == told[3:]
    assert [each.message for each in events(order="desc").events] == told[::-1]
    assert [each.message for each in events(level="Error").events] == told[3:]
    assert [each.message for each in events(pattern="queuing").events] == told[1:2]
    assert refusal(lambda: events(limit=101)) == (400, "ModelArts.2764")


def test_the_log_is_previewed_with_its_sizes(platform, client, containers):
    job_id = run(platform, client)
    containers.made[0].write("one\ntwo ä")
    platform.advance(0)
    reply = client.show_training_job_logs_preview(ShowTrainingJobLogsPreviewRequest(job_id, "worker-0"))
    assert (reply.content, reply.current_size, reply.full_size) == ("one\ntwo ä", 10, 10)
    assert refusal(lambda: client.show_training_job_logs_preview(
        ShowTrainingJobLogsPreviewRequest(job_id, "worker-1"))) == (400, "ModelArts.2788")


def test_the_log_is_read_by_lines_forward_and_backward(platform, client, containers):
    job_id = run(platform, client)
    containers.made[0].write("".join(f"line {number}\n" for number in range(10)) + "not ended")
    platform.advance(0)

    def lines(**query):
        return client.show_training_job_logs_from_aom(ShowTrainingJobLogsFromAomRequest(job_id, "worker-0", **query))

    newest = lines(lines=2, order="asc")
    assert (newest.content, newest.lines) == ("line 8\nline 9\n", 2)
    before = lines(base_line=newest.start_line, lines=3, order="desc")
    assert before.content == "line 7\nline 6\nline 5\n"  # from new to old
    start = lines(base_line="0", lines=4, order="asc")
    assert start.content == "line 0\nline 1\nline 2\nline 3\n"
    assert int(start.end_line) - int(start.start_line) == 4
    assert lines(base_line=start.end_line, lines=500, order="asc").content.splitlines()[0] == "line 4"
    assert lines().content.splitlines()[0] == "line 9"  # from new to old unless asked otherwise
    end = lines(base_line=newest.end_line, order="asc")
    assert (end.content, end.lines, end.start_line) == ("", 0, newest.end_line)
    for wrong in ({"lines": 501}, {"lines": 0}, {"order": "up"}, {"base_line": "x"}):
        assert refusal(lambda wrong=wrong: lines(**wrong)) == (400, "ModelArts.2764")


def test_the_rest_only_call_gives_a_temporary_url_of_the_log(platform, client, containers):
    job_id = run(platform, client)
    containers.made[0].write("one\n")
    platform.advance(0)
    path = f"/v2/{platform.project_id}/training-jobs/{job_id}/tasks/worker-0/logs/url"
    url = request(platform, "GET", path, headers=signed(platform, "GET", path)).document["obs_url"]
    with urllib.request.urlopen(url) as reply:
        assert reply.read() == b"one\n"
    assert f"modelarts-job-{job_id}-worker-0.log" in url
    here = url[len(platform.endpoint):]
    assert request(platform, "GET", here.replace("Expires=", "Expires=9")).status == 403
    platform.advance(301)
    assert request(platform, "GET", here).status == 403


def test_the_sdk_finds_the_project_of_its_region_through_iam(platform, monkeypatch):
    variables = platform.variables({})
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    BasicCredentials._CACHE.clear()
    region = ModelArtsRegion.value_of("cn-north-4")
    client = ModelArtsClient.new_builder().with_credentials(
        BasicCredentials(variables["HUAWEICLOUD_SDK_AK"], variables["HUAWEICLOUD_SDK_SK"])).with_region(region).build()
    assert show(client, create(client)).status.phase == "Creating"
    assert platform.counts["KeystoneListProjects"] == 1
    with pytest.raises(SdkException, match="Failed to get project id of region 'cn-north-1'"):
        ModelArtsClient.new_builder().with_credentials(
            BasicCredentials(variables["HUAWEICLOUD_SDK_AK"], variables["HUAWEICLOUD_SDK_SK"])).with_region(
                ModelArtsRegion.value_of("cn-north-1").with_endpoint_override(platform.endpoint)).build()


def test_another_project_is_refused(platform):
    assert refusal(lambda: create(make_client(platform, project="f" * 32))) == (403, "APIG.0306")


def test_an_unknown_call_is_refused_and_raises_at_the_end(containers):
    with pytest.raises(UnknownCalls, match="DELETE /v2/.*/training-jobs/x"):
        with mock_modelarts(containers=containers) as platform:
            client = make_client(platform)
            assert refusal(lambda: client.delete_training_job(DeleteTrainingJobRequest("x"))) == (404, "APIG.0101")
    assert platform.unknown_requests[0].method == "DELETE"


def test_an_unknown_parameter_of_a_known_call_is_refused(platform):
    path = f"/v2/{platform.project_id}/training-job-engines?colour=red"
    reply = request(platform, "GET", path, headers=signed(platform, "GET", path))
    assert (reply.status, reply.code) == (400, "ModelArts.2764")


def test_an_error_has_the_form_and_the_request_id_that_the_sdk_reads(client):
    with pytest.raises(ClientRequestException) as refused:
        show(client, "nothing")
    assert refused.value.error_msg == "Training job (ID: nothing) not found."
    assert len(refused.value.request_id) == 32


@mock_modelarts(buckets=[BUCKET])
def test_the_decorator_makes_a_mock_of_its_own():
    assert current_modelarts().obs.buckets() == [BUCKET] and current_modelarts().jobs == []


def test_many_clients_at_once_make_as_many_jobs(platform):
    client = make_client(platform)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda number: create(client, name=f"job-{number}"), range(24)))
        pages = list(pool.map(lambda page: search(client, offset=page, limit=5), range(5)))
    assert len(set(ids)) == 24
    assert {job.metadata.id for page in pages for job in page.items} == set(ids)
