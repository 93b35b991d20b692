"""Following a job: phases, restarts and the log, each told once, until the job has ended and its log is whole."""

from __future__ import annotations

import pytest

from job.exits import INTERRUPTED, meaning_of
from job.modelarts import log_folder
from job.modelarts.errors import AccessRefused, ModelArtsUnavailable, NoSuchJob
from job.modelarts.follow import LOOKS_A_WAIT, JobWatch, exit_code_of, follow, tell_log
from job.modelarts.job_log import log_key
from job.modelarts.request import JobRequest
from job.modelarts.service import ABNORMAL, COMPLETED, FAILED, PENDING, RUNNING, TERMINATED, Event, RunningRecord, Task
from obs_sync import LocalStore, ObjectNotFound, StoreUnavailable
from tests.job.modelarts.memory_service import MemoryJobService


class Followed:
    """A job that goes on while its follower sleeps: each sleep does the next step of ``script``."""

    def __init__(self, tmp_path):
        self.service = MemoryJobService()
        self.store = LocalStore(str(tmp_path))
        self.job = self.service.create(JobRequest("masf", "obs://b/code/", "boot_modelarts.py", "f",
                                                  log_url="obs://b/log/"))
        self.script = []
        self.told = []
        self.time = 0.0

    @property
    def log(self):
        return self.service.logs[self.job.id]

    def move(self, phase, *lines, **changes):
        self.log.extend(lines)
        self.service.move(self.job.id, phase, **changes)

    def end(self, phase=COMPLETED, code=0, *lines):
        self.log.extend(lines)
        self.service.end(self.job.id, code, phase)

    def sleep(self, seconds):
        self.time += seconds
        step = self.script.pop(0) if self.script else None
        if step is not None:
            step()
        assert self.time < 500, "the follower does not end"

    def follow(self, **options):
        return follow(self.service, self.job.id, lambda url: self.store, self.told.extend, sleep=self.sleep,
                      clock=lambda: self.time, **options)

    def told_of(self, kind, *names):
        return [tuple(event.data[name] for name in names) for event in self.told if event.kind == kind]

    @property
    def lines(self):
        return [text for text, in self.told_of("line", "text")]


@pytest.fixture
def followed(tmp_path):
    return Followed(tmp_path)


def test_phases_and_lines_are_told_once_and_in_order(followed):
    followed.script = [lambda: followed.move(RUNNING, "one", "two"), None, lambda: followed.move(RUNNING, "three"),
                       lambda: followed.end(COMPLETED, 0, "done")]
    assert followed.follow() == 0
    told = [event.data.get("phase") or event.data["text"] for event in followed.told]
    assert told == [PENDING, RUNNING, "one", "two", "three", COMPLETED, "done", COMPLETED]
    assert followed.told_of("line", "task", "number")[-1] == ("worker-0", 4)


def test_lines_that_arrive_after_the_end_of_the_job_are_told(followed):
    followed.script = [lambda: followed.end(FAILED, 5, "one"), None, lambda: followed.log.append("two"), None, None,
                       lambda: followed.log.append("three")]
    assert followed.follow() == 5
    assert followed.lines == ["one", "two", "three"]
    assert followed.told[-1].lines == [f"exit code 5 ({meaning_of(5)})"]


def test_a_job_that_ended_long_ago_is_told_without_waiting(followed):
    followed.end(COMPLETED, 0, "one")
    followed.move(COMPLETED, records=(RunningRecord(1.0, 2.0, "", ""),))
    assert followed.follow() == 0 and followed.time == 0.0 and followed.lines == ["one"]


@pytest.mark.parametrize("records, seconds, at_once", [
    ((RunningRecord(900.0, 1000.0, "", ""),), 20.0, True), ((RunningRecord(900.0, 1000.0, "", ""),), 5.0, False),
    ((), 20.0, True)])
def test_the_log_of_a_job_is_waited_for_only_shortly_after_its_end(followed, records, seconds, at_once):
    followed.move(TERMINATED, records=records, created=1000.0)
    watch = JobWatch(followed.service, followed.job.id, clock=lambda: 0.0, now=lambda: 1000.0 + seconds)
    watch.look()
    assert (watch.exit_code is not None) == at_once


def test_a_restart_is_told_with_what_the_platform_did_and_why(followed):
    first, second, third = (RunningRecord(start, None, "", "") for start in (1.0, 3.0, 5.0))
    lost = first._replace(end=2.0, reason="node\x1b lost", recovery="pod_reschedule")
    followed.move(RUNNING, "start", records=(first,))
    followed.script = [
        lambda: followed.move(RUNNING, records=(lost, second)),
        lambda: followed.move(RUNNING, records=(lost, second._replace(end=4.0, recovery="proc_restart"), third)),
        None, lambda: followed.end(COMPLETED, 0, "resumed")]
    assert followed.follow() == 0
    assert followed.lines == ["start", "resumed"]
    assert [event.lines for event in followed.told if event.kind == "restart"] == [
        ["restarted in a new container, because: node\\x1b lost"], ["restarted in the same container"]]


def test_modelarts_may_be_away_for_a_while(followed, caplog):
    caplog.set_level("INFO", logger="job")

    def away():
        followed.move(RUNNING, "two")
        followed.service.outages = 3

    followed.move(RUNNING, "one")
    followed.script = [away, None, None, None, lambda: followed.end(COMPLETED, 0, "three")]
    assert followed.follow() == 0
    assert followed.lines == ["one", "two", "three"]
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 2 and messages[0].startswith("following is interrupted, retrying: ModelArts cannot be")


def test_modelarts_that_does_not_answer_the_first_time_is_an_error(followed):
    followed.service.outages = 1
    with pytest.raises(ModelArtsUnavailable):
        followed.follow()


def test_a_failure_between_two_reads_loses_no_line(followed):
    followed.end(COMPLETED, 0, "one", "two")
    watch = JobWatch(followed.service, followed.job.id, settle=0.0, clock=lambda: followed.time)
    read = followed.service.lines
    failures = [None, ModelArtsUnavailable("away")]

    def failing(*arguments):
        trouble = failures.pop(0) if failures else None
        if trouble is not None:
            raise trouble
        return read(*arguments)

    followed.service.lines = failing
    told = []
    for _ in range(3):
        try:
            told += watch.look()
        except ModelArtsUnavailable:
            pass
    assert [event.data["text"] for event in told if event.kind == "line"] == ["one", "two"]


def test_a_key_without_the_right_to_read_logs_reads_them_in_obs(followed, caplog):
    caplog.set_level("INFO", logger="job")
    read, key = followed.service.lines, log_key(followed.job.id, "worker-0")
    followed.move(RUNNING, "one", "two")

    def refused(*_):
        raise AccessRefused("the access key may not do this: logs")

    def take_the_right():
        followed.store.write(key, b"one\ntwo\nthree\n")
        followed.service.lines = refused

    def finish():
        followed.store.write(key, b"one\ntwo\nthree\nfour")
        followed.end()

    followed.script = [None, take_the_right, None, finish]
    assert followed.follow() == 0
    assert followed.lines == ["one", "two", "three", "four"]
    assert "ModelArts does not give the log, so it is read from" in caplog.text
    followed.service.lines = read


def test_without_that_right_and_without_a_log_url_the_error_says_what_to_do(followed):
    def refused(*_):
        raise AccessRefused("the access key may not do this: logs")

    followed.service.lines = refused
    followed.move(RUNNING, log_url="")
    with pytest.raises(AccessRefused, match="submit with --log_url"):
        followed.follow()


def test_a_task_that_modelarts_does_not_know_yet_is_waited_for(followed):
    read = followed.service.lines
    followed.move(RUNNING, log_url="")

    def unknown(*_):
        raise NoSuchJob("no log of worker-0")

    def begin():
        followed.service.lines = read
        followed.move(RUNNING, "one")

    followed.service.lines = unknown
    followed.script = [None, begin, followed.end]
    assert followed.follow() == 0 and followed.lines == ["one"]


def test_what_modelarts_says_about_a_job_that_waits_is_told_once(followed):
    followed.service.recorded_events[followed.job.id] = [Event("12:00", "Warning", "no\x1b[31m card is free")]
    followed.script = [None] * 14 + [followed.end]
    assert followed.follow() == 0
    assert [event.lines for event in followed.told if event.kind == "event"] == [["  12:00 no\\x1b[31m card is free"]]


def test_a_log_of_one_line_is_told(followed):
    followed.move(RUNNING, "one")
    tell_log(followed.service, followed.service.table[followed.job.id], None, followed.told.extend)
    assert followed.lines == ["one"]


def test_the_events_of_a_job_that_was_queued_again_are_told_after_a_look_that_failed(followed):
    followed.move(PENDING, "one", records=(RunningRecord(1.0, 2.0, "node lost", "job_reschedule"),))
    followed.service.recorded_events[followed.job.id] = [Event("12:00", "Warning", "no card is free")]
    watch = JobWatch(followed.service, followed.job.id)
    read, told = followed.service.lines, []

    def away(*_):
        raise ModelArtsUnavailable("away")

    for number in range(2 * LOOKS_A_WAIT):
        followed.service.lines = away if number == LOOKS_A_WAIT - 1 else read
        try:
            told += watch.look()
        except ModelArtsUnavailable:
            pass
    assert [event.data["message"] for event in told if event.kind == "event"] == ["no card is free"]


def test_control_characters_of_the_log_do_not_reach_the_terminal(followed, capsys):
    followed.end(COMPLETED, 0, "\x1b]0;title\x07a\tb\r\x9bc", "精度")
    assert follow(followed.service, followed.job.id, settle=0.0) == 0
    assert capsys.readouterr().out == "\\x1b]0;title\\x07a\tb\\r\\x9bc\n精度\n"


def test_ctrl_c_says_that_the_job_goes_on(followed, caplog):
    caplog.set_level("INFO", logger="job")

    def interrupted():
        raise KeyboardInterrupt

    followed.script = [interrupted]
    assert followed.follow() == INTERRUPTED
    assert "the job goes on. `python -m job logs id-1 -f` follows it again" in caplog.text


def test_the_log_of_a_job_that_waits_is_not_asked_for(followed):
    read = followed.service.lines
    followed.service.lines = pytest.fail

    def begin():
        followed.service.lines = read
        followed.move(RUNNING, "one")

    followed.script = [None, begin, followed.end]
    assert followed.follow() == 0 and followed.lines == ["one"]


@pytest.mark.parametrize("phase, codes, expected", [
    (COMPLETED, (0,), 0), (COMPLETED, (None,), 0), (FAILED, (0, 5), 5), (FAILED, (None,), 1), (FAILED, (-9,), 137),
    (TERMINATED, (None,), 143), (TERMINATED, (143,), 143), (ABNORMAL, (), 1)])
def test_the_exit_code_of_a_job_is_that_of_its_first_task_that_failed(followed, phase, codes, expected):
    job = followed.job._replace(phase=phase, tasks=tuple(Task("worker", code, "") for code in codes))
    assert exit_code_of(job) == expected


class LogFolder:
    """Follows a log object; each sleep does the next step of ``script``."""

    def __init__(self, path):
        self.store = LocalStore(str(path))
        self.script, self.told, self.time = [], [], 0.0

    def sleep(self, seconds):
        self.time += seconds
        if self.script:
            self.script.pop(0)()

    def tell(self, job_id, follow=False, task=""):
        return log_folder.tell_log_object(self.store, job_id, task, self.told.extend, follow, sleep=self.sleep,
                                          clock=lambda: self.time, patience=60.0)

    @property
    def lines(self):
        return [event.data["text"] for event in self.told]


@pytest.fixture
def folder(tmp_path):
    made = LogFolder(tmp_path)
    made.store.write("modelarts-job-id-1-worker-1.log", b"one\ntwo")
    return made


def test_a_log_is_read_from_its_folder_alone(folder):
    assert folder.tell("id-1", task="worker-1") == 0 and folder.lines == ["one", "two"]


def test_a_log_of_one_unfinished_line_is_told(folder):
    folder.store.write("modelarts-job-id-1-worker-0.log", b"one")
    assert folder.tell("id-1") == 0 and folder.lines == ["one"]


def test_a_log_that_grows_in_its_folder_is_followed_until_nothing_more_comes(folder, caplog):
    def grow():
        folder.store.write("modelarts-job-id-1-worker-1.log", b"one\ntwo\nthree\nfour")

    folder.script = [grow]
    assert folder.tell("id-1", follow=True, task="worker-1") == 1
    assert folder.lines == ["one", "two", "three", "four"]
    assert "the log has had no new line for 1 min" in caplog.text


def test_a_log_object_that_cannot_be_read_for_a_while_is_read_later(folder, caplog):
    head, failures = folder.store.head, [True, True]

    def failing(key):
        if failures:
            failures.pop()
            raise StoreUnavailable("connection refused", key)
        return head(key)

    def leave():
        folder.store.head = failing

    folder.script = [leave]
    assert folder.tell("id-1", follow=True, task="worker-1") == 1
    assert folder.lines == ["one", "two"] and caplog.text.count("the storage does not answer") == 1


@pytest.mark.parametrize("job_id, task, message", [
    ("id-2", "", "there is no log of a job with the id 'id-2'; did you mean 'id-1'?"),
    ("id-1", "", "the job has no log of 'worker-0', but of worker-1")])
def test_a_log_that_is_not_in_the_folder_is_an_error_that_names_similar_ones(folder, job_id, task, message):
    with pytest.raises(ObjectNotFound) as caught:
        folder.tell(job_id, task=task)
    assert message in str(caught.value)
