"""`submit --platform=local`: any configuration goes to a mocked platform in this process; here no job really starts."""

from __future__ import annotations

import argparse
import functools
import os

import pytest

from job import cli
from job.commands.submit import refuse_local_folders
from job.dry_run import story, submitted
from job.errors import ConfigError
from job.modelarts.mocked import Delays, mock_modelarts
from tests.job.modelarts.mocked.fake_container import FakeContainer
from tests.obs_sync.trees import write_tree

IMAGES = {f"{domain}/{name}/{number}.jpg": b"\xff\xd8\xff\xe0" + bytes(64)
          for domain in ("cartoon", "photo", "sketch") for name in ("dog", "house") for number in range(12)}


class EndsAtOnce(FakeContainer):
    """Ends with the exit code for wrong data."""

    made: list = []

    def start(self):
        super().start()
        self.write("the log\n")
        self.end(3)


@pytest.fixture
def submit(tmp_path, monkeypatch, capsys):
    """Calls the command with a folder of its own; the result is (exit code, output, log)."""
    EndsAtOnce.made = []
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(submitted, "PAUSE", 0.02)
    monkeypatch.setattr(submitted, "QUIET", 0.0)
    monkeypatch.setattr(story, "mock_modelarts", functools.partial(
        mock_modelarts, containers=EndsAtOnce, delays=Delays(*[0.0] * len(Delays._fields))))

    def call(*words, weights=("--weights_path=none",)):
        code = cli.main(["submit", "--platform=local", f"--root={tmp_path / 'root'}", "--meta_batch_size=6",
                         *weights, *words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def images(tmp_path):
    return str(write_tree(tmp_path / "images", IMAGES))


def test_local_data_are_stored_and_the_job_gets_their_place(submit, images, tmp_path):
    code, out, log = submit("--data_url=" + images)
    assert code == 3, log
    assert "the log" in out.splitlines() and "python -m job logs" not in out
    results = tmp_path / "root" / "bucket" / "masf-dry-run" / "output" / "masf_cartoon"
    assert out.splitlines()[-1] == f"results: {results}"
    (container,) = EndsAtOnce.made
    parameters = dict(container.spec.parameters)
    assert parameters["data_url"].startswith("obs://masf-dry-run/pacs-")
    folder = parameters["data_url"][len("obs://"):]
    assert os.path.isfile(str(tmp_path / "root" / "bucket" / folder / "images" / "photo" / "dog" / "1.jpg"))


def test_results_and_logs_may_go_to_any_bucket(submit, images, tmp_path):
    code, out, log = submit("--data_url=" + images, "--train_url=/mine/deep/out/", "--log_url=obs://logs/x/")
    assert code == 3, log
    assert out.splitlines()[-1] == f"results: {tmp_path / 'root' / 'bucket' / 'mine' / 'deep' / 'out' / 'masf_cartoon'}"


@pytest.mark.parametrize("words, told", [
    (["--seed=x"], "seed cannot be 'x'"),
    (["--data_url=" + __file__], "is not a folder; expected a folder, or a place in a bucket"),
    (["--json"], "takes neither --json nor --dry-run"),
    (["--train_url=/tmp/out"], "--train_url=/tmp/out: /tmp is a folder of this machine, but a job writes only to OBS. "
                               "Write obs://tmp/out/ if you mean a bucket 'tmp', or leave --train_url out"),
    (["--train_url=obs://x-y/", "--log_url=/tmp/logs/"], "Write obs://tmp/logs/ if you mean"),
])
def test_a_mistake_is_told_before_anything_is_made(submit, tmp_path, words, told):
    code, _, log = submit(*words)
    assert code == 2 and told in log
    assert not (tmp_path / "root").exists()


def test_a_bucket_of_the_platform_may_have_the_name_of_a_local_folder(tmp_path):
    args = argparse.Namespace(settings=["--train_url=/tmp/out/"])
    with pytest.raises(ConfigError):
        refuse_local_folders(args, str(tmp_path))
    (tmp_path / "bucket" / "tmp").mkdir(parents=True)
    refuse_local_folders(args, str(tmp_path))


@pytest.mark.parametrize("words, told", [
    (["--data_url=no/such/folder"], "there is no local folder no/such/folder"),
    (["--data_url=/nowhere"], "there is no local folder /nowhere, and no bucket 'nowhere' in"),
    (["--weights_path=/nowhere.npy"], "there is no local file /nowhere.npy"),
])
def test_a_path_that_does_not_exist_is_told_before_anything_is_made(submit, tmp_path, words, told):
    code, _, log = submit(*words)
    assert code == 4 and told in log
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize("words, told", [
    (["--flavor=modelarts.kat1.xlarg"], "did you mean 'modelarts.kat1.xlarge'?"),
    (["--engine=Tensorflow"], "has no such image"),
])
def test_a_wrong_flavor_or_image_is_told_before_the_bucket_is_filled(submit, images, tmp_path, words, told):
    code, _, log = submit("--data_url=" + images, *words)
    assert code == 2 and told in log
    assert os.listdir(str(tmp_path / "root" / "bucket" / "masf-dry-run")) == []


def test_without_weights_random_ones_are_drawn_as_by_the_dry_run(submit, images, tmp_path):
    code, _, log = submit("--data_url=" + images, "--width=0.125", weights=[])
    assert code == 3, log
    (container,) = EndsAtOnce.made
    assert dict(container.spec.parameters)["weights_path"].endswith("/bvlc_alexnet.npy")


def test_data_that_are_in_a_bucket_already_may_be_named_as_the_console_does(submit, images):
    submit("--data_url=" + images)
    place = dict(EndsAtOnce.made[0].spec.parameters)["data_url"][len("obs:/"):]
    code, _, log = submit("--data_url=" + place)
    assert code == 3, log
