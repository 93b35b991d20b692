"""The phases of a job, its exit codes, its restarts and its end, with containers that tests end by hand."""
from __future__ import annotations

import os

import pytest

from job.modelarts.mocked import Delays, mock_modelarts, platform_faults
from tests.job.modelarts.mocked.support import BUCKET, create, make_client, put_code, run, show
from tests.job.modelarts.mocked.test_calls import stop

RETRY = "fault-tolerance/job-retry-num"
UNCONDITIONAL = "fault-tolerance/job-unconditional-retry"


def records(client, job_id):
    """(start_type, end_reason, end_recover) of each time that the job ran."""
    return [(record.start_type, record.end_reason, record.end_recover)
            for record in show(client, job_id).status.running_records]


def messages(platform):
    return [event.message for event in platform.jobs[0].events]


def test_a_job_goes_from_creating_over_pending_to_running_by_the_clock(containers):
    delays = Delays(creating=5, pending=7)
    with mock_modelarts(buckets=[BUCKET], frozen=True, containers=containers, delays=delays) as platform:
        put_code(platform.obs)
        client = make_client(platform)
        job_id = create(client)
        seen = []
        for seconds in (0, 4, 1, 6, 1):
            platform.advance(seconds)
            seen.append(show(client, job_id).status.phase)
        assert seen == ["Creating", "Creating", "Pending", "Pending", "Running"]


def test_a_job_whose_containers_end_well_is_completed(platform, client, containers):
    job_id = run(platform, client, flavor="modelarts.kat1.8xlarge", nodes=2)
    platform.advance(60)
    containers.made[0].end(0)
    platform.advance(0)
    assert show(client, job_id).status.phase == "Running"  # the other node still works
    containers.made[1].end(0)
    platform.advance(0)
    status = show(client, job_id).status
    assert (status.phase, status.duration) == ("Completed", 60000)
    assert [(each.task, each.exit_code) for each in status.task_statuses] == [("worker-0", 0), ("worker-1", 0)]
    assert status.running_records[0].end_at - status.running_records[0].start_at == 60
    assert "close" in containers.made[0].calls and not os.path.exists(containers.made[0].folder)


@pytest.mark.parametrize("code", [1, 2, 137, 139])
def test_a_job_whose_container_fails_has_its_exit_code(platform, client, containers, code):
    job_id = run(platform, client, flavor="modelarts.kat1.8xlarge", nodes=2)
    containers.made[1].end(code)
    platform.advance(0)
    status = show(client, job_id).status
    assert status.phase == "Failed"
    assert [(each.task, each.exit_code) for each in status.task_statuses] == [("worker-0", 143), ("worker-1", code)]
    assert containers.made[0].calls[1] == "terminate 15"  # the other node is stopped
    assert status.running_records[0].end_related_task == "worker-1"


def test_a_stopped_job_has_its_grace(platform, client, containers):
    job_id = run(platform, client)
    containers.made[0].ignores_terminate = True
    stop(client, job_id)
    platform.advance(5)
    assert show(client, job_id).status.phase == "Terminating"
    containers.made[0].end(137)
    platform.advance(0)
    status = show(client, job_id).status
    assert (status.phase, status.task_statuses[0].exit_code) == ("Terminated", 137)
    assert "The training job has been manually stopped." in messages(platform)


@pytest.mark.parametrize("seconds, phase", [(0, "Creating"), (1, "Pending")])
def test_a_job_that_does_not_run_yet_is_stopped_without_containers(platform, client, containers, seconds, phase):
    platform.faults = platform_faults(["pending=inf"])
    job_id = create(client)
    platform.advance(seconds)
    assert show(client, job_id).status.phase == phase
    stop(client, job_id)
    platform.advance(0)
    status = show(client, job_id).status
    assert (status.phase, status.running_records, containers.made) == ("Terminated", [], [])


def test_a_job_is_stopped_after_its_longest_duration(platform, client, containers):
    job_id = run(platform, client)  # at most 24 hours
    platform.advance(24 * 3600 - 11)
    assert show(client, job_id).status.phase == "Running"
    platform.advance(11)
    platform.advance(0)
    assert show(client, job_id).status.phase == "Terminated"
    assert "Maximum running duration: 24 hours" in messages(platform)[-1]


def test_a_failure_of_its_own_is_not_restarted_unless_asked_for(platform, client, containers):
    job_id = run(platform, client, annotations={RETRY: "2"})
    containers.made[0].end(3)
    platform.advance(10)
    assert show(client, job_id).status.phase == "Failed"


def test_an_unconditional_restart_is_in_a_new_container_and_has_an_end(platform, client, containers):
    job_id = run(platform, client, annotations={RETRY: "2", UNCONDITIONAL: "true"})
    for number in range(3):
        containers.made[number].write(f"attempt {number}\n")
        containers.made[number].end(3)
        platform.advance(0)
        if number < 2:
            assert show(client, job_id).status.phase == "Pending"
            platform.advance(10)
    assert show(client, job_id).status.phase == "Failed" and len(containers.made) == 3
    assert records(client, job_id) == [
        ("init_or_rescheduled", "worker-0 exited with code 3", "job_reschedule"),
        ("init_or_rescheduled", "worker-0 exited with code 3", "job_reschedule"),
        ("init_or_rescheduled", "worker-0 exited with code 3", None)]
    assert len({container.folder for container in containers.made}) == 3


def test_a_killed_container_is_restarted_in_place(platform, client, containers):
    platform.faults = platform_faults(["RunJob nth=1 kill=5"])
    job_id = run(platform, client, annotations={RETRY: "1"})
    platform.advance(4)
    assert containers.made[0].calls == ["start"]
    platform.advance(1)
    platform.advance(0)
    assert containers.made[0].calls == ["start", "kill", "restart"] and len(containers.made) == 1
    assert show(client, job_id).status.phase == "Running"
    containers.made[0].end(0)
    platform.advance(0)
    assert show(client, job_id).status.phase == "Completed"
    assert [each[::2] for each in records(client, job_id)] == [
        ("init_or_rescheduled", "proc_restart"), ("restarted", None)]
    assert platform.injected["kill"] == 1


def test_a_lost_node_is_replaced_by_a_new_container(platform, client, containers):
    platform.faults = platform_faults(["RunJob nth=1 lose-node=5"])
    job_id = run(platform, client, annotations={RETRY: "1"})
    platform.advance(5)
    platform.advance(0)
    status = show(client, job_id).status
    assert (status.phase, status.task_statuses) == ("Pending", [])  # no task has ended for good
    assert containers.made[0].calls == ["start", "kill, disk lost", "close"]
    platform.advance(10)
    assert show(client, job_id).status.phase == "Running" and len(containers.made) == 2
    assert records(client, job_id)[0] == ("init_or_rescheduled", "worker-0: the node was lost", "job_reschedule")
    assert "The training job has been restarted." in messages(platform)


@pytest.mark.parametrize("fault", ["kill=1", "lose-node=1"])
def test_a_job_that_may_not_be_restarted_fails(platform, client, fault):
    platform.faults = platform_faults([fault])
    job_id = run(platform, client)
    platform.advance(1)
    platform.advance(0)
    status = show(client, job_id).status
    assert (status.phase, status.task_statuses[0].exit_code) == ("Failed", 137)


def test_restarts_are_counted(platform, client, containers):
    platform.faults = platform_faults(["RunJob kill=1"])
    job_id = run(platform, client, annotations={RETRY: "3"})
    for _ in range(5):
        platform.advance(1)
        platform.advance(0)
    assert show(client, job_id).status.phase == "Failed"
    assert containers.made[0].calls.count("restart") == 3


def test_a_preempted_job_gets_its_grace_and_waits_again(platform, client, containers):
    platform.faults = platform_faults(["RunJob nth=1 preempt=2"])
    job_id = run(platform, client)  # without retries: a preemption is no failure
    platform.advance(2)
    platform.advance(0)
    assert containers.made[0].calls == ["start", "terminate 15", "close"]
    assert show(client, job_id).status.phase == "Pending"
    platform.advance(10)
    assert show(client, job_id).status.phase == "Running"
    assert "The training job is preempted." in messages(platform)


def test_a_job_that_the_platform_loses_is_abnormal(platform, client):
    platform.faults = platform_faults(["abnormal=1"])
    job_id = run(platform, client, annotations={RETRY: "3"})
    platform.advance(1)
    platform.advance(0)
    assert show(client, job_id).status.phase == "Abnormal"


def test_a_fault_can_wait_for_a_line_of_the_log(platform, client, containers):
    platform.faults = platform_faults(["RunJob nth=1 lose-node=2 log='interval 3'"])
    run(platform, client, annotations={RETRY: "1"})
    containers.made[0].write("interval 2\n")
    platform.advance(100)
    containers.made[0].write("interval 3\n")
    platform.advance(1)
    platform.advance(1)
    assert containers.made[0].calls == ["start"]
    platform.advance(1)
    assert containers.made[0].calls[1] == "kill, disk lost"


def test_a_stopped_mock_ends_its_containers(containers):
    with mock_modelarts(buckets=[BUCKET], frozen=True, containers=containers) as platform:
        put_code(platform.obs)
        job_id = run(platform, make_client(platform))
        containers.made[0].write("last words\n")
        folder = platform.jobs[0].folder
        assert os.path.isdir(folder)
    assert containers.made[0].calls[1] == "close" and not os.path.exists(containers.made[0].folder)
    assert platform.obs.get(BUCKET, f"log/modelarts-job-{job_id}-worker-0.log") == b"last words\n"
    assert not os.path.exists(folder)


def test_a_job_that_cannot_be_started_is_abnormal_and_the_others_go_on(platform, client, containers):
    class Broken(containers):
        def start(self):
            raise OSError("no space left")

    platform.platform._progress._containers = Broken
    broken = create(client)
    platform.advance(1)
    platform.advance(1)
    platform.platform._progress._containers = containers
    assert show(client, broken).status.phase == "Abnormal" and "no space left" in messages(platform)[-1]
    assert show(client, run(platform, client)).status.phase == "Running"


def test_the_clock_runs_by_itself_unless_it_is_frozen(containers):
    delays = Delays(creating=0.01, pending=0.01)
    with mock_modelarts(buckets=[BUCKET], containers=containers, delays=delays) as platform:
        put_code(platform.obs)
        job_id = create(make_client(platform))
        assert platform.wait(job_id, "Running") == "Running"
        containers.made[0].end(0)
        assert platform.wait(job_id) == "Completed"
