"""The log of a task: collected over restarts, read by lines and bytes, copied to OBS."""
from __future__ import annotations

import pytest
from huaweicloudsdkmodelarts.v1 import ShowTrainingJobLogsFromAomRequest, ShowTrainingJobLogsPreviewRequest

from job.modelarts.mocked import platform_faults
from job.modelarts.mocked.jobs.logs import TaskLog, cut_in_a_character
from obs_sync.mock import ObsError
from tests.job.modelarts.mocked.support import BUCKET, run


@pytest.fixture
def log(tmp_path):
    return TaskLog(str(tmp_path / "task.log"), 1000)


def collect(log, tmp_path, name, data, now=0.0):
    """More output of the container with this name."""
    source = tmp_path / name
    with open(str(source), "ab") as stream:
        stream.write(data)
    log.follow(str(source))
    log.collect(now)


def follow(client, job_id):
    """All lines of a log, read as a client does that follows it, in pages of two."""
    lines, base = [], "0"
    while True:
        reply = client.show_training_job_logs_from_aom(
            ShowTrainingJobLogsFromAomRequest(job_id, "worker-0", base_line=base, lines=2, order="asc"))
        if not reply.lines:
            return lines
        lines += reply.content.splitlines()
        base = reply.end_line


def test_lines_have_numbers_and_an_unfinished_one_waits(log, tmp_path):
    collect(log, tmp_path, "first", b"one\ntwo\nthr")
    page = log.page(log.size, None, 10, True)
    assert (page.start, page.end, page.lines) == (1000, 1002, [b"one\n", b"two\n"])
    collect(log, tmp_path, "first", b"ee\n")
    assert log.page(log.size, 1002, 10, True).lines == [b"three\n"]


def test_the_last_line_of_a_finished_task_needs_no_end(log, tmp_path):
    collect(log, tmp_path, "first", b"one\ntwo")
    log.finish()
    assert log.page(log.size, None, 10, True).lines == [b"one\n", b"two"]


def test_a_new_container_begins_with_a_new_line(log, tmp_path):
    collect(log, tmp_path, "first", b"one\nbroken")
    collect(log, tmp_path, "second", b"two\n")
    assert log.content(log.size) == b"one\nbroken\ntwo\n"


def test_what_was_collected_outlives_a_lost_disk(log, tmp_path):
    collect(log, tmp_path, "first", b"one\n")
    (tmp_path / "first").unlink()
    log.collect(0.0)
    assert log.content(log.size) == b"one\n"


def test_a_log_can_be_seen_as_it_was(log, tmp_path):
    for moment in (10.0, 20.0, 30.0):
        collect(log, tmp_path, "first", b"line\n", moment)
    assert [log.visible(30.0, behind) for behind in (0, 1, 10, 15, 25)] == [15, 10, 10, 5, 0]


@pytest.mark.parametrize("text, moment", [("two", 20.0), ("one", None), ("t\ntwo", None), ("three", 30.0)])
def test_a_text_is_found_when_it_appears(log, tmp_path, text, moment):
    collect(log, tmp_path, "first", b"one\n", 10.0)
    assert log.first_seen(text, 15.0) is None
    collect(log, tmp_path, "first", b"two\nthr", 20.0)
    log.first_seen(text, 15.0)
    collect(log, tmp_path, "first", b"ee\n", 30.0)
    assert log.first_seen(text, 15.0) == moment


@pytest.mark.parametrize("text", ["aä", "a中b", "😀"])
def test_a_cut_ends_in_the_middle_of_a_character(text):
    data = cut_in_a_character(text.encode("utf-8"))
    assert len(data) < len(text.encode("utf-8"))
    with pytest.raises(UnicodeDecodeError, match="unexpected end"):
        data.decode("utf-8")


def test_a_client_that_follows_reads_every_line_once_over_restarts(platform, client, containers):
    platform.faults = platform_faults(["RunJob nth=1 kill=5", "RunJob nth=2 lose-node=5"])
    job_id = run(platform, client, annotations={"fault-tolerance/job-retry-num": "2"})
    containers.made[0].write("1 a\n1 b\n1 c\n")
    platform.advance(5)   # killed
    platform.advance(0)   # restarted in place
    containers.made[0].write("2 a\n2 b")
    platform.advance(5)   # lost
    platform.advance(10)  # in a new container
    containers.made[1].write("3 a\n3 b\n")
    containers.made[1].end(0)
    platform.advance(0)
    lines = ["1 a", "1 b", "1 c", "2 a", "2 b", "3 a", "3 b"]
    assert follow(client, job_id) == lines
    stored = platform.obs.get(BUCKET, f"log/modelarts-job-{job_id}-worker-0.log")
    assert stored.decode("utf-8").splitlines() == lines


def test_the_log_is_copied_to_obs_every_few_seconds(platform, client, containers):
    job_id = run(platform, client)
    key = f"log/modelarts-job-{job_id}-worker-0.log"
    containers.made[0].write("one\n")
    platform.advance(5)
    assert platform.obs.get(BUCKET, key) == b"one\n"
    containers.made[0].write("two\n")
    platform.advance(4)
    assert platform.obs.get(BUCKET, key) == b"one\n"
    platform.advance(1)
    assert platform.obs.get(BUCKET, key) == b"one\ntwo\n"


def test_each_node_has_a_log_object(platform, client, containers):
    job_id = run(platform, client, flavor="modelarts.kat1.8xlarge", nodes=2)
    for number, container in enumerate(containers.made):
        container.write(f"node {number}\n")
        container.end(0)
    platform.advance(0)
    assert [platform.obs.get(BUCKET, f"log/modelarts-job-{job_id}-worker-{number}.log") for number in range(2)] == [
        b"node 0\n", b"node 1\n"]


def test_a_job_without_a_log_path_has_no_log_object(platform, client, containers):
    run(platform, client, log_url=None)
    containers.made[0].write("one\n")
    containers.made[0].end(0)
    platform.advance(0)
    assert platform.obs.keys(BUCKET, "log/") == []


def test_a_preview_has_the_newest_five_megabytes(platform, client, containers):
    job_id = run(platform, client)
    containers.made[0].write("x" * 100 + "\n" + "y" * (5 * 1024 * 1024 - 1) + "\n")
    platform.advance(0)
    reply = client.show_training_job_logs_preview(ShowTrainingJobLogsPreviewRequest(job_id, "worker-0"))
    assert (reply.current_size, reply.full_size) == (5 * 1024 * 1024, 5 * 1024 * 1024 + 101)
    assert reply.content[:2] == "yy"


def test_log_calls_can_be_behind(platform, client, containers):
    platform.faults = platform_faults(["ShowTrainingJobLogs* behind=5"])
    job_id = run(platform, client)
    containers.made[0].write("one\n")
    platform.advance(0)
    assert follow(client, job_id) == []
    platform.advance(5)
    assert follow(client, job_id) == ["one"]


def test_a_log_can_be_cut_in_the_middle_of_a_character(platform, client, containers):
    job_id = run(platform, client)
    containers.made[0].write("größer\n")
    platform.faults = platform_faults(["ShowTrainingJobLogsPreview nth=1 cut-character",
                                       "UploadLog nth=1 cut-character"])
    platform.advance(5)
    preview = [client.show_training_job_logs_preview(ShowTrainingJobLogsPreviewRequest(job_id, "worker-0")).content
               for _ in range(2)]
    assert preview == ["grö�", "größer\n"]
    key = f"log/modelarts-job-{job_id}-worker-0.log"
    assert platform.obs.get(BUCKET, key) == "grö".encode("utf-8") + "ß".encode("utf-8")[:1]
    platform.advance(5)
    assert platform.obs.get(BUCKET, key) == "größer\n".encode("utf-8")


def test_a_log_folder_that_was_deleted_does_not_end_the_job(platform, client, containers):
    job_id = run(platform, client)
    platform.obs.reset()
    with pytest.raises(ObsError):
        platform.obs.get(BUCKET, "log/x")
    containers.made[0].write("one\n")
    containers.made[0].end(0)
    platform.advance(10)
    assert platform.wait(job_id, seconds=1) == "Completed"
