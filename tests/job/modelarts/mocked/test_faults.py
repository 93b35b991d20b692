"""Faults of the mocked ModelArts: what the unmodified SDK sees of them, and how rules are written."""
from __future__ import annotations

import re

import pytest
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException, SdkException, ServerResponseException
from requests.exceptions import RequestException

from job.commands import mock as mock_command
from job.modelarts.mocked import PRESETS, calls, platform_faults
from job.modelarts.mocked.faults import language
from obs_sync.mock import FaultError
from obs_sync.mock.faults.text import EFFECTS
from tests.job.modelarts.mocked.support import create, request, show
from tests.job.modelarts.mocked.test_calls import search
from tests.test_architecture import read


def test_a_lost_reply_of_create_leaves_one_job_that_a_search_finds(platform, client):
    platform.faults = platform_faults(["CreateTrainingJob nth=1 reset=after"])
    with pytest.raises((SdkException, RequestException)):
        create(client, annotations={"masf/submission": "one"})
    found = search(client, limit=50).items
    assert [job.metadata.annotations["masf/submission"] for job in found] == ["one"]
    assert platform.injected["reset=after"] == 1


def test_a_new_job_can_be_listed_late(platform, client):
    platform.faults = platform_faults(["ListTrainingJobs behind=5"])
    create(client)
    assert search(client).items == []
    platform.advance(5)
    assert len(search(client).items) == 1


def test_a_reset_before_create_leaves_no_job(platform, client):
    platform.faults = platform_faults(["CreateTrainingJob nth=1 reset=before"])
    with pytest.raises((SdkException, RequestException)):
        create(client)
    assert platform.jobs == []


@pytest.mark.parametrize("rule, kind, status, code", [
    ("CreateTrainingJob status=429", ClientRequestException, 429, "APIG.0308"),
    ("CreateTrainingJob status=500", ServerResponseException, 500, "APIG.0601"),
    ("CreateTrainingJob status=503 code=ModelArts.9999", ServerResponseException, 503, "ModelArts.9999"),
    ("quota", ClientRequestException, 400, "ModelArts.0116"),
])
def test_an_error_status_keeps_the_job_from_being_made(platform, client, rule, kind, status, code):
    platform.faults = platform_faults([rule])
    with pytest.raises(kind) as refused:
        create(client)
    # The SDK shows its own code for 429, and not that of the document.
    assert (refused.value.status_code, refused.value.error_code) in ((status, code), (status, "429"))
    assert platform.jobs == []


def test_an_error_can_say_when_to_try_again(platform):
    platform.faults = platform_faults(["status=503 retry-after=2"])
    reply = request(platform, "GET", "/v3/projects")
    assert (reply.status, reply.headers["retry-after"], reply.code) == (503, "2", "APIG.0601")


def test_a_cut_reply_tells_nothing_of_the_job(platform, client):
    job_id = create(client)
    platform.faults = platform_faults(["ShowTrainingJobDetails nth=1 cut=0.5"])
    try:
        assert show(client, job_id).metadata is None  # with an older HTTP library, which lets a cut reply pass
    except (SdkException, RequestException, ValueError):
        pass
    assert platform.injected["cut"] == 1
    assert show(client, job_id).metadata.id == job_id


@pytest.mark.parametrize("seconds, phase", [(1000, "Pending"), (2001, "Running")])
def test_a_job_can_be_stuck_in_pending(platform, client, seconds, phase):
    platform.faults = platform_faults(["ScheduleJob key=stuck* pending=2000"])
    stuck, other = create(client, name="stuck-1"), create(client, name="other")
    platform.advance(1)
    platform.advance(seconds)
    assert (show(client, stuck).status.phase, show(client, other).status.phase) == (phase, "Running")


def test_what_happened_is_in_the_journal(platform, client):
    platform.faults = platform_faults(["ScheduleJob pending=1", "ShowTrainingJobDetails nth=2 status=500"])
    job_id = create(client)
    platform.advance(1)
    show(client, job_id)
    with pytest.raises(ServerResponseException):
        show(client, job_id)
    told = [(record.operation, record.key.rpartition("/")[2], record.faults) for record in platform.requests]
    assert told == [("CreateTrainingJob", "training-jobs", ()), ("ScheduleJob", "first", ("pending",)),
                    ("ShowTrainingJobDetails", job_id, ()), ("ShowTrainingJobDetails", job_id, ("status=500",))]
    assert platform.counts["ShowTrainingJobDetails"] == 2


@pytest.mark.parametrize("text, expected", [
    ("strom", "expected a preset (storm, node-loss, preemption), an operation such as CreateTrainingJob"),
    ("GetObject status=500", "there is no operation 'GetObject' (did you mean 'GetLogObject'?): expected one or more"),
    ("RunJbo kill=5", "there is no operation 'RunJbo' (did you mean 'RunJob'?)"),
    ("RunJob nth=1 lose-nod=0", "found none (did you mean 'lose-node'?)"),
    ("nodeloss", "'nodeloss' is unknown (did you mean 'node-loss'?)"),
    ("RunJob kill=0 log='interval 20", "a quotation mark is not closed; write a value with blanks as in key='a b'"),
    ("RunJob status=500", "status=500 cannot happen to RunJob: expected one or more of CreateTrainingJob"),
    ("CreateTrainingJob kill=5", "kill cannot happen to CreateTrainingJob: expected one or more of RunJob"),
    ("ShowTrainingJobDetails behind=5", "behind cannot happen to ShowTrainingJobDetails"),
    ("RunJob kill=soon", "kill=soon: expected a number"),
    ("RunJob kill=-1", "kill=-1.0: expected seconds, 0 or more"),
    ("RunJob kill=inf", "kill=inf: expected seconds"),
    ("pending=-1", "pending=-1.0: expected seconds, 0 or more, or inf"),
    ("status=200", "status=200 is not an error"),
    ("quota=3", "quota takes no value"),
    ("RunJob nth=1", "expected one effect"),
    ("RunJob kill=1 lose-node=2", "expected one effect"),
    ("RunJob pending=1", "pending cannot happen to RunJob"),
    ("ScheduleJob pending=1 log=x", "there is no 'log' here"),
])
def test_a_rule_that_is_wrong_says_what_was_expected(text, expected):
    with pytest.raises(FaultError) as wrong:
        platform_faults([text])
    assert expected in str(wrong.value)


def test_the_faults_that_the_pages_show_are_rules():
    shown = [text for page in (read("docs/mock.md"), language.__doc__, mock_command.EXAMPLES)
             for text in re.findall(r'--platform_faults (?:"([^"]+)"|([a-z-]+))', page)]
    assert len(shown) >= 5
    for quoted, bare in shown:
        assert platform_faults([quoted or bare]).rules
    told = re.findall(r"^    ([a-z-]+(?:=[\w.-]+)?)(?: [a-z-]+=\S+)*  +", language.__doc__, re.M)
    assert {word.partition("=")[0] for word in told} >= set(language.LANGUAGE.effects) - set(EFFECTS)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_a_plan(name):
    assert platform_faults([name], seed=3).rules


def test_rules_know_the_names_of_all_calls():
    assert set(language.CALLS) == {call.name for call in calls.CALLS} | {"Unknown"}


def test_a_rule_without_a_name_picks_everything_that_its_effect_can_happen_to():
    assert {rule.operation for rule in platform_faults(["kill=1"]).rules} == {"RunJob"}
    calls = platform_faults(["latency=0.1"]).rules[0].operation.split(",")
    assert "CreateTrainingJob" in calls and "RunJob" not in calls
