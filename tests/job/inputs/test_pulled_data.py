"""What of data_url a run pulls: its data, not the results of runs, and not what `exclude` names."""
from __future__ import annotations

import json
import logging
import os
import shutil
import types

import pytest

from job.config.loading import load_config
from job.console import Console
from job.errors import ConfigError
from job.inputs.fetch import fetch_inputs
from job.inputs.indexing import index_data
from job.inputs.pulled_data import PulledData
from job.workspace import Workspace, prepare_workspace
from masf_core.data import miniature
from masf_core.errors import DataError
from obs_sync import LocalStore, ObjectInfo, ObjectNotFound, open_store, push
from obs_sync.mock import mock_obs
from tests.masf_core.data.datasets import write_folders, write_lists
from tests.obs_sync.wrapped_store import WrappedStore

URL = "obs://bucket/pacs/"
DATA = ["photo/dog/1.jpg", "photo/dog/2.jfif", "photo/dog/3", "art/cat/4.png", "kfold/photo_train_kfold.txt",
        "weights/bvlc_alexnet.npy"]


def run_in(folder, record=True):
    """Keys of a run in ``folder``."""
    keys = ["lease/20261129T064528Z-b88bd152d7c0.json", "checkpoints/ckpt-000020-163002dc.json", "eva.txt",
            "checkpoints/ckpt-000020-163002dc/network.npz", "checkpoints/best.json", "events.out.tfevents.1.host"]
    return [folder + key for key in keys + ["run.json"] * record]


def config(*flags):
    return load_config(["--data_url=" + URL] + list(flags), {}).config


@pytest.fixture
def store(tmp_path):
    made = LocalStore(str(tmp_path / "store"))
    made.url = URL
    return made


def pulled(store, keys, *flags):
    return [info.key for info in PulledData(config(*flags), store, "/cache/masf")(
        [ObjectInfo(key, 5) for key in keys])]


@pytest.mark.parametrize("folder, flags", [
    ("output/masf_cartoon/", ["--train_url=obs://bucket/pacs/output/"]),
    ("masf_cartoon/", ["--train_url=obs://bucket/pacs"]),
    ("", ["--train_url=obs://bucket/", "--run_name=pacs"]),  # this run's folder is data_url itself
    ("old/another/", ["--train_url=obs://elsewhere/out/"]),  # another run's, by its names
    ("photo/", ["--train_url=obs://bucket/pacs/", "--run_name=photo"]),  # a run that is called as a domain is
])
def test_data_are_pulled_and_what_runs_have_stored_is_not(store, folder, flags):
    assert pulled(store, DATA + run_in(folder), *flags) == DATA


def test_a_run_without_a_checkpoint_is_known_by_its_run_json_and_a_strangers_run_json_is_no_run(store, caplog):
    store.write("new/run.json", json.dumps({
        "format": 1, "state": "running", "lineage": "a", "config": {}, "attempts": []}).encode())
    store.write("photo/run.json", b'{"scanner": "x"}')
    caplog.set_level(logging.INFO, "job")
    assert pulled(store, DATA + ["new/run.json", "new/eva.txt", "photo/run.json", "photo/eva.txt"]) == DATA + [
        "photo/run.json", "photo/eva.txt"]
    assert "left out of the pull: 2 objects that runs have stored, such as below obs://bucket/pacs/new/" in caplog.text


def test_what_a_setting_names_is_pulled_also_from_a_run(store):
    keys = run_in("old/run/")
    assert pulled(store, DATA + keys, "--weights_path=old/run/checkpoints/ckpt-000020-163002dc/network.npz") == DATA + [
        "old/run/checkpoints/ckpt-000020-163002dc/network.npz"]


def test_exclude_leaves_out_what_it_matches_and_a_pattern_that_matches_nothing_is_told(store, caplog):
    assert pulled(store, DATA + ["photo\\dog\\x.jpg", "/photo/y.jpg"], "--exclude=*\\*,//photo/y.jpg,*.tmp") == DATA
    assert "exclude: *.tmp matches no key below " + URL in caplog.text
    with pytest.raises(ObjectNotFound, match="nothing is left to fetch of 6 objects"):
        pulled(store, DATA, "--exclude=**")
    with pytest.raises(ConfigError, match="exclude"):
        config("--exclude=[a")


class Coming(WrappedStore):
    """What lies in output/ is removed between the listing and its download."""

    def list(self, prefix=""):
        infos = list(self.inner.list(prefix))
        self.inner.delete([info.key for info in infos if info.key.startswith("output/")])
        return iter(infos)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("data") / "pacs")
    miniature.write_miniature(path, images_per_class=2)
    return path


@pytest.fixture
def bucket(tmp_path, folder):
    """A small data set in a mocked OBS: ``store``, ``fetch(flags)``, ``at`` where it is pulled to."""
    workspace = Workspace(str(tmp_path / "work"), "", "", "")
    with mock_obs(buckets=["bucket"]), open_store(URL) as opened:
        push(opened, folder)
        console = Console()
        yield types.SimpleNamespace(
            store=opened, fetch=lambda *flags: fetch_inputs(
                config("--weights_path=none", *flags), workspace, console, os.environ),
            at=workspace.inputs(URL))


def files_below(folder):
    return {os.path.relpath(os.path.join(parent, name), folder) for parent, folders, names in os.walk(folder)
            for name in names if ".obs_sync" not in parent}


def test_what_an_earlier_pull_brought_goes_when_exclude_names_it(bucket):
    bucket.fetch()
    before = files_below(bucket.at)
    gone = min(name for name in before if name.endswith(".jpg"))
    bucket.fetch("--exclude=/" + gone)
    assert files_below(bucket.at) == before - {gone}


def test_objects_that_go_where_results_are_stored_end_no_pull(bucket, monkeypatch):
    for number in range(3):
        bucket.store.write(f"output/log-{number}.txt", b"line\n")
    monkeypatch.setattr("job.inputs.fetch.open_store", lambda *_, **__: Coming(bucket.store))
    before = {info.key for info in bucket.store.list() if not info.key.startswith("output/")}
    bucket.fetch("--train_url=obs://bucket/pacs/output/")
    assert files_below(bucket.at) == before


def test_an_object_that_goes_elsewhere_ends_the_pull(bucket, monkeypatch):
    bucket.store.write("output/image.jpg", b"image")
    monkeypatch.setattr("job.inputs.fetch.open_store", lambda *_, **__: Coming(bucket.store))
    with pytest.raises(ObjectNotFound, match=r"output/image\.jpg"):
        bucket.fetch()


def test_exclude_holds_for_a_local_folder_too_which_is_copied_then(bucket, folder, tmp_path):
    url = "--data_url=" + folder
    assert bucket.fetch(url).dataroot.startswith(folder)
    copied = bucket.fetch(url, "--exclude=*.txt", "--filelist_root=none")
    assert copied.dataroot.startswith(str(tmp_path / "work"))
    assert not [name for name in files_below(str(tmp_path / "work")) if name.endswith(".txt")]


def local(data_url, tmp_path, *flags):
    """(``Inputs``, fingerprint) of a local folder that is used where it is."""
    config = load_config([f"--data_url={data_url}", "--weights_path=none", "--target_domain=photo",
                          "--meta_batch_size=3", *flags], {}).config
    found = fetch_inputs(config, Workspace(str(tmp_path / "work"), "", "", ""), Console(), os.environ)
    return found, index_data(config, found.dataroot, found.filelist_root).fingerprint


@pytest.mark.parametrize("folder", ["output/masf_photo", "old/another", "kfold/masf_photo", "kfold/photo"])
def test_what_runs_write_below_a_local_folder_is_neither_data_nor_an_error(tmp_path, caplog, folder):
    data = tmp_path / "data"
    write_folders(data / "kfold")
    flags = [f"--work_dir={data}", f"--train_url={data / os.path.dirname(folder)}",
             f"--run_name={os.path.basename(folder)}"]
    before = local(data, tmp_path, *flags)
    for path in run_in(str(data / folder) + "/"):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as stream:
            stream.write("{}")
    shutil.copytree(str(data / "kfold"), str(data / "inputs" / "pacs-01234567" / "kfold"))
    assert local(data, tmp_path, *flags) == before
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("place", ["", "masf-work"])
def test_what_other_runs_have_written_in_their_work_dir_is_not_data(tmp_path, caplog, place):
    data = tmp_path / "data"
    write_folders(data)
    before = local(data, tmp_path)
    other = prepare_workspace(str(data / place), "other")
    shutil.copytree(str(data / "photo"), os.path.join(other.root, "inputs", "pacs-01234567", "photo"))
    with caplog.at_level(logging.INFO):
        assert local(data, tmp_path) == before
    assert f"what runs have written in {other.root} is not data" in caplog.text


@pytest.mark.parametrize("missing", ["decoded", "runs"])
def test_a_folder_that_no_run_has_used_is_data(tmp_path, missing):
    data = tmp_path / "data"
    write_folders(data)
    other = prepare_workspace(str(data / "more"), "other")
    shutil.copytree(str(data / "photo"), os.path.join(other.root, "inputs", "pacs-01234567", "photo"))
    shutil.rmtree(os.path.join(other.root, missing))
    with pytest.raises(DataError, match="more in .* lie deeper than"):
        local(data, tmp_path)


def test_lists_that_lie_outside_a_local_data_url_are_named_and_used_only_if_asked_for(tmp_path, caplog):
    write_folders(tmp_path / "pacs" / "kfold")
    write_lists(tmp_path / "pacs" / "filelist")
    found, _ = local(tmp_path / "pacs" / "kfold", tmp_path)
    flag = f"--filelist_root={tmp_path / 'pacs' / 'filelist'}"
    assert found.filelist_root is None
    assert f"not used because they lie outside {tmp_path / 'pacs' / 'kfold'}. To use them, set {flag}" in caplog.text
    caplog.clear()
    found, _ = local(tmp_path / "pacs" / "kfold", tmp_path, flag)
    assert found.filelist_root == str(tmp_path / "pacs" / "filelist") and "outside" not in caplog.text
    local(tmp_path / "pacs" / "kfold", tmp_path, "--filelist_root=none")
    assert "outside" not in caplog.text
