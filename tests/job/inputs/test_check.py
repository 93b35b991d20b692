"""What is missing is told before TensorFlow is loaded, and an archive in the place of the images by its name."""
from __future__ import annotations

import os
import subprocess
import sys

import pytest

from job.config.settings import config_of
from job.inputs.check import archives_alone, archives_below, check_inputs
from job.inputs.fetch import locate_data
from masf_core.errors import DataError, WeightsError
from obs_sync import CredentialsMissing, ObjectNotFound, open_store, pack
from obs_sync.mock import mock_obs
from tests.masf_core.data.datasets import write_folders

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


@pytest.fixture(scope="module")
def obs():
    with mock_obs(buckets=["bucket"]) as mock:
        for key in ("pacs/clip/ant/0.png", "zip/PACS.zip", "zip/README.txt", "mixed/PACS.zip", "mixed/clip/ant/0",
                    "w/net.npy", "notes/README.txt"):
            mock.put("bucket", key, b"content")
        yield mock


def check(obs, environ=None, **values):
    values.setdefault("weights_path", "none")
    check_inputs(config_of(values), obs.environment() if environ is None else environ)


@pytest.mark.parametrize("url", ["obs://bucket/zip/PACS.zip", "obs://bucket/zip/PACS.zip/", "obs://bucket/zip/"])
def test_an_archive_in_a_bucket_is_named_with_the_way_out_and_not_fetched(obs, url):
    read = obs.counts["GetObject"]
    with pytest.raises(DataError, match="PACS.zip.*python -m job pack FOLDER obs://bucket/pacs-packed/"):
        check(obs, data_url=url)
    assert obs.counts["GetObject"] == read


@pytest.mark.parametrize("url", ["obs://bucket/pacs/", "obs://bucket/mixed/", "obs://bucket/notes", "obs://bucket"])
def test_a_folder_that_may_hold_images_is_left_to_the_pull(obs, url):
    check(obs, data_url=url)


def test_a_pack_is_no_archive_in_the_place_of_images(obs, tmp_path):
    write_folders(tmp_path / "data")
    with open_store("obs://bucket/packed/", obs.environment()) as store:
        pack(store, str(tmp_path / "data"))
    assert any(key.endswith(".tar") for key in obs.keys("bucket", "packed/"))
    check(obs, data_url="obs://bucket/packed/")


@pytest.mark.parametrize("name", ["PACS.zip", "pacs.TAR.GZ", "pacs.tgz", "pacs.tar", "pacs.7z", "pacs.rar"])
def test_a_local_archive_is_named(obs, tmp_path, name):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / name).write_bytes(b"content")
    with pytest.raises(DataError, match=r"is an archive, not a folder of images\. .*python -m job pack"):
        check(obs, data_url=str(tmp_path / "data" / name))
    with pytest.raises(DataError, match=f"holds no images but an archive: {name}"):
        locate_data(config_of({}), str(tmp_path / "data"))


def test_an_archive_beside_the_images_is_in_nobodys_way(tmp_path):
    write_folders(tmp_path / "data")
    (tmp_path / "data" / "PACS.zip").write_bytes(b"content")
    assert locate_data(config_of({}), str(tmp_path / "data"))[0] == str(tmp_path / "data")
    assert archives_alone(["clip/ant/0.png", "PACS.zip"]) == [] and archives_alone(["clip/ant/0", "PACS.zip"]) == []
    assert archives_below(str(tmp_path)) == ["data/PACS.zip"]


@pytest.mark.parametrize("values, error, told", [
    ({"data_url": "obs://bucket/typo/"}, ObjectNotFound, "nothing to fetch below"),
    ({"data_url": "obs://bucket/w/net.npy"}, DataError, "is an object, not a folder"),
    ({"data_url": "/not/there"}, DataError, "there is no directory /not/there"),
    ({"dataroot": "/not/there"}, DataError, "there is no directory /not/there"),
    ({}, DataError, "give --data_url"),
    ({"data_url": "obs://bucket/pacs/", "weights_path": None}, WeightsError, "give --weights_path"),
    ({"data_url": "obs://bucket/pacs/", "weights_path": "obs://bucket/w/typo.npy"}, ObjectNotFound, "no such object"),
    ({"data_url": "obs://bucket/pacs/", "weights_path": "/not/there.npy"}, WeightsError, "no such file: /not/there")])
def test_what_is_missing_is_told(obs, values, error, told):
    with pytest.raises(error, match=told):
        check(obs, **values)


def test_missing_credentials_are_told(obs):
    with pytest.raises(CredentialsMissing):
        check(obs, environ={}, data_url="obs://bucket/pacs/")


def test_a_run_without_its_data_ends_before_tensorflow_is_loaded(tmp_path):
    program = ("import sys\nfrom job import cli\ncode = cli.main(sys.argv[1:])\n"
               "print([code, 'tensorflow' in sys.modules])\n")
    done = subprocess.run(
        [sys.executable, "-c", program, "run", "--data_url=" + str(tmp_path / "typo"), "--weights_path=none",
         "--train_url=" + str(tmp_path / "out"), "--work_dir=" + str(tmp_path / "work")],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    assert done.stdout.decode().splitlines()[-1:] == ["[4, False]"], done.stderr.decode()
    assert "there is no directory" in done.stderr.decode()
