"""A finished run looks whether its data are the same before it says that nothing is left to do."""
from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from job.config.loading import load_config
from job.errors import ConfigError
from job.inputs.indexing import index_data
from job.preflight.unchanged import refuse_changed_data
from masf_core.data import manifest
from obs_sync import LocalStore, open_store, push
from obs_sync.mock import mock_obs
from tests.masf_core.data.datasets import save_image, write_folders

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def run_on(tmp_path, data_url, *flags):
    """(configuration, store, ``data`` of run.json) of a run that was trained on the folders of ``write_folders``."""
    config = load_config(["--data_url=" + data_url, "--target_domain=photo", "--weights_path=none",
                          "--meta_batch_size=3", "--train_url=" + str(tmp_path / "out")] + list(flags)).config
    (tmp_path / "run").mkdir()
    store = LocalStore(str(tmp_path / "run"))
    index = index_data(config, str(tmp_path / "data"), None)
    store.write(manifest.NAME, manifest.to_bytes(index))
    return config, store, {"fingerprint": index.fingerprint, "classes": list(index.classes),
                           "images": {domain.name: len(domain.used) for domain in index.domains}}


@pytest.fixture(params=["a folder", "a bucket"])
def trained(request, tmp_path):
    """``run_on``'s triple, and a function that compares the data as they are by then."""
    write_folders(tmp_path / "data")
    if request.param == "a folder":
        config, store, told = run_on(tmp_path, str(tmp_path / "data"))
        yield config, store, told, lambda: refuse_changed_data(config, os.environ, store, told, str(tmp_path / "work"))
        return
    with mock_obs(buckets=["bucket"]):
        config, store, told = run_on(tmp_path, "obs://bucket/data/")

        def compare():
            with open_store("obs://bucket/data/") as target:
                push(target, str(tmp_path / "data"))
            refuse_changed_data(config, os.environ, store, told, str(tmp_path / "work"))

        yield config, store, told, compare


def test_the_same_data_pass(trained):
    trained[3]()


def test_other_data_are_refused_with_what_changed(trained, tmp_path):
    save_image(tmp_path / "data" / "photo" / "bee" / "new.png")
    with pytest.raises(ConfigError, match="photo has 13 images instead of 12 .1 added: photo/bee/new.png.") as raised:
        trained[3]()
    assert "--resume=never" in str(raised.value)


def test_data_that_are_gone_are_a_warning(tmp_path, caplog):
    write_folders(tmp_path / "data")
    config, store, told = run_on(tmp_path, str(tmp_path / "data"))
    shutil.rmtree(str(tmp_path / "data"))
    refuse_changed_data(config, os.environ, store, told, str(tmp_path / "work"))
    assert "cannot check whether the data changed" in caplog.text and "does not exist" in caplog.text


def test_where_only_decoding_tells_which_images_are_used_it_says_so(tmp_path, caplog):
    write_folders(tmp_path / "data")
    config, store, told = run_on(tmp_path, str(tmp_path / "data"), "--bad_data=skip")
    refuse_changed_data(config, os.environ, store, dict(told, fingerprint="0" * 64), str(tmp_path / "work"))
    assert "with bad_data=skip, only decoding shows" in caplog.text


def test_it_needs_no_tensorflow():
    program = "import sys, job.preflight.unchanged; print([name for name in sys.modules if name == 'tensorflow'])"
    assert subprocess.check_output([sys.executable, "-c", program], cwd=ROOT).decode().strip() == "[]"
