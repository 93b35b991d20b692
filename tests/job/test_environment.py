"""The platform's variables."""

from __future__ import annotations

import os

import pytest

from job.environment import CONTROL_PORT, read_environment
from job.errors import ConfigError

V2 = {
    "MA_JOB_DIR": "/home/ma-user/modelarts/user-job-dir", "MA_VJ_NAME": "job-1", "MA_TASK_NAME": "worker",
    "MA_CURRENT_INSTANCE_NAME": "job-1-worker-1", "MA_NUM_HOSTS": "2", "VC_TASK_INDEX": "1",
    "RANK_ID": "11", "RANK_SIZE": "16", "RANK_TABLE_FILE": "/user/config/jobstart_hccl.json", "ASCEND_DEVICE_ID": "3",
}


def read(environ, cache="/nowhere"):
    return read_environment(environ, cache)


def test_without_a_platform_it_is_one_process():
    found = read({})
    assert not found.on_modelarts
    assert (found.rank_id, found.rank_size, found.host_index, found.host_count) == (0, 1, 0, 1)
    assert found.rank_table is None and found.device_id is None
    assert found.control is None and found.job_id is None


def test_a_v2_job_on_ascend_is_read():
    found = read(V2)
    assert found.on_modelarts
    assert (found.rank_id, found.rank_size, found.device_id) == (11, 16, 3)
    assert (found.host_index, found.host_count) == (1, 2)
    assert found.rank_table == "/user/config/jobstart_hccl.json"
    assert (found.job_name, found.task_name, found.instance_name) == ("job-1", "worker", "job-1-worker-1")


def test_a_v1_job_is_read():
    found = read({"DLS_TASK_NUMBER": "2", "DLS_TASK_INDEX": "1"})
    assert found.on_modelarts
    assert (found.host_index, found.host_count) == (1, 2)


def test_rank_0_is_where_the_launcher_says_or_on_the_first_of_the_platform_s_hosts():
    assert read(dict(V2, RANK_CONTROL="10.0.0.7:7000")).control == ("10.0.0.7", 7000)
    hosts = "job-1-worker-0.job-1, job-1-worker-1.job-1"
    assert read(dict(V2, VC_WORKER_HOSTS=hosts)).control == ("job-1-worker-0.job-1", CONTROL_PORT)
    assert read(dict(V2, VC_WORKER_HOSTS="10.0.0.7:6666,10.0.0.8:6666")).control == ("10.0.0.7", CONTROL_PORT)
    assert read({"VC_WORKER_HOSTS": "localhost"}).control is None
    v1 = {"DLS_TASK_NUMBER": "2", "DLS_TASK_INDEX": "1"}
    assert read(dict(v1, BATCH_CUSTOM0_HOSTS="10.0.0.7:6666")).control == ("10.0.0.7", CONTROL_PORT)
    assert read(v1).control is None


@pytest.mark.parametrize("environ, name", [
    ({"RANK_ID": "one"}, "RANK_ID=one"),
    ({"RANK_ID": "-1"}, "RANK_ID=-1"),
    ({"RANK_SIZE": "0"}, "RANK_SIZE=0"),
    ({"RANK_ID": "2", "RANK_SIZE": "2"}, "RANK_ID=2: expected less than RANK_SIZE=2"),
    ({"ASCEND_DEVICE_ID": "npu0"}, "ASCEND_DEVICE_ID=npu0"),
    ({"VC_TASK_INDEX": "x"}, "VC_TASK_INDEX=x"),
    ({"RANK_CONTROL": "7000"}, "RANK_CONTROL=7000: expected host:port"),
    ({"RANK_CONTROL": "here:99999"}, "RANK_CONTROL=here:99999"),
])
def test_a_variable_that_cannot_be_meant_is_an_error_that_names_it(environ, name):
    with pytest.raises(ConfigError, match="environment variable " + name):
        read(environ)


def test_urls_are_taken_from_variables_only_on_the_platform():
    dls = {"DLS_DATA_URL": "s3://b/pacs/", "DLS_TRAIN_URL": "s3://b/out/", "DLS_TASK_NUMBER": "1"}
    assert read(dls).urls == {"data_url": ("s3://b/pacs/", "environment variable DLS_DATA_URL"),
                              "train_url": ("s3://b/out/", "environment variable DLS_TRAIN_URL")}
    assert read(dict(V2, data_url="/inputs/data_url_0")).urls == {
        "data_url": ("/inputs/data_url_0", "environment variable data_url")}
    assert read({"data_url": "/stray"}).urls == {}


def test_the_cache_disk_is_used_where_there_is_one(tmp_path):
    assert read({}, str(tmp_path)).work_dir == str(tmp_path / "masf")
    assert read({}, str(tmp_path / "missing")).work_dir == os.path.join(".", "masf-work")


def test_the_platform_may_name_another_place_of_the_cache_disk(tmp_path):
    named = {"DLS_LOCAL_CACHE_PATH": str(tmp_path)}
    assert read(named, "/nowhere").work_dir == str(tmp_path / "masf")


def test_a_cache_that_is_not_a_folder_is_not_used(tmp_path):
    (tmp_path / "cache").write_text("")
    assert read({}, str(tmp_path / "cache")).work_dir == os.path.join(".", "masf-work")


def test_no_secret_can_be_seen_in_it():
    secrets = {"OBS_SECRET_ACCESS_KEY": "s3cr3t-1", "AWS_SECRET_ACCESS_KEY": "s3cr3t-2", "SECURITY_TOKEN": "s3cr3t-3"}
    assert "s3cr3t" not in repr(read(dict(V2, **secrets)))


def test_two_sizes_are_one_too_many():
    with pytest.raises(ConfigError, match="RANK_SIZE=2 and CM_WORKER_SIZE=2: HCCL takes one of them"):
        read_environment({"RANK_SIZE": "2", "CM_WORKER_SIZE": "2"})
