"""`evaluate` repeats what a run recorded, on its images and with its rules, and writes nothing where the run is."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil

import numpy as np
import pytest

from job import cli
from job.inputs import fetch_weights
from masf_core.data import miniature
from masf_core.model import EvaluationModel
from masf_core.records.npz import read_npz, write_npz
from masf_core.records.texts import eva_text
from obs_sync import ObjectNotFound, open_store, push
from obs_sync.mock import mock_obs

SETTINGS = ["--width=0.02", "--train_iterations=4", "--test_print_interval=2", "--meta_batch_size=6",
            "--evaluation_batch=14", "--outer_lr=1e-3", "--metric_hidden=4", "--metric_embedding=3",
            "--keep_checkpoints=3", "--weights_path=none", "--seed=3"]
CLASSES = ["dog", "elephant", "giraffe", "guitar", "horse", "house", "person"]


class Place:
    """A run of two intervals, in OBS or on the local disk, and its data."""

    def __init__(self, url, work_dir, records):
        self.url, self.work_dir, self.records = url, str(work_dir), records

    def evaluate(self, capsys, *arguments, at=None):
        """(exit code, standard output, log) of the command."""
        capsys.readouterr()
        code = cli.main(["evaluate", at or self.url, "--work_dir=" + self.work_dir, "--device=cpu"] + list(arguments))
        told = capsys.readouterr()
        assert "Traceback" not in told.err, told.err
        return code, told.out, told.err

    def document(self, capsys, *arguments, at=None):
        code, out, err = self.evaluate(capsys, "--json", *arguments, at=at)
        assert code == 0, err
        return json.loads(out)

    def checkpoint(self, iteration):
        """The name of the checkpoint of an iteration."""
        with open_store(self.url + "/", os.environ) as store:
            return [info.key.split("/")[1] for info in store.list("checkpoints/")
                    if f"ckpt-{iteration:06d}" in info.key and info.key.endswith("/network.npz")][0]

    def content(self):
        """Key → digest of everything in the run."""
        with open_store(self.url + "/", os.environ) as store:
            return {info.key: hashlib.sha256(store.read(info.key)).hexdigest() for info in store.list()}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "pacs"
    miniature.write_miniature(str(folder), images_per_class=3)
    return folder


@pytest.fixture(scope="module")
def bucket(data):
    """OBS with the data, whose address and credentials are in this process's environment."""
    with mock_obs(buckets=["bucket"]) as mock:
        before = dict(os.environ)
        os.environ.update(mock.environment())
        with open_store("obs://bucket/pacs/", os.environ) as store:
            push(store, str(data))
        yield mock
        os.environ.clear()
        os.environ.update(before)


def trained(data_url, train_url, work_dir, *flags):
    assert cli.main(["run", "--data_url=" + data_url, "--train_url=" + train_url, "--run_name=run", "--device=cpu",
                     "--work_dir=" + str(work_dir)] + SETTINGS + list(flags)) == 0
    with open_store(train_url + "/run/", os.environ) as store:
        records = [json.loads(line) for line in store.read("metrics.jsonl").decode().splitlines()]
    return Place(train_url + "/run", work_dir, records)


@pytest.fixture(scope="module")
def in_obs(bucket, tmp_path_factory):
    return trained("obs://bucket/pacs/", "obs://bucket/out", tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def local(data, tmp_path_factory):
    return trained(str(data), str(tmp_path_factory.mktemp("out")), tmp_path_factory.mktemp("work"))


@pytest.fixture(params=["in_obs", "local"])
def run(request):
    return request.getfixturevalue(request.param)


def test_the_numbers_are_those_of_the_run_to_the_last_bit_and_the_run_stays_as_it_was(run, capsys, tmp_path):
    before = run.content()
    for which, record in [("last", run.records[-1]), (run.checkpoint(2), run.records[0])]:
        found = run.document(capsys, "--checkpoint=" + which, "--domains=all", "--out=" + str(tmp_path / "images.csv"))
        results = {result["domain"]: result for result in found["domains"]}
        assert list(results) == ["art_painting", "cartoon", "photo", "sketch"] and found["same_data"] is True
        target = results.pop("cartoon")
        assert (target["accuracy"], target["loss"]) == (record["target_accuracy"], record["target_loss"])
        assert target["confusion"] == record["target_confusion"]
        assert target["per_class"] == record["target_per_class"]
        assert target["eva"] == eva_text([record]) and target["images"] == 21
        assert {name: {"loss": result["loss"], "accuracy": result["accuracy"]} for name, result in results.items()
                } == record["validation"]
        assert all(result["recorded"] == {"accuracy": result["accuracy"], "loss": result["loss"]}
                   for result in found["domains"])
        assert all(result["part"] == "validation images" and result["eva"] is None for result in results.values())
    assert run.content() == before


def test_without_a_choice_it_is_the_best_checkpoint_on_the_target(run, capsys):
    with open_store(run.url + "/", os.environ) as store:
        best = json.loads(store.read("run.json").decode())["best"]
    found = run.document(capsys)
    assert found["iteration"] == best["iteration"]
    assert [result["domain"] for result in found["domains"]] == ["cartoon"]
    assert found["domains"][0]["accuracy"] == best["target_accuracy"]


def test_a_checkpoint_is_evaluated_as_in_its_run(run, capsys):
    name = run.checkpoint(2)
    for place in (f"{run.url}/checkpoints/{name}", f"{run.url}/checkpoints/{name}/network.npz"):
        found = run.document(capsys, at=place)
        assert (found["iteration"], found["domains"][0]["loss"]) == (2, run.records[0]["target_loss"])


def test_a_checkpoint_that_was_copied_out_of_its_run_knows_its_settings(local, capsys, tmp_path):
    name = local.checkpoint(2)
    shutil.copytree(os.path.join(local.url, "checkpoints", name), str(tmp_path / name))
    found = local.document(capsys, at=str(tmp_path / name))
    assert found["domains"][0]["loss"] == local.records[0]["target_loss"]
    assert found["domains"][0]["recorded"]["loss"] == local.records[0]["target_loss"]
    assert found["same_data"] is True and found["classes"] == CLASSES


def test_a_file_of_weights_takes_its_settings_from_the_command_line(local, data, capsys, tmp_path):
    shutil.copy(os.path.join(local.url, "checkpoints", local.checkpoint(4), "network.npz"), str(tmp_path))
    code, out, err = local.evaluate(capsys, "--json", "--width=0.02", "--evaluation_batch=14", f"--data_url={data}",
                                    at=str(tmp_path / "network.npz"))
    assert code == 0 and "does not say the names of its classes" in err
    found = json.loads(out)
    assert found["domains"][0]["loss"] == local.records[-1]["target_loss"]
    assert (found["iteration"], found["domains"][0]["eva"], found["same_data"]) == (None, None, None)


def test_the_text_tells_accuracy_classes_confusion_and_the_line_of_eva_txt(local, capsys):
    code, out, err = local.evaluate(capsys, "--checkpoint=last")
    assert code == 0, err
    record = local.records[-1]
    assert f"cartoon, whole domain: accuracy {record['target_accuracy']:.2f} % of 21 images" in out
    assert ", equal" in out and out.endswith(eva_text([record]).rstrip() + "\n")
    for name, row in zip(CLASSES, record["target_confusion"]):
        line = next(line for line in out.splitlines() if line.startswith("  " + name + " "))
        assert line.split()[-7:] == [str(count) for count in row] and line.split()[1] == "3"


@pytest.mark.parametrize("remote", [False, True], ids=["file", "object"])
def test_every_image_has_a_line_in_the_csv(in_obs, capsys, tmp_path, remote):
    out = "obs://bucket/tables/images.csv" if remote else str(tmp_path / "images.csv")
    found = in_obs.document(capsys, "--out=" + out)
    if remote:
        with open_store("obs://bucket/tables/", os.environ) as store:
            text = store.read("images.csv").decode()
    else:
        text = (tmp_path / "images.csv").read_text(encoding="utf-8")
        assert os.listdir(str(tmp_path)) == ["images.csv"]
    lines = list(csv.DictReader(text.splitlines()))
    assert len({line["path"] for line in lines}) == len(lines) == 21
    confusion = np.zeros((7, 7), int)
    for line in lines:
        assert line["path"].split("/")[:2] == ["cartoon", line["label"]]
        assert 1.0 / 7.0 - 1e-6 <= float(line["probability"]) <= 1.0
        confusion[CLASSES.index(line["label"]), CLASSES.index(line["predicted"])] += 1
    assert confusion.tolist() == found["domains"][0]["confusion"]


def test_a_csv_that_cannot_be_written_is_an_error_after_the_result_was_told(in_obs, capsys):
    code, out, err = in_obs.evaluate(capsys, "--out=obs://no-such-bucket/images.csv")
    assert code == 4 and "no-such-bucket" in err and "accuracy" in out


def test_settings_on_the_command_line_take_precedence(local, data, capsys, tmp_path):
    shutil.copytree(str(data), str(tmp_path / "pacs"))
    other = tmp_path / "pacs" / "images" / "cartoon" / "dog" / "pic_001.jpg"
    other.write_bytes((tmp_path / "pacs" / "images" / "cartoon" / "house" / "pic_001.jpg").read_bytes())
    code, out, err = local.evaluate(capsys, "--json", "--evaluation_batch=5", f"--data_url={tmp_path / 'pacs'}")
    assert code == 0, err
    found = json.loads(out)
    assert found["same_data"] is False and found["domains"][0]["recorded"] is None
    assert "not the data that the network was trained with" in err and "cartoon has 21 images as before" in err


def test_a_single_domain_of_other_data_is_enough(local, data, capsys, tmp_path):
    shutil.copytree(str(data / "images" / "sketch"), str(tmp_path / "new" / "clipart"))
    found = local.document(capsys, f"--data_url={tmp_path / 'new'}", "--domains=clipart", "--checkpoint=last")
    assert [(result["domain"], result["part"], result["images"]) for result in found["domains"]] == [
        ("clipart", "whole domain", 21)]


def test_data_of_another_machine_are_asked_for(data, capsys, tmp_path):
    shutil.copytree(str(data), str(tmp_path / "pacs"))
    run = trained(str(tmp_path / "pacs"), str(tmp_path / "out"), tmp_path / "work")
    shutil.rmtree(str(tmp_path / "pacs"))
    code, out, err = run.evaluate(capsys)
    assert (code, out) == (4, "") and "It is the data_url of the run; give the place of the data" in err
    assert run.document(capsys, f"--data_url={data}")["same_data"] is True


def rename_class(folder):
    for domain in os.listdir(str(folder)):
        os.rename(str(folder / domain / "dog"), str(folder / domain / "wolf"))


def test_other_classes_are_one_error(local, data, capsys, tmp_path):
    shutil.copytree(str(data / "images"), str(tmp_path / "images"))
    rename_class(tmp_path / "images")
    code, _, err = local.evaluate(capsys, f"--data_url={tmp_path / 'images'}")
    assert code == 3
    assert "the data lack dog; the network does not know wolf. Expected dog, elephant" in err


def test_damaged_and_foreign_networks_are_one_error(local, data, capsys, tmp_path):
    name = local.checkpoint(4)
    folder = tmp_path / "run"
    shutil.copytree(local.url, str(folder))
    path = str(folder / "checkpoints" / name / "network.npz")
    arrays = read_npz(path)
    with open(path, "wb") as stream:
        write_npz(stream, dict(arrays, **{"fc8/biases": arrays["fc8/biases"] + 1}))
    code, _, err = local.evaluate(capsys, "--checkpoint=last", at=str(folder))
    assert code == 4 and "SHA-256 is not the one in the checkpoint's marker" in err
    assert "This checkpoint is damaged; name another one with --checkpoint." in err
    with open(path, "wb") as stream:
        write_npz(stream, {key: array for key, array in arrays.items() if not key.startswith("fc8")})
    shutil.copy(path, str(tmp_path / "network.npz"))
    code, _, err = local.evaluate(capsys, "--width=0.02", f"--data_url={data}", at=str(tmp_path / "network.npz"))
    assert code == 3 and "no classifier of this network" in err
    code, _, err = local.evaluate(capsys, "--width=0.5")
    assert code == 3 and "these weights do not fit the network" in err and "index" not in err
    assert "settings `backbone` and `width` must match the file." in err or "the file is of another network" in err


def test_a_checkpoint_from_before_a_fresh_start_is_evaluated_with_its_own_settings(local, capsys, tmp_path):
    url = str(tmp_path / "out" / "run")
    shutil.copytree(local.url, url)
    earlier = local.checkpoint(2)
    run = Place(url, local.work_dir, [])
    arguments = [word for word in SETTINGS if not word.startswith(("--width", "--train_iterations"))]
    with open(os.path.join(url, "run.json"), encoding="utf-8") as stream:
        data_url = json.load(stream)["config"]["data"]["data_url"]
    assert cli.main(["run", "--data_url=" + data_url, "--train_url=" + str(tmp_path / "out"), "--run_name=run",
                     "--width=0.03", "--train_iterations=2", "--resume=never", "--target_domain=photo", "--device=cpu",
                     "--work_dir=" + str(tmp_path / "work")] + arguments) == 0
    code, out, err = run.evaluate(capsys, "--json", "--checkpoint=" + earlier)
    assert code == 0, err
    assert "older than the last fresh start of the run" in err
    (target,) = json.loads(out)["domains"]
    assert (target["domain"], target["loss"]) == ("cartoon", local.records[0]["target_loss"])
    assert run.document(capsys)["domains"][0]["domain"] == "photo"


def test_images_that_the_run_skipped_are_skipped_again(data, capsys, tmp_path):
    shutil.copytree(str(data), str(tmp_path / "pacs"))
    for name in ("photo/dog/pic_002.jpg", "cartoon/dog/pic_002.jpg"):
        (tmp_path / "pacs" / "images" / name).write_bytes(b"no image")
    run = trained(str(tmp_path / "pacs"), str(tmp_path / "out"), tmp_path / "work", "--bad_data=skip")
    found = run.document(capsys, "--checkpoint=last")
    assert found["same_data"] is True and found["domains"][0]["images"] == 20
    assert found["domains"][0]["loss"] == run.records[-1]["target_loss"]


def test_an_outdated_run_json_is_corrected_by_the_newest_checkpoint(local, capsys, tmp_path):
    """A delayed write has put back the run.json of the attempt before the fresh start."""
    url = str(tmp_path / "out" / "run")
    shutil.copytree(local.url, url)
    with open(os.path.join(url, "run.json"), encoding="utf-8") as stream:
        older = stream.read()
    data_url = json.loads(older)["config"]["data"]["data_url"]
    assert cli.main(["run", "--data_url=" + data_url, "--train_url=" + str(tmp_path / "out"), "--run_name=run",
                     "--resume=never", "--target_domain=photo", "--work_dir=" + str(tmp_path / "work"),
                     "--device=cpu"] + SETTINGS) == 0
    with open(os.path.join(url, "run.json"), "w", encoding="utf-8") as stream:
        stream.write(older)
    code, out, err = Place(url, local.work_dir, []).evaluate(capsys, "--json", "--checkpoint=last")
    assert code == 0, err
    assert json.loads(out)["domains"][0]["domain"] == "photo"
    assert "run.json is older than checkpoint" in err


@pytest.mark.parametrize("which, told", [("best", "has no best checkpoint yet"), ("last", "has no checkpoint yet")])
def test_a_run_without_a_checkpoint_is_one_message(local, capsys, tmp_path, which, told):
    folder = tmp_path / "run"
    folder.mkdir()
    shutil.copy(os.path.join(local.url, "run.json"), str(folder))
    code, out, err = local.evaluate(capsys, "--checkpoint=" + which, at=str(folder))
    assert (code, out) == (3, "") and told in err


@pytest.mark.parametrize("content", [b"{}", b"\xff", b'{"format": 1, "iteration": -1}'])
def test_a_damaged_progress_is_one_message(local, capsys, tmp_path, content):
    name = local.checkpoint(2)
    shutil.copytree(os.path.join(local.url, "checkpoints", name), str(tmp_path / name))
    os.remove(str(tmp_path / name / "progress.json"))  # the copy may be linked
    (tmp_path / name / "progress.json").write_bytes(content)
    code, out, err = local.evaluate(capsys, at=str(tmp_path / name))
    assert (code, out) == (4, "") and "this checkpoint is damaged" in err


@pytest.mark.parametrize("times, code", [(1, 0), (3, 4)])
def test_a_checkpoint_that_a_running_job_deletes_is_looked_for_again(in_obs, capsys, monkeypatch, times, code):
    real, failures = fetch_weights.pull_file, []

    def vanished(store, key, path, on_progress=None):
        if len(failures) < times:
            failures.append(key)
            raise ObjectNotFound("there is no such object", store.locate(key))
        return real(store, key, path, on_progress)

    monkeypatch.setattr(fetch_weights, "pull_file", vanished)
    found, _, err = in_obs.evaluate(capsys)
    assert found == code and len(failures) == times
    assert "looking for the checkpoint again" in err


@pytest.mark.parametrize("arguments, code, told", [
    (["--checkpoint=ckpt-000009-no"], 4, "no whole checkpoint ckpt-000009-no"),
    (["--domains=quickdraw"], 2, "--domains: quickdraw is not among the domains found: art_painting, cartoon"),
    (["--domains=a,,b"], 2, "--domains=a,,b: expected all, or folder names"),
    (["--chekpoint=last"], 2, "did you mean --checkpoint?"),
    (["--data_url", "/data"], 2, "as in --data_url=VALUE"),
    (["--data_url=/no/such/data"], 4, "there is no directory /no/such/data"),
    (["--out=/no/such/folder/images.csv"], 4, "there is no folder /no/such/folder"),
    (["--out=."], 2, "this is a folder"),
    (["--out=/proc/images.csv"], 4, "Choose another file with --out"),
    (["--out=a.jpg"], 2, "this is the name of an image"),
    (["--checkpoint="], 2, "--checkpoint is empty"),
    (["--out=obs://bucket/tables/"], 2, "expected the URL of a file"),
    (["--train=False"], 2, "python -m job evaluate"),
])
def test_a_mistake_is_one_message(local, capsys, arguments, code, told):
    found, out, err = local.evaluate(capsys, *arguments)
    assert (found, out) == (code, ""), err
    assert told in err


@pytest.mark.parametrize("place, code, told", [
    ("/no/such/run", 4, "there is no trained network at /no/such/run"),
    ("obs://bucket/nothing", 4, "Expected the folder of a run"),
    ("ob://bucket/out/run", 2, "the scheme 'ob' is not supported"),
])
def test_a_place_without_a_network_is_one_message(in_obs, capsys, place, code, told):
    found, _, err = in_obs.evaluate(capsys, at=place)
    assert found == code and told in err


def test_the_csv_cannot_be_written_into_the_run(run, capsys):
    code, _, err = run.evaluate(capsys, f"--out={run.url}/run.json")
    assert code == 2 and "where evaluate writes nothing" in err


def test_a_checkpoint_cannot_be_chosen_where_there_is_no_run(local, capsys):
    place = f"{local.url}/checkpoints/{local.checkpoint(2)}"
    code, _, err = local.evaluate(capsys, "--checkpoint=last", at=place)
    assert code == 2 and "--checkpoint=last chooses a checkpoint of a run" in err


def test_rank_0_evaluates_alone(local, capsys, monkeypatch):
    monkeypatch.setenv("RANK_SIZE", "2")
    monkeypatch.setenv("RANK_ID", "1")
    code, out, err = local.evaluate(capsys)
    assert (code, out) == (0, "") and "rank 0 evaluates alone" in err
    monkeypatch.setenv("RANK_ID", "0")
    code, out, _ = local.evaluate(capsys)
    assert code == 0 and ", equal" in out


def test_an_evaluation_holds_the_network_alone():
    from masf_core.network.backbone import make_backbone
    from masf_core.tf1 import tf

    backbone = make_backbone("alexnet", 7, 0.02)
    values = dict(backbone.initial_values(0))
    with EvaluationModel(backbone, values, 4, tf.ConfigProto()) as model:
        variables = {node.name for node in model.session.graph.as_graph_def().node if node.op == "VariableV2"}
    assert variables == set(values)


# -- commands that use the same network in other ways


def test_predict_has_the_numbers_of_the_evaluation(run, data, capsys, tmp_path):
    run.document(capsys, "--checkpoint=last", f"--out={tmp_path / 'evaluated.csv'}")
    assert cli.main(["predict", run.url, str(data / "images" / "cartoon"), "--checkpoint=last", "--device=cpu",
                     f"--work_dir={run.work_dir}", f"--out={tmp_path / 'predicted.csv'}"]) == 0
    found = []
    for name in ("evaluated", "predicted"):
        with open(str(tmp_path / (name + ".csv")), encoding="utf-8") as stream:
            found.append({(row["path"][row["path"].index("cartoon/"):], row["label"], row["predicted"],
                           row["probability"]) for row in csv.DictReader(stream)})
    assert found[0] == found[1] and len(found[0]) == 21


def test_the_checkpoints_of_a_run_are_averaged_in_obs_and_the_run_stays_as_it_was(in_obs, capsys):
    before = in_obs.content()
    out = "obs://bucket/means/run.npz"
    assert cli.main(["average", in_obs.url, "--out=" + out, "--json", "--work_dir=" + in_obs.work_dir,
                     "--device=cpu"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [each["iteration"] for each in told["checkpoints"]] == [2, 4] and in_obs.content() == before
    last = told["networks"][-1]
    assert (last["which"], last["target_accuracy"], last["validation_accuracy"]) == (
        "last", in_obs.records[-1]["target_accuracy"], in_obs.records[-1]["validation_accuracy"])
    found = in_obs.document(capsys, "--domains=all", at=out)
    assert found["sha256"] == told["sha256"] and found["classes"] == CLASSES and found["same_data"] is True
    assert [(each["accuracy"], each["loss"]) for each in found["domains"]] == [
        (each["accuracy"], each["loss"]) for each in told["networks"][0]["domains"]]


def test_a_run_is_exported_with_its_metric_network_into_its_own_folder(run, capsys):
    capsys.readouterr()
    before = run.content()
    assert cli.main(["export", run.url, "--format=ckpt", f"--out={run.url}/exports/a", "--checkpoint=last", "--json",
                     f"--work_dir={run.work_dir}"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["classes"] == CLASSES and told["run"]["iteration"] == 4 and told["prefix"] == "model4"
    assert told["run"]["target_accuracy"] == run.records[-1]["target_accuracy"]
    assert told["variables"]["model/metric/w2"] == [4, 3]
    assert told["check"]["images"] == 32 and "images of" in told["check"]["source"]
    after = run.content()
    assert {key for key in set(after) - set(before)} == {"exports/a/export.json"} | {
        "exports/a/" + name for name in told["files"]}
    assert {key: after[key] for key in before} == before
