"""The commands about jobs of ModelArts, over a ModelArts in memory and a folder in OBS's place."""

from __future__ import annotations

import json
import re

import pytest

from job import cli
from job.modelarts import session
from job.modelarts.errors import AccessRefused, NoSuchJob
from job.modelarts.names import find_job
from job.modelarts.request import JobRequest
from job.modelarts.service import COMPLETED, FAILED, RUNNING, Event, RunningRecord, Task
from obs_sync import AccessDenied, LocalStore
from tests.job.modelarts.memory_service import MemoryJobService
from tests.job.reports.test_compare import write_run

NASTY = "\x1b]0;title\x07\x9b31m"


class Account:
    """ModelArts, and the buckets as folders below ``path``."""

    def __init__(self, path):
        self.path = path
        self.service = MemoryJobService()
        self.denied = ()  # URLs that may not be read

    def open_at(self, url):
        store = LocalStore(str(self.path / url[len("obs://"):]))
        if url in self.denied:
            def refused(*_):
                raise AccessDenied("the access key may not do this", url)

            store.head = store.list = refused
        return store

    def submit(self, name, target="cartoon", **changes):
        request = JobRequest(name, "obs://b/code/", "boot_modelarts.py", "modelarts.p3", parameters=(
            ("train_url", "obs://b/output/"), ("target_domain", target)), log_url="obs://b/log/")
        return self.service.create(request._replace(**changes))


@pytest.fixture
def account(tmp_path, monkeypatch):
    made = Account(tmp_path)
    monkeypatch.setattr(session, "open_session", lambda region: session.Session(made.service, made.open_at))
    return made


def attempts(account, *found):
    """Let the run masf_cartoon have these attempts."""
    path = account.path / "b" / "output" / "masf_cartoon" / "run.json"
    path.write_text(json.dumps(dict(json.loads(path.read_text()), attempts=found)))


def command(capsys, *words):
    """(exit code, standard output, standard error) of a command."""
    code = cli.main(list(words))
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    assert re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", captured.out + captured.err) is None
    return code, captured.out, captured.err


def document(capsys, *words):
    """The JSON document that a command prints."""
    code, out, _ = command(capsys, *words, "--json")
    assert code == 0
    return json.loads(out, parse_constant=pytest.fail)


def test_jobs_are_listed_with_their_runs_and_newest_accuracies(account, capsys):
    write_run(account.path / "b" / "output" / "masf_cartoon", {10: (35.0, 55.0), 20: (45.2, 52.0)})
    attempts(account, {"started": "2023-11-14T22:13:25Z", "from_iteration": 0})
    job = account.submit("first")
    account.service.move(job.id, RUNNING, duration=75.0)
    account.submit("second", "sketch")
    account.submit("other", parameters=(("epochs", "3"),))
    account.submit("hostile", NASTY, annotations=(("masf/run", NASTY),))
    code, out, _ = command(capsys, "jobs")
    rows = [re.split("  +", line) for line in out.splitlines()]
    assert code == 0 and rows[0] == ["NAME", "PHASE", "DURATION", "CREATED (UTC)", "RUN", "TARGET", "ACCURACY"]
    assert [row[0] for row in rows[1:]] == ["hostile", "other", "second", "first"]
    assert rows[2][4:] == ["-", "-", "-"] and rows[3][4:] == ["masf_sketch", "sketch", "-"]
    assert rows[4] == ["first", "Running", "1 min 15 s", "2023-11-14 22:13:21", "masf_cartoon", "cartoon",
                       "45.20 % at 20"]


def test_an_accuracy_that_another_job_computed_is_told_as_that_of_the_run(account, capsys):
    write_run(account.path / "b" / "output" / "masf_cartoon", {10: (35.0, 55.0), 60: (42.86, 52.0)})
    trains, lost = account.submit("trains"), account.submit("lost")  # at the same time
    account.service.move(trains.id, COMPLETED, records=(RunningRecord(1700000000.0, 1700000100.0, "", ""),))
    account.service.move(lost.id, FAILED, records=(RunningRecord(1700000001.0, 1700000005.0, "", ""),),
                         tasks=(Task("worker-0", 2, ""),))
    for times in ({"started": "2023-11-14T22:13:22Z", "ended": "2023-11-14T22:14:59Z"},
                  {"started": "2023-11-14T22:13:22Z"},
                  {"started": "2023-11-15T00:00:00Z", "host": f"modelarts-job-{trains.id}-worker-0"}):
        attempts(account, dict(times, from_iteration=0), {"started": "2023-11-15T01:00:00Z", "from_iteration": 60})
        told = {row[0]: row[-1] for row in (re.split("  +", line) for line in command(capsys, "jobs")[1].splitlines())}
        assert (told["trains"], told["lost"]) == ("42.86 % at 60", "42.86 % at 60 (of the run)")
    assert [each["run"]["of_job"] for each in document(capsys, "jobs")["jobs"]] == [False, True]


def test_a_run_that_may_not_be_read_is_marked_and_the_others_are_told(account, capsys):
    write_run(account.path / "b" / "output" / "masf_cartoon", {10: (35.0, 55.0)})
    account.submit("readable")
    account.submit("denied", "sketch")
    account.denied = ("obs://b/output/masf_sketch",)
    _, out, _ = command(capsys, "jobs")
    assert re.search("denied .*no right to read it", out) and re.search(r"readable .*35.00 % at 10 \(of the run\)", out)
    told = document(capsys, "jobs")["jobs"]
    assert told[0]["run"] == {"name": "masf_sketch", "target": "sketch", "url": "obs://b/output/masf_sketch",
                              "accuracy": None, "iteration": None, "of_job": False,
                              "problem": "no right to read it"}


def test_the_run_of_a_job_from_the_console_is_found_in_its_configuration_file(account, capsys):
    (account.path / "b" / "code" / "configs").mkdir(parents=True)
    (account.path / "b" / "code" / "configs" / "a.yaml").write_text("run_name: mine\ntarget_domain: photo\n")
    account.submit("console", parameters=(("config", "configs/a.yaml"), ("target_domain", "sketch")),
                   outputs=(("train_url", "obs://b/results/"),))
    account.submit("gone", parameters=(("config", "configs/b.yaml"), ("train_url", "obs://b/results/")))
    told = {job["name"]: job["run"] for job in document(capsys, "jobs")["jobs"]}
    assert (told["console"]["name"], told["console"]["target"]) == ("mine", "sketch")
    assert told["console"]["url"] == "obs://b/results/mine" and told["gone"]["name"] == "masf_cartoon"


def test_the_number_of_listed_jobs_is_limited(account, capsys):
    for number in range(4):
        account.submit(f"job-{number}")
    code, out, _ = command(capsys, "jobs", "--limit=3", "--name=job")
    assert code == 0 and len(out.splitlines()) == 5 and "--limit=6 shows them" in out
    assert document(capsys, "jobs", "--limit=4")["more"] is False
    assert command(capsys, "jobs", "--limit=0")[0] == 2
    assert command(capsys, "jobs", "--name=\x1bx")[1] == "there are no jobs whose name holds '\\x1bx'\n"


def test_the_status_of_a_job_tells_exit_codes_in_words_restarts_and_events(account, capsys):
    job = account.submit("masf")
    account.service.move(job.id, FAILED, duration=75.0,
                         tasks=(Task("worker-0", 137, NASTY), Task("worker-1", None, "")),
                         records=(RunningRecord(10.0, 20.0, NASTY, "proc_restart"),
                                  RunningRecord(None, 40.0, "failed", "")))
    account.service.recorded_events[job.id] = [Event("12:00", "Error", NASTY)]
    code, out, _ = command(capsys, "status", "masf")
    assert code == 0
    for expected in ("masf: Failed", "exit code 137 (killed: out of memory, or still running 15 s after SIGTERM)",
                     "worker-1: has not ended", "1970-01-01 00:00:20", "restarted in the same container",
                     "start not known, until 1970-01-01 00:00:40, failed",
                     "12:00  Error  \\x1b]0;title", "run       masf_cartoon, target cartoon, at obs://b/output/masf_"):
        assert expected in out
    told = document(capsys, "status", job.id)
    assert told["tasks"][0]["meaning"].startswith("killed") and told["tasks"][1]["exit_code"] is None
    assert [record["recovery_meaning"] for record in told["restarts"]] == ["restarted in the same container", None]
    assert told["events"] == [{"time": "12:00", "level": "Error", "message": NASTY}]


def test_events_that_may_not_be_read_do_not_hide_the_rest_of_the_status(account, capsys):
    def refused(job_id):
        raise AccessRefused("the access key may not do this")

    account.submit("masf")
    account.service.events = refused
    code, out, _ = command(capsys, "status", "masf")
    assert code == 0 and "masf: Pending" in out and "events: the access key may not read them" in out


def test_the_log_goes_to_standard_output_alone(account, capsys):
    job = account.submit("masf")
    account.service.logs[job.id] = ["one", NASTY]
    account.service.end(job.id)
    assert command(capsys, "logs", "masf")[:2] == (0, "one\n\\x1b]0;title\\x07\\x9b31m\n")
    for words in ([], ["-f"]):
        code, _, errors = command(capsys, "logs", "masf", "--task=worker-1", *words)
        assert code == 2 and "--task=worker-1: job 'masf' has no such task; expected one of worker-0" in errors
    account.service.move(job.id, COMPLETED, records=(RunningRecord(1.0, 2.0, "", ""),))
    code, out, errors = command(capsys, "logs", "masf", "--follow")
    assert (code, out) == (0, "one\n\\x1b]0;title\\x07\\x9b31m\n") and "masf: Completed" in errors
    code, out, _ = command(capsys, "logs", "masf", "-f", "--json")
    assert [json.loads(line)["event"] for line in out.splitlines()] == ["line", "line", "phase", "end"]


def test_a_log_is_read_from_its_folder_without_asking_modelarts(account, capsys, monkeypatch):
    monkeypatch.setattr(session, "open_session", pytest.fail)
    (account.path / "modelarts-job-id-1-worker-0.log").write_text("one\n")
    assert command(capsys, "logs", "id-1", f"--log_url={account.path}")[:2] == (0, "one\n")
    code, _, errors = command(capsys, "logs", "id-1", "--log_url=log")
    assert code == 2 and "--log_url=log: expected a folder in OBS" in errors


def test_a_key_without_rights_is_told_how_to_read_the_log(account, capsys, monkeypatch):
    def refused(*_):
        raise AccessRefused("the access key may not do this", None, "The user needs a permission")

    monkeypatch.setattr(session, "open_session", refused)
    code, _, errors = command(capsys, "logs", "masf")
    assert code == 8 and "The user needs a permission. With the id as NAME, --log_url=" in errors


def test_stopping_prints_what_was_saved(account, capsys):
    account.submit("masf")
    account.service.end("id-1", 143, "Terminated")
    code, out, errors = command(capsys, "stop", "masf")
    assert (code, errors) == (0, "") and "the run had not begun" in out
    assert document(capsys, "stop", "masf") == {
        "id": "id-1", "name": "masf", "phase": "Terminated", "state": None, "checkpoint": None, "problem": None,
        "run": {"name": "masf_cartoon", "target": "cartoon", "url": "obs://b/output/masf_cartoon"}}
    assert command(capsys, "stop", "masf", "--timeout=nan")[0] == 2


def test_flavors_and_engines_are_listed(account, capsys):
    _, out, _ = command(capsys, "flavors", "--kind=Ascend")
    assert "modelarts.p3.large.public  Ascend  1      ascend-910  32GB" in out
    assert document(capsys, "flavors", "--kind=CPU") == {"flavors": []}
    assert "Ascend-Powered-Engine" in command(capsys, "engines")[1]
    assert document(capsys, "engines")["engines"][0]["id"] == "ascend-tf"


@pytest.mark.parametrize("name, message", [
    ("msaf-cartoon", "did you mean 'masf-cartoon'? `python -m job jobs` lists"),
    ("masf-c", "did you mean 'masf-cartoon'?"),
    ("nothing alike", "has no job 'nothing alike'. `python -m job jobs` lists the jobs"),
    ("\x1b", "has no job '\\x1b'"),
    ("", "the name of the job is empty; `python -m job jobs` lists the jobs"),
    ("twice", "2 jobs have the name 'twice'. Give the id of one of them, the newest first: id-3 (Pending); id-2 (Pen"),
])
def test_a_name_that_is_unknown_or_not_unique_is_one_error(account, capsys, name, message):
    for given in ("masf-cartoon", "twice", "twice"):
        account.submit(given)
    for verb in ("logs", "status", "stop"):
        code, _, errors = command(capsys, verb, name)
        assert code == 2 and message in errors and errors.count("\n") == 1


def test_an_id_is_understood_before_a_name(account):
    job = account.submit("masf")
    identity = "0f3cd3c8-1f5c-4f0d-9d6b-6f3a1c0a8e11"
    account.service.table[identity] = job._replace(id=identity, name="other")
    named = account.submit("1f3cd3c8-1f5c-4f0d-9d6b-6f3a1c0a8e11")
    assert find_job(account.service, identity).name == "other"
    assert find_job(account.service, named.name).id == named.id
    with pytest.raises(NoSuchJob):
        find_job(account.service, "masf-")
