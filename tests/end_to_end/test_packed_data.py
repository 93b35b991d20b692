"""The job trains from packed data as from a folder of files."""
from __future__ import annotations

import glob

import pytest

from obs_sync import pack
from obs_sync.mock import mock_obs
from tests.end_to_end.conftest import Job
from tests.obs_sync.trees import read_tree


@pytest.fixture
def packed_job(tmp_path, source):
    """A bucket that holds the data set as a pack and nothing else."""
    with mock_obs(buckets=["bucket"]) as mock:
        job = Job(mock, tmp_path / "cache", source)
        with job.store("packed/") as store:
            pack(store, str(source), shard_bytes=1 << 20)
        yield job


@pytest.mark.slow
def test_a_run_on_packed_data_ends_as_one_on_files(packed_job, uninterrupted, source):
    code, output = packed_job.run(data_url="obs://bucket/packed/")
    assert code == 0, output
    pulled, = glob.glob(str(packed_job.work_dir / "inputs" / "packed-*"))
    assert read_tree(pulled) == read_tree(source)
    assert packed_job.result() == uninterrupted


@pytest.mark.slow
def test_a_pack_in_a_local_folder_is_unpacked_as_well(packed_job, uninterrupted, source, tmp_path):
    """A v2 job: the platform has copied the bucket's folder to a local one."""
    for key in packed_job.mock.keys("bucket"):
        path = tmp_path / "copied" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(packed_job.mock.get("bucket", key))
    code, output = packed_job.run(data_url=str(tmp_path / "copied" / "packed"))
    assert code == 0, output
    assert packed_job.result() == uninterrupted
