"""A mock that is started again in the same folder knows the jobs of before."""
from __future__ import annotations

import os
import shutil

from job.modelarts.mocked import mock_modelarts
from tests.job.modelarts.mocked.support import BUCKET, create, make_client, put_code, run, show
from tests.job.modelarts.mocked.test_calls import search
from tests.job.modelarts.mocked.test_logs import follow


def start(root, containers):
    return mock_modelarts(root=str(root), buckets=[BUCKET], containers=containers, frozen=True)


def test_a_job_is_shown_as_before_with_its_log(tmp_path, containers):
    with start(tmp_path, containers) as platform:
        put_code(platform.obs)
        client = make_client(platform)
        job_id = run(platform, client, name="ended")
        containers.made[0].write("one\ntwo\n")
        containers.made[0].end(3)
        platform.advance(5)
        before, log = show(client, job_id).to_json_object(), follow(client, job_id)
        platform.advance(5)
        unfinished = run(platform, client, name="unfinished")
    with start(tmp_path, containers) as platform:
        client = make_client(platform)
        assert show(client, job_id).to_json_object() == before and follow(client, job_id) == log == ["one", "two"]
        assert [job.metadata.id for job in search(client).items] == [unfinished, job_id]
        assert show(client, unfinished).status.phase == "Abnormal"
        platform.advance(100)
        assert len(containers.made) == 2  # nothing is started again
        assert len({create(client), job_id, unfinished}) == 3


def test_a_job_whose_mock_was_killed_is_abnormal(tmp_path, containers):
    with start(tmp_path / "first", containers) as platform:
        put_code(platform.obs)
        job_id = run(platform, make_client(platform))
        shutil.copytree(str(tmp_path / "first" / "modelarts"), str(tmp_path / "second" / "modelarts"))
    with start(tmp_path / "second", containers) as platform:
        status = show(make_client(platform), job_id).status
        assert (status.phase, status.running_records[0].end_reason) == ("Abnormal", "the mocked ModelArts was killed")
        assert os.listdir(platform.jobs[0].folder).count("worker-0-1") == 0  # the disk of its container


def test_a_job_that_cannot_be_read_is_left_out_with_a_warning(tmp_path, containers, caplog):
    with start(tmp_path, containers) as platform:
        put_code(platform.obs)
        good, broken = (create(make_client(platform)) for _ in range(2))
    path = tmp_path / "modelarts" / "jobs" / broken / "job.json"
    path.write_bytes(path.read_bytes()[:100])
    with start(tmp_path, containers) as platform:
        assert [job.id for job in platform.jobs] == [good]
    assert broken in caplog.text
