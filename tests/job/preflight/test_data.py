"""What the preflight says of data, weights, disk and configuration, without pulling them."""
from __future__ import annotations

import os
import shutil
from collections import namedtuple
from types import SimpleNamespace

import pytest

from job import cli
from job.config.loading import load_config
from job.config.settings import config_of
from job.preflight import checks, data
from job.preflight.rows import BAD, GOOD, Limit, Row, Shared, Unknown, line_of, run_checks
from job.publication.retention import BEST
from masf_core.data import build_index, miniature
from masf_core.data.folders import Folder
from masf_core.data.layout import locate
from masf_core.method import meta_step
from masf_core.network.alexnet import AlexNet
from masf_core.network.pretrained import read_pretrained
from masf_core.records.npz import write_npz
from masf_core.tf1 import tf
from obs_sync import open_store, pack, publish_checkpoint, push, write_pointer
from obs_sync.local.files import digest_of
from tests.job.preflight.conftest import DATA, bad
from tests.masf_core.data.datasets import save_image
from tests.masf_core.network.formats import writers

WEIGHTS = "obs://bucket/w/bvlc_alexnet.npy"


def test_the_index_is_the_one_that_a_run_makes_and_no_image_is_fetched(obs, doctor, pacs):
    read = obs.counts["GetObject"]
    rows = doctor()
    index = build_index(*locate(Folder(pacs)))
    assert "fingerprint " + index.fingerprint[:12] in rows["domains"][0]["told"]
    assert "cartoon 28 (target)" in rows["domains"][0]["told"] and "7 classes: dog, " in rows["domains"][0]["told"]
    assert obs.counts["GetObject"] - read < 20  # 12 lists, an image, the probe
    assert rows["data set"][0]["state"] == "note" and doctor.code == 0
    assert "art_painting 28 instead of 2,048, cartoon 28" in rows["data set"][0]["told"]


def test_a_pack_is_looked_into(obs, doctor, pacs):
    with open_store("obs://bucket/packed/") as store:
        pack(store, pacs)
    rows = doctor(data_url="obs://bucket/packed/")
    assert bad(rows) == [] and "files in a pack" in rows["data_url"][0]["told"]
    assert build_index(*locate(Folder(pacs))).fingerprint[:12] in rows["domains"][0]["told"]


def test_lists_of_other_names_and_splits_are_judged_as_a_run_would(obs, doctor, tmp_path):
    classes, domains = ("2", "10"), ("cartoon", "photo", "sketch")
    for domain in domains:
        for name in classes:
            for number in range(4):
                for split in ["full"] + ["train"] * (number < 3):
                    save_image(tmp_path / "data" / domain / split / name / f"{number}.png", number)
    with open_store("obs://bucket/splits/") as store:
        push(store, str(tmp_path / "data"))
    rows = doctor(data_url="obs://bucket/splits/")
    index = build_index(str(tmp_path / "data"), validation_fraction=0.1)
    assert bad(rows) == [] and "fingerprint " + index.fingerprint[:12] in rows["domains"][0]["told"]
    assert "folders full, train of each domain; no lists: folders split 90/10 by seed 0" in rows["domains"][0]["told"]
    (tmp_path / "lists").mkdir()
    for domain in domains:
        for name in (domain + ".lst", domain + "_train (1).txt"):
            (tmp_path / "lists" / name).write_text("".join(
                f"kfold/{domain}/full/{name}/{number}.png {label}\n"
                for label, name in enumerate(classes) for number in range(4)))
    with open_store("obs://bucket/splits/filelist/") as store:
        push(store, str(tmp_path / "lists"))
    rows = doctor("--list_pattern={domain}.lst", data_url="obs://bucket/splits/")
    index = build_index(str(tmp_path / "data"), str(tmp_path / "lists"), list_pattern="{domain}.lst")
    assert index.classes == classes and bad(rows) == []
    assert "PACS as published has 7,943 images in these 3 domains" in rows["data set"][0]["told"]
    assert "fingerprint " + index.fingerprint[:12] in rows["domains"][0]["told"]
    assert "12 images to train on, 4 for validation, 8 of cartoon to test on (lists cartoon.lst" in (
        rows["domains"][0]["told"])
    assert "3 files look like lists and are not used: filelist/cartoon_train (1).txt" in doctor.err


@pytest.mark.parametrize("arguments, told", [
    (["--target_domain=catoon"], "target_domain 'catoon' is not among the domains found: art_painting, cartoon"),
    (["--num_classes=8"], "num_classes=8 is set, but obs://bucket/pacs/"),
    (["--meta_batch_size=1000"], "meta_batch_size=1000, but domain"),
    (["--filelist_root=elsewhere"], "there is no directory obs://bucket/pacs/elsewhere")])
def test_data_that_do_not_fit_the_settings_are_told_as_a_run_would(obs, doctor, arguments, told):
    rows = doctor(*arguments)
    assert "domains" in bad(rows) and told in rows["domains"][0]["told"]
    assert rows["data_url"][0]["state"] == rows["train_url"][0]["state"] == "good"


def test_nothing_at_the_url_is_told(obs, doctor):
    rows = doctor(data_url="obs://bucket/pacs-typo/")
    assert rows["data_url"][0]["told"] == "there is no object below obs://bucket/pacs-typo/"
    rows = doctor(data_url="/not/there")
    assert bad(rows) == ["data_url"] and "the folder /not/there does not exist" in rows["data_url"][0]["told"]
    rows = doctor(data_url=None)
    assert bad(rows) == ["data_url"] and "give --data_url" in rows["data_url"][0]["told"]


@pytest.fixture
def weights(obs, tmp_path):
    path = str(tmp_path / "bvlc_alexnet.npy")
    miniature.write_alexnet_weights(path, width=0.05)
    with open_store("obs://bucket/w/") as store:
        store.upload(path, "bvlc_alexnet.npy")
    with open_store(DATA) as store:
        store.upload(path, "bvlc_alexnet.npy")
    return path


@pytest.mark.parametrize("path", [WEIGHTS, "bvlc_alexnet.npy"])
def test_weights_are_held_against_the_network(weights, doctor, path):
    rows = doctor("--weights_path=" + path)
    assert bad(rows) == [] and "14 variables fit" in rows["weights"][0]["told"]
    assert "SHA-256 " + digest_of(weights, "sha256")[:12] in rows["weights"][0]["told"]
    rows = doctor("--weights_path=" + path, "--width=0.1")
    assert bad(rows) == ["weights"] and "expected shape" in rows["weights"][0]["told"]


@pytest.mark.parametrize("place", ["{here}/model.ckpt-9", "obs://bucket/w/model.ckpt-9", "below/model.ckpt-9.index"])
def test_a_tensorflow_checkpoint_is_held_against_the_network_with_its_data_files(obs, doctor, tmp_path, monkeypatch,
                                                                                  place):
    values = writers.network_values("alexnet", width=0.05)
    index = writers.checkpoint(str(tmp_path / "model.ckpt-9"), values)
    for name in (index, index.replace(".index", ".data-00000-of-00001")):
        for url, key in (("obs://bucket/w/", ""), (DATA, "below/")):
            with open_store(url) as store:
                store.upload(name, key + os.path.basename(name))
    rows = doctor("--weights_path=" + place.format(here=tmp_path))
    assert bad(rows) == [] and "14 variables fit" in rows["weights"][0]["told"]
    monkeypatch.setattr(data, "WHOLE_WEIGHTS", 1000)
    rows = doctor("--weights_path=" + place.format(here=tmp_path))
    assert bad(rows) == []


def test_data_weights_and_disk_are_judged_without_tensorflow(weights, doctor, monkeypatch):
    def broken():
        raise ImportError("no TensorFlow here")

    monkeypatch.setattr(checks, "_import_tensorflow", broken)
    rows = doctor("--weights_path=" + WEIGHTS)
    assert bad(rows) == ["TensorFlow"]
    assert "fingerprint" in rows["domains"][0]["told"] and "14 variables fit" in rows["weights"][0]["told"]
    assert rows["disk"][0]["state"] == "good"


@pytest.mark.parametrize("below", ["", "checkpoints/ckpt-000010-a/"])
def test_weights_may_be_a_run_or_a_checkpoint(weights, doctor, tmp_path, below):
    layers = read_pretrained(weights)
    folder = tmp_path / "ckpt-000010-a"
    folder.mkdir()
    with open(str(folder / "network.npz"), "wb") as stream:
        write_npz(stream, {layer + part: array for layer, pair in layers.items()
                           for part, array in zip(("/weights", "/biases"), pair)})
    for url in ("obs://bucket/out/run/", str(tmp_path / "out" / "run") + "/"):
        with open_store(url) as store:
            publish_checkpoint(store, str(folder), folder.name, {})
            write_pointer(store, BEST, folder.name)
            store.write("run.json", b"{}")
        rows = doctor("--weights_path=" + url + below)
        assert bad(rows) == [] and "14 variables fit" in rows["weights"][0]["told"]
    rows = doctor("--weights_path=obs://bucket/out/other/")
    assert bad(rows) == ["weights"] and "neither network.npz nor run.json" in rows["weights"][0]["told"]


def test_of_large_weights_the_beginning_and_the_size_are_looked_at(weights, doctor, monkeypatch):
    monkeypatch.setattr(data, "WHOLE_WEIGHTS", 1000)
    rows = doctor("--weights_path=" + WEIGHTS)
    assert bad(rows) == [] and "the run compares its layers" in rows["weights"][0]["told"]
    assert "MD5 " + digest_of(weights, "md5")[:12] in rows["weights"][0]["told"]
    rows = doctor("--weights_path=" + WEIGHTS, "--width=1")
    assert bad(rows) == ["weights"] and "width" in rows["weights"][0]["mend"]
    with open_store("obs://bucket/w/") as store:
        store.write("bvlc_alexnet.npy", b"<html>" * 1000)
    assert "none of the formats that are read" in doctor("--weights_path=" + WEIGHTS)["weights"][0]["told"]


@pytest.mark.parametrize("path, told", [
    ("absent.npy", "there is no absent.npy below data_url"), ("obs://bucket/w/absent.npy", "absent.npy"),
    ("", "weights_path is not set")])
def test_weights_that_are_not_there_are_told(obs, doctor, path, told):
    rows = doctor("--weights_path=" + path)
    assert bad(rows) == ["weights"] and told in rows["weights"][0]["told"]


def test_a_disk_that_is_too_small_is_told(obs, doctor, monkeypatch):
    rows = doctor()
    assert "decoded images 17.3 MB" in rows["disk"][0]["told"]  # 112 of 227 × 227 × 3
    usage = namedtuple("usage", "total used free")(100, 0, 10 ** 6)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert "keep_every" not in rows["disk"][0]["told"]
    rows = doctor("--keep_every=100")
    assert bad(rows) == ["disk"] and "1.0 MB free" in rows["disk"][0]["told"]
    assert rows["disk"][0]["told"].endswith("one more checkpoint for each that keep_every keeps")
    assert "--work_dir" in rows["disk"][0]["mend"]


@pytest.mark.parametrize("arguments, held, number", [
    ([], 0, 3), (["--keep_every=100"], 0, 6), (["--keep_every=20"], 0, 15), (["--keep_every=400"], 0, 3),
    (["--keep_every=100"], 5, 1), (["--keep_every=100", "--resume=never"], 5, 6)])
def test_published_checkpoints_take_the_disk_if_train_url_is_on_it(tmp_path, monkeypatch, arguments, held, number):
    config = load_config(["--width=0.05"] + arguments)[0]
    network = AlexNet(7, 0.05)
    size = data.checkpoint_bytes(config, network)
    run = tmp_path / "out" / "masf_cartoon"
    run.mkdir(parents=True)
    (run / "old").write_bytes(b"x" * (held * size))
    without = data.LOGS + data.SNAPSHOTS * size
    found = SimpleNamespace(index=SimpleNamespace(domains=[], dataroot=str(tmp_path)), dataroot="")

    def row(free, run):
        monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
        return data.disk_row(config, str(tmp_path / "work"), 0, None, found, 0, network, run)

    assert row(without, None).state == GOOD
    assert row(without + number * size, str(run)).state == GOOD
    lacking = row(without + number * size - 1, str(run))
    assert lacking.state == BAD and " in train_url " in lacking.told
    assert ("--keep_every" in lacking.mend) == (arguments[:1] in (["--keep_every=100"], ["--keep_every=20"]))


@pytest.mark.parametrize("values", [{}, {"method": "deepall"}, {"update": "joint"}, {"beta2": 0.0},
                                    {"beta1": 0.0, "beta2": 0.0}, {"frozen_layers": ("conv?",)}])
def test_checkpoints_are_as_large_as_the_state_of_the_graph(values):
    from job.preparation import step_settings

    config = config_of(dict(values, width=0.1, meta_batch_size=3))
    backbone = AlexNet(7, 0.1)
    with tf.Graph().as_default():
        state = meta_step.build(backbone, step_settings(config, 3)).state
    exactly = sum(4 * variable.shape.num_elements() for variable in state.values())
    assert data.checkpoint_bytes(config, backbone) == pytest.approx(exactly, abs=64)  # Adams' powers


def test_a_mistake_in_the_settings_does_not_hide_the_rest(obs, doctor):
    rows = doctor("--seed=x", "--margn=3", "--target_domain=sketch")
    assert bad(rows) == ["configuration"]
    assert [row["told"] for row in rows["configuration"]] == [
        "unknown flag --margn; did you mean --margin?",
        "--seed=x: seed cannot be 'x'; expected a whole number, from 0 to 2147483647"]
    assert "sketch 28 (target)" in rows["domains"][0]["told"]


def test_a_flag_of_its_own_that_is_misspelt_is_told(capsys):
    assert cli.main(["doctor", "--jso"]) == 2
    assert "did you mean --json?" in capsys.readouterr().err


def test_people_get_a_table(obs, capsys, tmp_path):
    code = cli.main(["doctor", "--data_url=" + DATA, "--train_url=obs://bucket/out/", "--work_dir=" + str(tmp_path)])
    out = capsys.readouterr().out
    assert code == 6 and "2 to correct" in out  # no weights, batches too large
    assert any(line.startswith("✗ weights       weights_path is not set") for line in out.splitlines())
    assert "                → Give --weights_path" in out
    assert line_of(Row("a", "bad", "told", "mend"), 3, "ascii") == "NO a   told\n       -> mend"
    assert sorted(os.listdir(str(tmp_path))) == []


def test_a_check_that_fails_by_itself_is_a_row_and_stops_no_other():
    def broken():
        raise KeyError("x")

    rows = list(run_checks([("one", broken), ("two", lambda: Row("two", GOOD, "well"))], Limit(5.0)))
    assert [row.state for row in rows] == ["bad", "good"] and "KeyError" in rows[0].told


def test_what_is_shared_is_found_once_and_its_failure_is_told_once():
    asked = []
    limit = Limit(5.0)
    shared = Shared("data_url", lambda: asked.append(1) or SimpleNamespace(), limit)
    assert shared.get() is shared.get(own=True) and asked == [1]
    failing = Shared("data_url", lambda: 1 / 0, limit)
    for _ in range(2):
        with pytest.raises(Unknown, match="because data_url could not be checked"):
            failing.get()
        with pytest.raises(ZeroDivisionError):
            failing.get(own=True)


def test_objects_whose_names_tell_nothing_are_judged_by_their_first_bytes(obs, doctor, pacs):
    index = build_index(*locate(Folder(pacs)))
    with open(os.path.join(index.dataroot, index.domain("photo").paths[0]), "rb") as stream:
        image = stream.read()
    for domain in ("photo", "sketch", "cartoon"):
        for name in ("dog", "cat"):
            obs.put("bucket", f"odd/{domain}/{name}/checksums", b"no image at all, but some text")
            for number in range(3):
                obs.put("bucket", f"odd/{domain}/{name}/scan.{number}", image)
    rows = doctor(data_url="obs://bucket/odd/")
    assert "cartoon 6 (target), photo 6, sketch 6" in rows["domains"][0]["told"]
    assert "only names and sizes were checked" in rows["domains"][0]["told"]


def test_too_many_objects_whose_names_tell_nothing_are_not_judged(obs, doctor, monkeypatch):
    monkeypatch.setattr(data, "MOST_HEADS", 1)
    for name in ("one", "two"):
        obs.put("bucket", "pacs/" + name, b"x")
    told = doctor()["domains"][0]["told"]
    assert told.startswith("not checked, because the names of 2 objects, such as one, do not tell whether they are ")


def test_an_archive_in_the_place_of_the_data_is_named(obs, doctor, tmp_path):
    obs.put("bucket", "zipped/PACS.zip", b"x")
    told = doctor(data_url="obs://bucket/zipped/")["domains"][0]["told"]
    assert "holds no images but an archive: PACS.zip" in told and "python -m job pack" in told
    (tmp_path / "PACS.zip").write_bytes(b"x")
    assert "is an archive" in doctor(data_url=str(tmp_path / "PACS.zip"))["data_url"][0]["told"]


@pytest.mark.parametrize("every, told", [
    (0, []), (100, [("good", "keep_every=100 keeps 3 checkpoints of about 1.2 GB for good, besides the newest ones and "
                             "the best: 3.7 GB at the end of the run")]),
    (400, [("note", "keep_every=400 keeps no checkpoint, because train_iterations is 300")])])
def test_what_checkpoints_that_are_kept_for_good_take_is_told_if_any_are(tmp_path, every, told):
    config = load_config([f"--keep_every={every}", f"--work_dir={tmp_path}"])[0]
    with checks.Preflight(config, None, {}, Limit(10.0)) as preflight:
        rows = [check() for name, check in preflight.checks() if name == "keep_every"]
    assert [(row.state, row.told) for row in rows] == told


def test_what_a_run_would_warn_of_is_noted(tmp_path):
    config = load_config(["--frozen_layers=conv1", "--weights_path=none", "--meta_lr=1e-6", "--update=joint",
                          f"--work_dir={tmp_path}"])[0]
    with checks.Preflight(config, None, {}, Limit(10.0)) as preflight:
        rows = dict(preflight.checks())["configuration"]()
    assert [row.state for row in rows] == ["good", "note", "note"]
    assert [row.told.split()[0] for row in rows[1:]] == ["frozen_layers", "meta_lr=1e-06"]
