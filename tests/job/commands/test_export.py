"""`export` delivers a folder that says what it is, compared with the evaluator, whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import os

import numpy as np
import pytest
from PIL import Image

from job import cli
from job.commands import export
from job.console import Console
from job.export import delivery, story
from job.export.sidecar import atc_lines
from job.workspace import Workspace
from masf_core.data import miniature
from masf_core.network.architecture import make_architecture
from masf_core.records.npz import write_npz
from obs_sync import LocalStorageError, LocalStore, StoreUnavailable, open_store
from obs_sync.mock import mock_obs

CLASSES = ["dog", "elephant", "giraffe", "guitar", "horse", "house", "person"]


class Exporting:
    """The command on a small network whose weights nobody has trained."""

    def __init__(self, network, work_dir, capsys):
        self.network, self.work_dir, self.capsys = network, work_dir, capsys

    def __call__(self, *arguments):
        """(exit code, standard output, log)."""
        self.capsys.readouterr()
        code = cli.main(["export", self.network, "--width=0.02", "--classes=" + ",".join(CLASSES),
                         f"--work_dir={self.work_dir}"] + [str(each) for each in arguments])
        told = self.capsys.readouterr()
        assert "Traceback" not in told.err, told.err
        return code, told.out, told.err


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    path = tmp_path_factory.mktemp("network") / "network.npz"
    with open(str(path), "wb") as stream:
        write_npz(stream, make_architecture("alexnet", 7, 0.02).initial_values(5))
    return str(path)


@pytest.fixture
def run_export(network, tmp_path, capsys):
    return Exporting(network, tmp_path / "work", capsys)


def digests(folder):
    """Path → SHA-256 of every file below a folder."""
    return {path: hashlib.sha256(open(os.path.join(str(folder), path), "rb").read()).hexdigest()
            for path in delivery.files_in(str(folder))}


def test_the_sidecar_says_what_a_user_of_the_files_has_to_know(run_export, tmp_path):
    miniature.write_miniature(str(tmp_path / "pacs"), images_per_class=2)
    code, out, err = run_export("--format=pb", f"--out={tmp_path / 'new' / 'dog'}", f"--images={tmp_path / 'pacs'}")
    assert code == 0, err
    assert os.listdir(str(tmp_path / "new")) == ["dog"]
    with open(str(tmp_path / "new" / "dog" / "export.json"), encoding="utf-8") as stream:
        told = json.load(stream)
    assert told["classes"] == CLASSES and told["input"]["tensor"] == "input:0" and told["input"]["dtype"] == "uint8"
    assert told["preprocessing"]["mean_bgr"] == [103.939, 116.779, 123.68]
    assert told["preprocessing"]["mean_subtracted_in_graph"] is True
    assert "227 x 227" in told["preprocessing"]["caller"][1] and len(told["preprocessing"]["caller"]) == 2
    assert (told["check"]["images"], told["check"]["same_class"]) == (32, 32) and "pacs" in told["check"]["source"]
    found = digests(tmp_path / "new" / "dog")
    del found["export.json"]
    assert {name: each["sha256"] for name, each in told["files"].items()} == found and list(found) == ["model.pb"]
    with open(run_export.network, "rb") as stream:
        assert told["run"]["sha256"] == hashlib.sha256(stream.read()).hexdigest()
    assert told["atc"]["Ascend310"] in out and '--input_shape="input:1,227,227,3"' in out
    assert "compared with the evaluator on 32 images of" in out


def test_without_data_the_images_are_synthetic_and_the_log_says_so(run_export, tmp_path):
    code, out, err = run_export("--format=saved_model", "--input=preprocessed", f"--out={tmp_path / 'x'}", "--json")
    assert code == 0, err
    told = json.loads(out)
    assert told["check"]["source"] == "synthetic images" and "--images=PLACE names real ones" in err
    assert told["signature"] == "serving_default" and told["atc"] == {} and "--format=pb" in told["atc_note"]
    assert told["preprocessing"]["caller"][-1] == "convert to float32 and subtract mean_bgr; do not scale"
    assert set(digests(tmp_path / "x")) == {"export.json", *told["files"]}


def test_data_in_a_pack_are_not_unpacked_for_the_comparison(run_export, tmp_path):
    miniature.write_miniature(str(tmp_path / "pacs"), images_per_class=2)
    assert cli.main(["pack", str(tmp_path / "pacs"), str(tmp_path / "pack")]) == 0
    code, out, err = run_export("--format=pb", f"--out={tmp_path / 'x'}", f"--data_url={tmp_path / 'pack'}", "--json")
    assert code == 0, err
    assert json.loads(out)["check"]["source"] == "synthetic images" and "are not on this machine" in err
    assert not (tmp_path / "work" / "inputs").exists()


@pytest.mark.parametrize("name, source", [("photo.jpg", "images of"), ("notes.txt", "synthetic images")])
def test_the_data_of_the_run_are_compared_on_where_they_are_at_hand(run_export, tmp_path, name, source):
    (tmp_path / "data").mkdir()
    Image.new("RGB", (8, 8)).save(str(tmp_path / "data" / "photo.jpg"))
    os.rename(str(tmp_path / "data" / "photo.jpg"), str(tmp_path / "data" / name))
    code, out, err = run_export("--format=pb", f"--out={tmp_path / 'x'}", f"--data_url={tmp_path / 'data'}", "--json")
    assert code == 0, err
    assert json.loads(out)["check"]["source"].startswith(source)
    assert ("has no image that can be read" in err) == (source == "synthetic images")


def test_the_default_place_names_the_network_and_the_format(run_export, tmp_path, monkeypatch):
    monkeypatch.chdir(str(tmp_path))
    code, out, err = run_export("--format=ckpt")
    assert code == 0, err
    assert os.listdir("exports") == [os.path.basename(os.path.dirname(run_export.network)) + "-ckpt"]


def test_an_export_into_a_bucket_has_its_sidecar_and_is_not_overwritten(run_export, tmp_path):
    with mock_obs(buckets=["bucket"]) as mock, pytest.MonkeyPatch.context() as patch:
        for name, value in mock.environment().items():
            patch.setenv(name, value)
        code, _, err = run_export("--format=pb", "--out=obs://bucket/exports/dog")
        assert code == 0, err
        with open_store("obs://bucket/exports/dog/", os.environ) as store:
            told = json.loads(store.read("export.json").decode())
            assert sorted(info.key for info in store.list()) == ["export.json", "model.pb"]
            assert hashlib.sha256(store.read("model.pb")).hexdigest() == told["files"]["model.pb"]["sha256"]
        code, _, err = run_export("--format=pb", "--out=obs://bucket/exports/dog/")
        assert code == 2 and "there are objects below it already, such as export.json" in err
        code, _, err = run_export("--format=pb", "--out=obs://no-such-bucket/exports/")
        assert code == 4 and "no-such-bucket" in err
    assert os.listdir(str(tmp_path / "work" / "evaluate")) == []


class FullStore(LocalStore):
    """A store that takes everything but the sidecar."""

    def upload(self, path, key, *arguments, **options):
        if key == "export.json":
            raise StoreUnavailable("the bucket is full", self.locate(key))
        return super().upload(path, key, *arguments, **options)


def test_an_upload_that_fails_leaves_nothing(tmp_path):
    (tmp_path / "made").mkdir()
    (tmp_path / "bucket").mkdir()
    for name in ("model.pb", "export.json"):
        (tmp_path / "made" / name).write_text("content")
    with pytest.raises(StoreUnavailable):
        delivery.deliver(str(tmp_path / "made"), "obs://bucket/dog", Console(), lambda url: FullStore(
            str(tmp_path / "bucket")))
    assert delivery.files_in(str(tmp_path / "bucket")) == []


def test_an_export_that_computes_other_numbers_is_not_delivered(run_export, tmp_path, monkeypatch):
    real = story.run

    def turned(kind, folder, images):
        return real(kind, folder, np.ascontiguousarray(images[..., ::-1]))

    monkeypatch.setattr(story, "run", turned)
    code, out, err = run_export("--format=pb", f"--out={tmp_path / 'new' / 'x'}")
    assert (code, out) == (5, "") and "does not compute what the network computes" in err
    assert os.listdir(str(tmp_path / "new")) == []


@pytest.mark.parametrize("out, name", [("{}/x", "x"), ("obs://bucket/exports/x", "export")])
def test_the_rest_of_a_killed_export_is_deleted_by_the_next(tmp_path, out, name):
    workspace = Workspace(str(tmp_path), decoded="", logs=str(tmp_path), spool="")
    for left in (f".{name}.partial-999999999", f".{name}.partial-{os.getpid()}", f".{name}.partial-{os.getppid()}",
                 ".y.partial-999999999"):
        (tmp_path / left).mkdir()
        (tmp_path / left / "model.pb").write_text("half")
    with delivery.staged(out.format(tmp_path), workspace) as folder:
        assert os.listdir(folder) == [] and sorted(os.listdir(str(tmp_path))) == sorted([
            f".{name}.partial-{os.getppid()}", ".y.partial-999999999", os.path.basename(folder)])
    assert not os.path.exists(folder)


def test_a_work_dir_that_cannot_be_written_is_told_where_the_export_goes_to_a_bucket(tmp_path):
    (tmp_path / "file").write_text("")
    workspace = Workspace(str(tmp_path), decoded="", logs=str(tmp_path / "file" / "logs"), spool="")
    with pytest.raises(LocalStorageError, match="cannot be made .*choose another --work_dir"):
        with delivery.staged("obs://bucket/exports/x", workspace):
            pass


@pytest.mark.parametrize("place, mend", [("{}/new/x", "another folder with --out"),
                                         ("obs://bucket/exports/x", "another --work_dir")])
@pytest.mark.parametrize("part", ["write", "replace_text"])  # the network, and export.json
def test_a_disk_that_fills_up_in_an_export_is_told_with_its_mend(run_export, tmp_path, monkeypatch, place, mend, part):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(story, part, full)
    monkeypatch.setattr(delivery, "check_place", lambda *_: None)
    code, out, err = run_export("--format=pb", "--out=" + place.format(tmp_path))
    assert (code, out) == (4, "") and "cannot be written (No space left on device)" in err and mend in err, err
    assert "the disk is full" not in err and not list(tmp_path.glob("**/.*partial*"))


def test_atc_gets_no_command_for_what_it_cannot_read():
    shape = [None, 227, 227, 3]
    assert "--framework=3" in atc_lines("pb", "raw", shape)["Ascend310"]
    assert "--framework=5" in atc_lines("onnx", "preprocessed", shape)["Ascend910A"]
    of_resnet = atc_lines("onnx", "preprocessed", [None, 224, 224, 3])["Ascend310"]
    assert '--soc_version=Ascend310 --input_format=ND --input_shape="input:1,224,224,3"' in of_resnet
    assert atc_lines("onnx", "raw", shape) == atc_lines("ckpt", "preprocessed", shape) == {}


def test_a_missing_converter_is_one_message_with_the_command_that_installs_it(run_export, monkeypatch, tmp_path):
    monkeypatch.setattr(export, "missing_packages", lambda kind: ["tf2onnx"])
    code, _, err = run_export("--format=onnx", f"--out={tmp_path / 'x'}")
    assert code == 2 and "not installed: tf2onnx" in err and "pip install tf2onnx onnx onnxruntime packaging" in err


@pytest.mark.parametrize("arguments, code, told", [
    (["--format=om"], 2, "invalid choice: 'om'"),
    (["--format=pb", "--out=there"], 2, "it exists already"),
    (["--format=pb", "--out=/bucket-1/exports/x"], 2, "Write obs://bucket-1/exports/x for OBS"),
    (["--format=pb", "--out=obs://bucket"], 2, "expected a folder in the bucket"),
    (["--format=pb", "--image=photos"], 2, "did you mean --images?"),
    (["--format=pb", "--out=x", "--images=/no/such/photos"], 4, "there is no file or folder /no/such/photos"),
    (["--format=pb", "--out=there/file/x"], 4, "cannot be made"),
])
def test_a_mistake_is_one_message(run_export, tmp_path, monkeypatch, arguments, code, told):
    monkeypatch.chdir(str(tmp_path))
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_text("")
    found, out, err = run_export(*arguments)
    assert (found, out) == (code, "") and told in err, err
    assert os.listdir("there") == ["file"]


@pytest.mark.parametrize("out, allowed", [("run", False), ("run/checkpoints/x", False), ("run/exports/x", True),
                                          ("runs/x", True), ("run/exports", True)])
@pytest.mark.parametrize("base", ["obs://bucket/out/", ""], ids=["bucket", "folder"])
def test_an_export_may_be_in_the_run_only_in_its_folder_for_exports(tmp_path, out, allowed, base):
    base = base or f"{tmp_path}/"
    (tmp_path / "store").mkdir()

    def check():
        delivery.check_place(base + out, base + "run/", lambda url: LocalStore(str(tmp_path / "store")))

    if allowed:
        check()
    else:
        with pytest.raises(delivery.ConfigError, match="this lies in the run; exports may be in its folder exports/"):
            check()
