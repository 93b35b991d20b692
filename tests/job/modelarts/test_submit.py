"""`python -m job submit` from the command line to the request, over a mocked OBS and a ModelArts in memory."""

from __future__ import annotations

import json
import os
import re

import pytest

from job.config.submit_options import JOB_NAME
from job.modelarts import cost, creation, submission
from job.modelarts.cost import Duration
from job.modelarts.errors import ModelArtsUnavailable, RequestRefused
from job.modelarts.request import SUBMISSION
from job.modelarts.submission import beside, console_link, fresh_name
from obs_sync import open_store
from tests.job.modelarts.memory_service import ENGINE, FLAVOR


@pytest.fixture(autouse=True)
def no_graph(monkeypatch):
    """Building the graph takes seconds; `test_cost` does it once."""
    monkeypatch.setattr(cost, "duration_of_graph", lambda config, ranks: Duration(0.5, 1.5, "predicted"))
    monkeypatch.setattr(creation, "FIRST_DELAY", 0.0)


def objects(prefix):
    with open_store("obs://bucket/", os.environ) as store:
        return [info.key for info in store.list(prefix)]


def without_chance(body):
    """The body without what is drawn anew for each submission."""
    text = json.dumps(body)
    drawn = body["metadata"]["annotations"][SUBMISSION]
    return json.loads(text.replace(drawn, "DRAWN").replace(body["metadata"]["name"], "NAME"))


def test_a_submission_creates_one_job_and_says_how_to_follow_it(submit, service):
    assert submit("--seed=3") == 0, submit.log
    (job,) = service.table.values()
    assert re.fullmatch(r"masf_cartoon-[0-9a-f]{8}", job.name)
    assert submit.out == (
        f"submitted {job.name} (id {job.id}), Pending\n"
        f"  follow         python -m job logs {job.name} -f --region=cn-north-4\n"
        f"  state          python -m job status {job.name} --region=cn-north-4\n"
        f"  stop           python -m job stop {job.name} --region=cn-north-4\n")
    assert job.parameters == {"data_url": "obs://bucket/pacs/", "train_url": "obs://bucket/output/", "seed": "3",
                              "weights_path": "none", "meta_batch_size": "6", "target_domain": "cartoon",
                              "run_name": "masf_cartoon"}
    assert (job.log_url, job.flavor, job.nodes) == ("obs://bucket/masf-logs/", FLAVOR.id, 1)
    assert job.code_dir.startswith("obs://bucket/masf-code/masf-")
    (request,) = service.requests
    assert request.engine == f"{ENGINE.name}:{ENGINE.version}"
    prefix = job.code_dir[len("obs://bucket/"):]
    assert {prefix + "boot_modelarts.py", prefix + "whole.json"} <= set(objects(prefix))


def test_every_option_reaches_the_request(submit, service):
    assert submit("--nodes=2", "--pool=pool-1", "--name=mine", "--max_hours=4", "--retries=2", "--notify=urn:smn:x",
                  "--code_url=/bucket/c/", "--log_url=obs://bucket/l", "--image=swr.example.com/a/b:c") == 0, submit.log
    body = service.requests[0].body()
    assert body["metadata"]["name"] == "mine"
    assert body["metadata"]["annotations"]["fault-tolerance/job-retry-num"] == "2"
    assert body["algorithm"]["engine"] == {
        "image_url": "swr.example.com/a/b:c", "engine_name": "Ascend-Powered-Engine"}
    assert body["algorithm"]["code_dir"].startswith("/bucket/c/masf-")
    assert body["algorithm"]["boot_file"] == body["algorithm"]["code_dir"] + "boot_modelarts.py"
    assert body["spec"]["resource"] == {"flavor_id": FLAVOR.id, "node_count": 2, "pool_id": "pool-1"}
    assert body["spec"]["log_export_path"] == {"obs_url": "/bucket/l/"}
    assert body["spec"]["auto_stop"] == {"time_unit": "HOURS", "duration": 4}
    assert body["spec"]["notification"]["topic_urn"] == "urn:smn:x"


def test_the_platform_copies_data_and_results_where_it_is_asked_to(submit, service):
    assert submit("--copied_by=platform", "--retries=1") == 0, submit.log
    assert "begins again at iteration 0" in submit.log
    algorithm = service.requests[0].body()["algorithm"]
    assert algorithm["inputs"] == [{"name": "data_url", "remote": {"obs": {"obs_url": "/bucket/pacs/"}}}]
    assert algorithm["outputs"] == [{"name": "train_url", "remote": {"obs": {"obs_url": "/bucket/output/"}}}]
    assert not {"data_url", "train_url"} & {each["name"] for each in algorithm["parameters"]}


def test_options_of_the_file_count_and_flags_count_more(submit, service, tmp_path):
    (tmp_path / "mine.yaml").write_text("seed: 5\nsubmit:\n  max_hours: 4\n  retries: 1\n")
    assert submit(f"--config={tmp_path / 'mine.yaml'}", "--retries=3") == 0, submit.log
    (request,) = service.requests
    assert (request.max_hours, request.retries, dict(request.parameters)["seed"]) == (4, 3, "5")


def test_a_dry_run_prints_the_very_request_and_sends_and_uploads_nothing(submit, service):
    assert submit("--code_url=obs://bucket/dry/", "--max_hours=2", "--dry-run") == 0, submit.log
    printed = json.loads(submit.out)
    assert service.requests == [] and objects("dry/") == []
    assert "hours: 0.50 to 1.50 (predicted)" in submit.log
    assert f"billing: 1 × {FLAVOR.id}, code modelarts.vm.p3 × 1 units, 1.50 node hours at most" in submit.log
    assert "price: ModelArts' API does not tell it" in submit.log
    assert submit("--code_url=obs://bucket/dry/", "--max_hours=2") == 0
    assert without_chance(printed) == without_chance(service.requests[0].body())


def test_one_document_tells_programs_of_the_job(submit, service):
    assert submit("--json") == 0
    (job,) = service.table.values()
    assert json.loads(submit.out) == {
        "id": job.id, "name": job.name, "phase": "Pending", "region": "cn-north-4", "project": "project",
        "console": None, "code_dir": job.code_dir, "log_url": job.log_url, "parameters": job.parameters}


def test_a_lost_reply_leads_to_one_job(submit, service):
    service.after = [ModelArtsUnavailable("the connection broke")]
    assert submit() == 0, submit.log
    assert (len(service.requests), len(service.table)) == (1, 1)
    assert "only the reply was lost" in submit.log


def test_a_check_that_fails_ends_it_before_anything_is_uploaded(submit, service):
    assert submit("--target_domain=nowhere", "--code_url=obs://bucket/checked/") == 6
    assert "nowhere" in submit.log and "nothing was submitted" in submit.log
    assert service.requests == [] and objects("checked/") == []


@pytest.mark.parametrize("every, told", [
    (100, "the run: keep_every=100 keeps 3 checkpoints of about"), (400, "keep_every=400 keeps no checkpoint")])
def test_what_checkpoints_that_are_kept_for_good_take_is_told(submit, service, every, told):
    assert submit(f"--keep_every={every}", "--dry-run") == 0, submit.log
    assert told in submit.log


def test_checks_can_be_left_out(submit, service):
    assert submit("--target_domain=nowhere", "--skip-checks") == 0, submit.log
    assert len(service.requests) == 1


def test_a_bucket_that_does_not_exist_is_told(submit, service):
    assert submit("--skip-checks", train_url="obs://no-such-bucket/output/") == 4
    assert "no-such-bucket" in submit.log and service.requests == []


@pytest.mark.parametrize("flag", ["code_url", "log_url"])
def test_a_bucket_for_code_or_log_that_does_not_exist_is_told_before_anything_is_created(submit, service, flag):
    assert submit(f"--{flag}=obs://no-such-bucket/x/", "--dry-run") == 6
    assert re.search(f"{flag} +there is no bucket 'no-such-bucket'", submit.log) and submit.out == ""


def test_a_file_that_follows_can_be_tried_out(submit, service, tmp_path):
    (tmp_path / "mine.yaml").write_text("submit:\n  follow: true\n")
    assert submit(f"--config={tmp_path / 'mine.yaml'}", "--dry-run") == 0, submit.log
    assert service.requests == []


def test_a_dry_run_says_what_it_cannot_check(submit):
    assert submit("--pool=pool-1", "--image=swr.example.com/a/b:c", "--notify=urn:smn:x", "--dry-run") == 0, submit.log
    for option in ("--pool=pool-1", "--image=swr.example.com/a/b:c", "--notify=urn:smn:x"):
        assert f"not checked from here: {option} (" in submit.log


def test_a_local_folder_that_is_read_as_a_bucket_is_told(submit, tmp_path, obs):
    code = f"/{tmp_path.parts[1]}"
    submit(f"--code_url={code}", "--dry-run")
    assert f"code_url={code} is read as obs:/{code}/" in submit.log and "the local folder is not used" in submit.log


def test_a_file_that_is_no_list_of_packages_is_refused(submit, service, tmp_path):
    (tmp_path / "page.md").write_text("# Install\n\nRun `pip install` first.\n")
    assert submit(f"--requirements={tmp_path / 'page.md'}") == 2
    assert "line 3 is no requirement: 'Run `pip install` first.'; expected a list for pip" in submit.log
    assert service.requests == []


@pytest.mark.parametrize("where, told", [
    ("make_plan", "interrupted: nothing was uploaded, and no job was created"),
    ("upload_code", "interrupted: the code may be incomplete in obs://bucket/.*, and no job was created"),
    ("create_once", "interrupted: the job masf_cartoon-.* was being created and may exist"),
])
def test_interrupted_it_says_what_was_done_and_what_was_not(submit, monkeypatch, where, told):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(submission, where, interrupt)
    assert submit() == 130
    assert re.search(told, submit.log)


def test_a_refusal_is_told_with_the_exit_code_of_modelarts(submit, service):
    service.before = [RequestRefused("ModelArts refused the request: no agency", "name")]
    assert submit() == 8
    assert "no agency" in submit.log and submit.out == ""


@pytest.mark.parametrize("words, told", [
    (["--flavor=modelarts.p3.larg.public"], f"has no such flavor; did you mean '{FLAVOR.id}'"),
    (["--flavor="], f"--flavor is missing; expected one of {FLAVOR.id}"),
    (["--nodes=3"], "a job of flavor modelarts.p3.large.public has at most 2 nodes"),
    (["--nodes=2", "--meta_batch_size=9"], "meta_batch_size=9 cannot be shared by 2 ranks"),
    (["--precision=float32"], "precision=float32: .*Use precision=mixed"),
    (["--device=cpu"], "--device=cpu: the flavor has Ascend cards, which the job would not use"),
    (["--engine=Ascend-Powered-Engine:x"], "ModelArts in cn-north-4 has no such image.*expected one of Ascend-Powered"),
    (["--engine=PyTorch:pytorch_1.8.0-cuda_10.2-py_3.7"],
     "this image does not fit --flavor=modelarts.p3.large.public, which has Ascend cards; expected --engine=Ascend"),
    (["--engine=Ascend-Powered-Engine:mindspore_1.7.0-cann_5.1.0"], "this image has no TensorFlow"),
    (["--notify=me@example.com"], "notify cannot be 'me@example.com'; expected the URN of a topic, urn:smn:"),
    (["--max_hours=0"], "max_hours cannot be '0'; expected a whole number, from 1 to 8760"),
    (["--max_hours=" + "9" * 5000], "max_hours cannot be '9{10,120}…; expected"),
    (["--code_url=obs://bucket/output/masf_cartoon/code/"],
     "--code_url=obs://bucket/output/masf_cartoon/code/ is inside the folder of the run"),
    (["--log_url=/bucket/output/masf_cartoon"], "--log_url=.* is inside the folder of the run"),
    (["--follow", "--dry-run"], "--dry-run creates no job, so there is none to follow"),
    (["--root=here"], "--root=here is the folder of a local platform; give it with --platform=local"),
    (["--engine=a", "--image=b"], "--engine and --image are both given"),
    (["--retries=4"], "--retries=4: retries cannot be '4'"),
    (["--name=a b"], "name cannot be 'a b'; expected up to 64 of a-z"),
    (["--log_url=logs"], "log_url cannot be 'logs'; expected a folder in OBS"),
    (["--flavour=x"], "unknown flag --flavour; did you mean --flavor"),
    (["--dryrun"], "unknown flag --dryrun"),
    (["--sede=3"], "unknown flag --sede; did you mean --seed"),
    (["--num_gpus=1"], "unknown flag --num_gpus"),
    (["--code_url=obs://AK:SK@bucket/"], "the URL holds a key"),
])
def test_a_mistake_ends_with_one_message_and_no_request(submit, service, words, told):
    assert submit(*words) == 2
    assert re.search(told, submit.log), submit.log
    assert service.requests == [] and submit.out == ""


def test_a_name_that_is_in_use_is_refused(submit, service):
    assert submit("--name=mine") == 0, submit.log
    assert submit("--name=mine") == 2
    assert "--name=mine: a job has this name already" in submit.log and len(service.requests) == 1


@pytest.mark.parametrize("place, folder", [
    ("obs://bucket/team/output/", "obs://bucket/team/masf-code/"), ("obs://bucket/output/", "obs://bucket/masf-code/"),
    ("obs://bucket/", "obs://bucket/masf-code/"),
])
def test_the_code_goes_beside_the_results(place, folder):
    assert beside(place, "masf-code/") == folder


def test_the_console_is_linked_where_modelarts_is_huaweis_own(submit, service):
    assert submit() == 0, submit.log
    (job,) = service.table.values()
    assert console_link(service, job) is None
    service.endpoint = "https://modelarts.cn-north-4.myhuaweicloud.com"
    link = console_link(service, job)
    assert link == f"https://console.huaweicloud.com/modelarts/?region=cn-north-4#/trainingJobs?id={job.id}"


@pytest.mark.parametrize("flag", ["data_url", "train_url", "code_url", "log_url"])
def test_a_key_in_a_url_is_never_shown(submit, service, flag):
    assert submit(f"--{flag}=obs://AK:HIDDEN@bucket/x/") == 2
    assert "holds a key or a signature" in submit.log and "HIDDEN" not in submit.log + submit.out


@pytest.mark.parametrize("run_name", ["a.b c", "照片", "x" * 64, "-a-"])
def test_a_fresh_name_is_one_that_modelarts_takes(run_name):
    assert JOB_NAME.match(fresh_name(run_name)) and fresh_name(run_name) != fresh_name(run_name)


def test_a_flavor_of_a_dedicated_pool_is_left_to_modelarts(submit, service):
    assert submit("--flavor=modelarts.pool.visual.8xlarge", "--pool=pool-1") == 0, submit.log
    assert "whether pool pool-1 has it, ModelArts will say" in submit.log


def test_another_image_has_to_be_given_where_there_is_no_ascend_card(submit, service, monkeypatch):
    monkeypatch.setattr(service, "flavors", lambda kind="": [FLAVOR._replace(kind="GPU")])
    assert submit() == 2
    assert "has no Ascend card, so give the image" in submit.log
    assert "Of ModelArts' images: --engine=TensorFlow:tensorflow_2.1.0-cuda_10.1 (" in submit.log
    assert submit(f"--engine={ENGINE.name}:{ENGINE.version}") == 2
    assert "which has no Ascend cards (GPU); expected --engine=TensorFlow:" in submit.log
    assert submit("--image=swr.example.com/a/b:c", "--dry-run") == 0, submit.log
    assert "hours: not known" in submit.log
