"""Runs as jobs of ModelArts, which is in memory here; a job moves on while the sweep sleeps."""
from __future__ import annotations

import contextlib
import io

import pytest

from job.console import Console
from job.modelarts.errors import AccessRefused, ModelArtsUnavailable, QuotaExceeded
from job.modelarts.request import RUN, SUBMISSION, JobRequest
from job.modelarts.service import ABNORMAL, COMPLETED, FAILED, PENDING, RUNNING, TERMINATED, TERMINATING
from job.modelarts.submission import fresh_name
from job.sweep.drive import Driver
from job.sweep import state
from job.sweep.state import SUBMITTED, WAITING, RunState, look_at
from job.sweep.submitted import SubmittedRunner, first_to_start, jobs_under_way
from job.sweep.text import with_jobs
from obs_sync import open_store
from tests.job.modelarts.memory_service import MemoryJobService
from tests.job.sweep.studies import BASE, VARIANTS, planned, store


class Killed(BaseException):
    """Ends a sweep as SIGKILL does."""


class Platform(MemoryJobService):
    """A ModelArts whose jobs move on: Pending, Running, then what ``fates`` says of the run, or done.

    fates: name of a run → what its jobs end with, one a job: (phase, exit code or None).
    """

    def __init__(self, folder, runs):
        super().__init__()
        self.folder, self.runs, self.fates = folder, {run.name: run for run in runs}, {}
        self.most, self.ran, self.left = 0, [], None
        self.now = 0.0

    def clock(self):
        return self.now

    def sleep(self, seconds):
        """The driver sleeps: a minute passes for the jobs."""
        self.now += 60.0
        under_way = [job for job in self.table.values() if not job.is_final]
        names = [job.annotations[RUN] for job in under_way]
        assert len(names) == len(set(names)), "two jobs of one run"
        self.most = max(self.most, len(under_way))
        for job in under_way:
            self._step(job)
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Killed

    def _step(self, job):
        run = self.runs[job.annotations[RUN]]
        if job.phase == PENDING:
            return self.move(job.id, RUNNING)
        if job.phase == TERMINATING:
            return self.move(job.id, TERMINATED)
        fates = self.fates.get(run.name)
        if fates:
            phase, code = fates.pop(0)
            tasks = tuple(task._replace(exit_code=code, message="a node was lost") for task in job.tasks)
            return self.move(job.id, phase, tasks=tasks)
        self.ran.append(run.name)
        store(self.folder, run, 50.0 + run.seed, 60.0)
        return self.end(job.id, 0, COMPLETED)


@pytest.fixture(autouse=True)
def local_folders(request, monkeypatch):
    """The runs are stored in a local folder here, while their jobs name a folder in OBS, as they have to."""
    if "folder_that_it_writes_to" not in request.node.name:
        monkeypatch.setattr("job.sweep.submitted.is_of", lambda job, run, reader: not job.is_final)


@pytest.fixture
def runs(tmp_path):
    return planned(tmp_path, BASE + VARIANTS)[0]


@pytest.fixture
def platform(tmp_path, runs):
    return Platform(tmp_path, runs)


def request_of(run):
    name = fresh_name(run.name)
    return JobRequest(name=name, code_dir="obs://bucket/code/", boot_file="boot.py", flavor="f",
                      parameters=(("train_url", "obs://bucket/out/"), ("run_name", run.name),
                                  ("target_domain", run.target)),
                      annotations=((SUBMISSION, name), (RUN, run.name)))


def runner_of(platform, at_once=3):
    return SubmittedRunner(platform, request_of, open_store, at_once, platform.clock, lambda seconds: None)


def drive(platform, runs, **options):
    """Drive to the end; name → outcome."""
    def look(run):
        return look_at(run, open_store)

    driver = Driver(runs, {run.name: look(run) for run in runs}, runner_of(platform, **options), look,
                    Console(stream=io.StringIO()), clock=platform.clock, sleep=platform.sleep)
    return {outcome.run.name: outcome for outcome in driver.run()}


def test_so_many_jobs_are_under_way_at_a_time(platform, runs):
    outcomes = drive(platform, runs, at_once=3)
    assert {each.code for each in outcomes.values()} == {0}
    assert platform.most == 3 and len(platform.requests) == 8


def test_a_lost_node_is_submitted_again_and_a_mistake_is_not(platform, runs):
    lost, wrong, aborted = runs[0].name, runs[1].name, runs[2].name
    platform.fates = {lost: [(ABNORMAL, None)], wrong: [(FAILED, 3)], aborted: [(FAILED, 134)]}
    outcomes = drive(platform, runs)
    submitted = [dict(request.annotations)[RUN] for request in platform.requests]
    assert [submitted.count(name) for name in (lost, wrong, aborted)] == [2, 1, 2]
    assert [outcomes[name].code for name in (lost, wrong, aborted)] == [0, 3, 0]


def test_a_job_that_somebody_stopped_is_not_submitted_again(platform, runs):
    platform.fates = {runs[0].name: [(TERMINATED, None)]}
    outcome = drive(platform, runs)[runs[0].name]
    assert outcome.code == 1 and "was stopped, by somebody" in outcome.state.told
    assert len(platform.requests) == 8


def test_a_sweep_that_is_killed_at_any_moment_adopts_its_jobs(tmp_path, runs):
    for moment in range(6):
        platform = Platform(tmp_path / str(moment), runs)
        for run in runs:
            platform.runs[run.name] = run._replace(url=str(tmp_path / str(moment) / "out" / run.name))
        ours = list(platform.runs.values())
        for left in (moment, 1):
            platform.left = left
            with contextlib.suppress(Killed):
                drive(platform, ours)
        platform.left = None
        assert {each.code for each in drive(platform, ours).values()} == {0}
        assert sorted(platform.ran) == sorted(run.name for run in runs), "a run was run twice"
        assert len(platform.requests) == 8


def test_a_job_that_another_machine_submitted_meanwhile_is_adopted(platform, runs):
    theirs = request_of(runs[0])
    original, platform.jobs = platform.jobs, lambda name="": iter(())
    platform.create(theirs)
    runner = runner_of(platform)
    assert runner.adopt(runs) == []  # it is not listed yet
    platform.jobs = original
    runner.start(runs[0])
    assert len(platform.requests) == 1 and runner.running() == [runs[0]]


def test_a_quota_and_an_outage_are_waited_for(platform, runs):
    platform.before = [QuotaExceeded("no more cards", "cn-north-4")]
    platform.outages = 0
    outcomes = drive(platform, runs)
    assert {each.code for each in outcomes.values()} == {0} and len(platform.table) == 8


def test_an_outage_while_jobs_run_does_not_end_the_sweep(platform, runs):
    sleep = platform.sleep

    def sleeping(seconds):
        platform.outages = 2 if len(platform.ran) == 2 else 0
        sleep(seconds)

    platform.sleep = sleeping
    assert {each.code for each in drive(platform, runs).values()} == {0}


def test_a_refusal_ends_the_sweep_and_the_jobs_go_on(platform, runs):
    platform.before = [None, AccessRefused("the key may not create jobs", "cn-north-4")]
    with pytest.raises(AccessRefused):
        drive(platform, runs)
    assert [job.phase for job in platform.table.values()] == [PENDING]


def test_a_lost_reply_does_not_make_a_second_job(platform, runs):
    platform.after = [ModelArtsUnavailable("no answer", "cn-north-4")]
    drive(platform, runs)
    assert len(platform.table) == 8


def test_a_job_is_known_by_the_folder_that_it_writes_to(platform, runs):
    runner = SubmittedRunner(platform, request_of, open_store, 3)
    ours = runs[0]._replace(url=f"obs://bucket/out/{runs[0].name}")
    other = ours._replace(url=f"obs://bucket/another/{ours.name}")
    platform.create(request_of(ours))
    assert runner.adopt([other]) == [] and runner.adopt([ours]) == [ours]


def test_the_status_shows_jobs_whose_run_has_not_begun(platform, runs):
    ours = [run._replace(url=f"obs://bucket/out/{run.name}") for run in runs]
    platform.create(request_of(ours[0]))
    states = dict.fromkeys([run.name for run in ours], RunState(WAITING))
    told = with_jobs(states, jobs_under_way(platform, ours, open_store))
    assert [state.state for state in told.values()] == [SUBMITTED] + [WAITING] * 7
    assert told[ours[0].name].told.endswith(", Pending")


def test_the_run_that_is_checked_from_here_is_one_that_nobody_runs(runs):
    """The check of a run that a job writes to would report that its name is in use."""
    states = dict.fromkeys([run.name for run in runs], RunState(WAITING))
    assert first_to_start(runs, states, ()) == runs[0]
    for run, told in zip(runs, (state.DONE, state.RUNNING, state.DAMAGED)):
        states[run.name] = RunState(told)
    assert first_to_start(runs, states, {runs[3].name}) == runs[4]
    assert first_to_start(runs[:4], states, {runs[3].name}) is None
