"""`average` makes one network of a run's checkpoints, evaluates it, and writes it whole with what it is, or not at all.
"""
from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import weakref

import numpy as np
import pytest

from job import averaging, cli
from job.commands import average
from job.config.loading import load_config, to_dict
from job.console import Console
from job.inputs.fetch_trained import class_names, read_network
from job.inputs.run_checkpoints import Choice, checkpoints_of, choose
from job.inputs.trained import LAST, Trained, find_trained
from job.inputs.weights import find_file
from job.reports.averaged import STATISTICS, Averaged, Row, text
from job.reports.evaluated import DomainResult, Evaluated
from job.workspace import Workspace
from masf_core.data import miniature
from masf_core.errors import WeightsError
from masf_core.network.architecture import make_architecture
from masf_core.records import checkpoints
from masf_core.records.npz import write_npz
from obs_sync import (
    IntegrityError, LocalStorageError, LocalStore, StoreUnavailable, delete_checkpoint, list_markers,
    publish_checkpoint, write_pointer,
)
from tests.job.faulty_store import FaultyStore
from tests.masf_core.records.samples import progress_at

CLASSES = ["dog", "elephant", "giraffe", "guitar", "horse", "house", "person"]
SETTINGS = ["--width=0.02", "--target_domain=cartoon", "--evaluation_batch=21", "--train_iterations=60",
            "--weights_path=none", "--keep_every=20"]
KEPT = (20, 40, 60)


def weights(seed, classes=7):
    return make_architecture("alexnet", classes, 0.02).initial_values(seed)


class Run:
    """A run whose checkpoints nobody trained: of the iterations ``KEPT``, kept for good, and the newest, of 70.

    folder: where it is, or where it is made if that does not exist.
    """

    def __init__(self, folder, data_url="/data/pacs"):
        self.folder, self.work_dir = str(folder), str(folder) + ".work"
        self.config = to_dict(load_config(SETTINGS + [f"--data_url={data_url}"])[0])
        self.store = LocalStore(self.folder)
        if os.path.isdir(self.folder):
            return
        self.store.write("run.json", json.dumps({
            "format": 1, "run_name": "run", "state": "done", "lineage": "line", "iteration": 70, "attempts": [],
            "config": self.config, "data": {"classes": CLASSES, "images": dict.fromkeys(
                ("art_painting", "cartoon", "photo", "sketch"), 21)}}).encode())
        for iteration in KEPT + (70,):
            self.publish(iteration)
        write_pointer(self.store, "best", "ckpt-000040-aaaa")

    def publish(self, iteration, arrays=None, attempt="aaaa"):
        name = f"ckpt-{iteration:06d}-{attempt}"
        checkpoints.save(os.path.join(self.work_dir, name), arrays or weights(iteration),
                         progress_at(iteration, lineage="line", config=self.config))
        publish_checkpoint(self.store, os.path.join(self.work_dir, name), name,
                           {"iteration": iteration, "lineage": "line", "kept": iteration != 70})

    def network(self, iteration):
        return os.path.join(self.folder, "checkpoints", f"ckpt-{iteration:06d}-aaaa", "network.npz")

    def rewrite(self, name, change):
        """Change a JSON document in checkpoints/."""
        path = os.path.join(self.folder, "checkpoints", name)
        with open(path) as stream:
            content = json.load(stream)
        change(content)
        with open(path, "w") as stream:
            json.dump(content, stream)

    def call(self, command, *arguments):
        """(exit code, standard output)."""
        with contextlib.redirect_stdout(io.StringIO()) as out:
            code = cli.main([command] + [str(each) for each in arguments]
                            + [f"--work_dir={self.work_dir}"] + ["--device=cpu"] * (command != "export"))
        return code, out.getvalue()

    def document(self, command, *arguments):
        code, out = self.call(command, *arguments, "--json")
        assert code == 0
        return json.loads(out)

    def content(self):
        """Path → digest of every file."""
        return {os.path.join(parent, name): digest(os.path.join(parent, name))
                for parent, _, names in os.walk(self.folder) for name in names}


def digest(path):
    with open(path, "rb") as stream:
        return hashlib.sha256(stream.read()).hexdigest()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(the run, FILE.npz, what was printed, the run's content before) of one average of all."""
    folder = tmp_path_factory.mktemp("made")
    miniature.write_miniature(str(folder / "pacs"), images_per_class=3)
    run = Run(folder / "run", folder / "pacs")
    before = run.content()
    (folder / "out").mkdir()
    out = folder / "out" / "mean.npz"
    return run, out, run.document("average", run.folder, f"--out={out}"), before


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    return Run(tmp_path_factory.mktemp("template") / "run")


@pytest.fixture
def run(tmp_path, template):
    """A run without data."""
    shutil.copytree(template.folder, str(tmp_path / "run"))
    return Run(tmp_path / "run")


def test_the_file_is_the_mean_of_the_kept_checkpoints(made):
    run, out, told, before = made
    with np.load(str(out)) as found:
        arrays = dict(found)
    of_all = []
    for iteration in KEPT:
        with np.load(run.network(iteration)) as archive:
            of_all.append(dict(archive))
    assert set(arrays) == set(of_all[0])
    for name, array in arrays.items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(
            array, np.mean([each[name].astype(np.float64) for each in of_all], axis=0).astype(np.float32))
    assert run.content() == before and sorted(os.listdir(str(out.parent))) == ["mean.json", "mean.npz"]
    assert told["sha256"] == digest(str(out)) and json.loads((out.parent / "mean.json").read_text()) == told
    assert [(each["iteration"], each["sha256"]) for each in told["checkpoints"]] == [
        (iteration, digest(run.network(iteration))) for iteration in KEPT]


def test_its_accuracy_and_that_of_the_best_and_the_last_are_those_of_evaluate(made):
    run, out, told, _ = made
    for network, place in zip(told["networks"], ([out], [run.folder])):
        found = run.document("evaluate", *place, "--domains=all")
        (cartoon,) = [each["accuracy"] for each in found["domains"] if each["domain"] == "cartoon"]
        assert network["target_accuracy"] == cartoon
        assert network["sha256"] == found["sha256"] and network["iteration"] == found["iteration"]
        if place == [out]:
            assert network["domains"] == [
                {name: each[name] for name in ("domain", "part", "images", "accuracy", "loss")}
                for each in found["domains"]]
            validation = [each["accuracy"] for each in found["domains"] if each["part"] == "validation images"]
            assert network["validation_accuracy"] == pytest.approx(np.mean(validation)) and len(validation) == 3
    assert [(each["which"], each["iteration"]) for each in told["networks"]] == [
        ("average", None), ("best", 40), ("last", 70)]


def test_predict_and_export_need_neither_settings_nor_classes(made, tmp_path):
    run, out, _, _ = made
    images = run.config["data"]["data_url"] + "/images/cartoon/dog"
    found = run.document("predict", out, images)
    assert found["classes"] == CLASSES and len(found["images"]) == 3
    sidecar = run.document("export", out, "--format=pb", f"--out={tmp_path / 'pb'}", f"--images={images}")
    assert sidecar["classes"] == CLASSES and sidecar["run"]["sha256"] == digest(str(out))


@pytest.mark.parametrize("arguments, code, told", [
    (["--out=mean.txt"], 2, "expected a name that ends in .npz"),
    (["--last=1"], 2, "--last=1: expected a whole number from 2"),
    (["--from=-1"], 2, "--from=-1: expected a whole number from 0"),
    (["--from=30", "--to=50"], 2, "--from=30 --to=50 chooses 1 checkpoint; expected at least 2. The run has those of "
                                  "the iterations 20, 40, 60"),
    (["--form=30"], 2, "unknown flag --form; did you mean --from?"),
    (["--last=2", "--out=RUN/mean.npz"], 2, "this lies in"),
    (["--out="], 2, "--out is empty"),
    (["--target_domain=photo"], 2, "the run was trained on photo; its target domain is cartoon"),
])
def test_what_cannot_be_meant_is_refused(run, capsys, arguments, code, told):
    assert run.call("average", run.folder, *[each.replace("RUN", run.folder) for each in arguments])[0] == code
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("there", ["mean.npz", "mean.json"])
def test_nothing_is_overwritten(run, tmp_path, capsys, there):
    (tmp_path / there).write_text("mine")
    assert run.call("average", run.folder, f"--out={tmp_path / 'mean.npz'}")[0] == 2
    assert f"{there} exists already" in capsys.readouterr().err and (tmp_path / there).read_text() == "mine"


def test_a_folder_that_is_no_run_is_told(run, tmp_path, capsys):
    assert run.call("average", tmp_path)[0] == 4
    assert "there is no run at" in capsys.readouterr().err


def open_local(folder):
    return LocalStore(folder)


def request_of(run, place="/out/mean.npz", newest=None):
    chosen = choose(checkpoints_of(run.folder, open_local), Choice())
    return averaging.Averaging(run.folder, newest or find_trained(run.folder, LAST, open_local), chosen,
                               load_config(SETTINGS)[0], tuple(CLASSES), os.path.split(place))


def mean_of(run):
    return averaging.mean_of(request_of(run), None, Console(stream=io.StringIO()), open_local)


def test_a_damaged_checkpoint_is_named(run):
    with open(run.network(40), "r+b") as stream:
        stream.seek(2000)
        stream.write(b"xx")
    with pytest.raises(IntegrityError, match="ckpt-000040-aaaa of iteration 40 cannot be averaged: its SHA-256 is not"):
        mean_of(run)
    os.remove(run.network(40))
    with pytest.raises(IntegrityError, match="ckpt-000040-aaaa of iteration 40 cannot be averaged: .* does not exist"
                                             ".*If the run is still training, give the command again"):
        mean_of(run)


def test_a_last_checkpoint_whose_progress_is_damaged_is_needed_neither_for_settings_nor_for_the_mean(run, caplog):
    with open(os.path.join(os.path.dirname(run.network(70)), "progress.json"), "wb") as stream:
        stream.write(b"{")
    run.rewrite("best.json", lambda pointer: pointer.update(name="ckpt-000060-aaaa"))
    chosen = choose(checkpoints_of(run.folder, open_local), Choice())
    newest = average._newest(run.folder, chosen, open_local)
    assert newest.iteration == 60 and newest.classes == CLASSES
    assert "settings and classes are read from the checkpoint ckpt-000060-aaaa" in caplog.text
    rows = []
    list(averaging._requests(request_of(run, newest=newest), {}, "digest", rows, None, Console(stream=io.StringIO()),
                             open_local))
    assert [(which, trained.iteration) for which, trained, _ in rows] == [("average", None), ("best", 60)]
    assert "the last checkpoint is not evaluated" in caplog.text and "--checkpoint" not in caplog.text


def test_a_place_where_nothing_can_be_written_is_told_before_a_checkpoint_is_read(run, tmp_path, monkeypatch):
    monkeypatch.setattr(averaging, "mean_of", lambda *arguments: pytest.fail("a checkpoint is read"))
    workspace = Workspace(str(tmp_path / "work"), "", "", "")
    for place, mend in ((str(tmp_path / "mean.npz"), "another file with --out"),
                        ("obs://bucket/mean.npz", "another --work_dir")):
        request = request_of(run, place)
        os.makedirs(averaging.temporary_path(request, workspace))
        with pytest.raises(LocalStorageError, match=mend):
            averaging.average_run(request, workspace, Console(stream=io.StringIO()), {}, open_local)


def test_without_out_no_file_is_made_in_the_folder_of_the_run(run, monkeypatch, capsys):
    monkeypatch.chdir(run.folder)
    assert run.call("average", ".")[0] == 2
    assert "/run/averages: this lies in " in capsys.readouterr().err
    assert "averages" not in os.listdir(run.folder)


def test_a_checkpoint_of_another_network_is_named(run):
    run.publish(80, weights(1, classes=5))
    with pytest.raises(WeightsError, match="ckpt-000080-aaaa of iteration 80 cannot be averaged with .* 5 classes"):
        mean_of(run)


def test_a_setting_of_another_network_is_named(run):
    request = request_of(run)._replace(config=load_config(SETTINGS + ["--width=0.5"])[0])
    with pytest.raises(WeightsError, match=r"iteration 20 is not of .*: width=0.5 \(of the run: 0.02\). Leave"):
        averaging.mean_of(request, None, Console(stream=io.StringIO()), open_local)


def test_one_checkpoint_at_a_time_is_in_memory(run, monkeypatch):
    read, arrays, living = averaging.read_network, [], []

    def watched(*arguments):
        living.append(sum(each() is not None for each in arrays))
        network = read(*arguments)
        arrays.extend(weakref.ref(each) for layer in network.layers.values() for each in layer)
        return network

    monkeypatch.setattr(averaging, "read_network", watched)
    mean_of(run)
    assert living == [0, 0, 0] and arrays


def test_a_checkpoint_that_was_fetched_is_deleted_from_the_disk_before_the_next_one_is(run, monkeypatch, tmp_path):
    request, read = request_of(run), averaging.read_network
    fetched = str(tmp_path / "network.npz")

    def fetch(trained, *others):
        assert not os.path.exists(fetched)
        shutil.copy(run.network(trained.iteration), fetched)
        return read(trained._replace(file=trained.file._replace(folder=run.folder + "/")), *others)._replace(
            path=fetched)

    monkeypatch.setattr(averaging, "read_network", fetch)
    remote = [each._replace(file=each.file._replace(folder="obs://bucket/run/")) for each in request.chosen]
    averaging.mean_of(request._replace(chosen=remote), None, Console(stream=io.StringIO()), open_local)
    assert not os.path.exists(fetched)


def test_a_checkpoint_that_is_best_and_last_is_evaluated_once(run):
    run.rewrite("best.json", lambda pointer: pointer.update(name="ckpt-000070-aaaa"))
    rows = []
    requests = list(averaging._requests(request_of(run), {}, "digest", rows, None, Console(stream=io.StringIO()),
                                        open_local))
    assert len(requests) == 2
    assert [(which, trained.iteration, number) for which, trained, number in rows] == [
        ("average", None, 0), ("best", 70, 1), ("last", 70, 1)]


def iterations_of(run, choice=Choice()):  # noqa: B008
    return [each.iteration for each in choose(checkpoints_of(run.folder, open_local), choice)]


def test_checkpoints_are_chosen_by_iteration_and_number(run):
    assert iterations_of(run) == [20, 40, 60]
    assert iterations_of(run, Choice(begin=40)) == [40, 60]
    assert iterations_of(run, Choice(end=40)) == [20, 40]
    assert iterations_of(run, Choice(last=2)) == [40, 60]
    assert iterations_of(run, Choice(end=40, last=9)) == [20, 40]


def test_a_last_beyond_what_there_is_is_told(run, caplog):
    assert iterations_of(run, Choice(last=3)) == [20, 40, 60] and not caplog.text
    assert iterations_of(run, Choice(last=99)) == [20, 40, 60]
    assert "--last=99: there are only 3 such checkpoints, of the iterations 20, 40, 60; all of them" in caplog.text


def test_of_an_iteration_that_was_trained_again_the_later_checkpoint_counts(run):
    run.publish(60, attempt="bbbb")
    assert [each.file.checkpoint for each in checkpoints_of(run.folder, open_local).whole] == [
        "ckpt-000020-aaaa", "ckpt-000040-aaaa", "ckpt-000060-bbbb"]


@pytest.mark.parametrize("text", ['{"files":', "[]", None])
def test_a_damaged_marker_is_named_unless_its_iteration_is_left_out(run, text):
    if text is None:
        run.rewrite("ckpt-000040-aaaa.json", lambda marker: marker["metadata"].update(iteration="40"))
    else:
        run.store.write("checkpoints/ckpt-000040-aaaa.json", text.encode())
    run.publish(80)
    for choice in (Choice(), Choice(begin=40), Choice(end=60), Choice(last=3)):
        with pytest.raises(IntegrityError, match="checkpoints/ckpt-000040-aaaa.json.* Delete this marker"):
            iterations_of(run, choice)
    assert iterations_of(run, Choice(begin=41)) == iterations_of(run, Choice(last=2)) == [60, 80]


def test_a_run_without_keep_every_has_all_its_checkpoints_averaged_if_it_has_two(run):
    for marker in list_markers(run.store):
        run.rewrite(marker.name + ".json", lambda content: content["metadata"].update(kept=False))
    assert iterations_of(run) == [20, 40, 60, 70]
    for iteration in KEPT:
        delete_checkpoint(run.store, f"ckpt-{iteration:06d}-aaaa")
    with pytest.raises(WeightsError, match="the run .*/run has 1 checkpoint to average; .* with --keep_every=N"):
        iterations_of(run)


@pytest.mark.parametrize("state, mend", [
    ("running", "Wait for more of them, or train with a smaller --keep_every"),
    ("done", "Train with a smaller --keep_every")])
def test_a_run_that_has_kept_one_checkpoint_so_far_is_told_so(run, state, mend):
    for iteration in KEPT[1:]:
        delete_checkpoint(run.store, f"ckpt-{iteration:06d}-aaaa")
    run.rewrite("../run.json", lambda content: content.update(state=state))
    with pytest.raises(WeightsError, match=f"has 1 checkpoint to average; expected at least 2. {mend}$"):
        iterations_of(run)


@pytest.mark.parametrize("failing", ["upload", "write"])
def test_in_a_bucket_nothing_is_left_where_one_of_the_files_cannot_be_stored(run, tmp_path, failing):
    store = FaultyStore(tmp_path / "bucket")

    def fail(operation, key):
        if operation == failing:
            raise StoreUnavailable("the storage is away", key)

    store.fail = fail
    request = request_of(run, "obs://bucket/means/mean.npz")
    workspace = Workspace(str(tmp_path), "", "", "")
    (tmp_path / "weights").mkdir()
    averaging.write_network(request, workspace, {"fc8/biases": np.zeros(3, np.float32)})
    with pytest.raises(StoreUnavailable):
        averaging.deliver(request, workspace, "{}", lambda url: store)
    assert list(store.list()) == []
    averaging.discard(request, workspace)
    assert os.listdir(str(tmp_path / "weights")) == []


def test_on_the_disk_the_network_does_not_stay_without_its_sidecar(run, tmp_path):
    request = request_of(run, str(tmp_path / "out" / "mean.npz"))
    (tmp_path / "out" / "mean.json").mkdir(parents=True)
    averaging.write_network(request, None, {"fc8/biases": np.zeros(3, np.float32)})
    with pytest.raises(LocalStorageError, match="mean.npz"):
        averaging.deliver(request, None, "{}", open_local)
    assert os.listdir(str(tmp_path / "out")) == ["mean.json"]


def with_sidecar(folder, text):
    with open(str(folder / "mean.npz"), "wb") as stream:
        write_npz(stream, weights(1))
    (folder / "mean.json").write_text(text)
    return find_trained(str(folder / "mean.npz"), None, open_local)


def sidecar(**changes):
    checkpoints = [{"name": "ckpt-1", "iteration": 1, "sha256": None}] * 2
    return json.dumps(dict({"format": "masf-average/1", "sha256": "0" * 64, "run": "obs://bucket/run", "config": {},
                            "checkpoints": checkpoints, "data": {"classes": CLASSES}}, **changes))


def test_an_average_that_is_not_the_one_of_its_sidecar_is_refused(tmp_path):
    trained = with_sidecar(tmp_path, sidecar())
    assert trained.classes == CLASSES and trained.file.told == "the average of 2 checkpoints of the run obs://bucket/run"
    with pytest.raises(IntegrityError, match="its SHA-256 is not the one in the .json beside it: .*mean.npz"):
        read_network(trained, None, None, open_local)


@pytest.mark.parametrize("text", ["{", "", "[]", "{}", sidecar(checkpoints=[]), sidecar(data={"classes": 7})])
def test_a_damaged_sidecar_is_named(tmp_path, text):
    with pytest.raises(IntegrityError, match="this file is damaged.*mean.npz beside it: .*mean.json"):
        with_sidecar(tmp_path, text)


@pytest.mark.parametrize("text", ['{"format": "of another program"}', "[1]", '{"learning_rate": 1}'])
def test_a_sidecar_of_another_program_is_not_used(tmp_path, text):
    assert with_sidecar(tmp_path, text) == Trained(find_file(str(tmp_path / "mean.npz"), open_local))


def test_who_needs_the_classes_of_an_average_without_its_sidecar_is_told_where_that_belongs(tmp_path, caplog):
    trained = with_sidecar(tmp_path, "[1]")
    network, config = read_network(trained, None, None, open_local), load_config(SETTINGS)[0]
    assert class_names(network, config, None) == tuple("0123456")
    assert f"put its mean.json beside it, in {tmp_path}" in caplog.text


def test_the_text_says_what_is_fixed_and_what_counts():
    result = DomainResult("cartoon", "whole domain", 0.5, 75.0, [75.0], np.array([[3, 1], [0, 0]]))
    source = result._replace(domain="photo", part="validation images", accuracy=50.0)
    found = Evaluated("the average", "a.npz", "0" * 64, None, "cpu", ("dog",), None, [result, source], [])
    lines = text(Averaged("a.npz", 1200000, "0" * 64, "obs://bucket/run", [("ckpt-1", 20, None), ("ckpt-2", 40, None)],
                          "cartoon", True, [Row("average", None, None, found), Row("best", "ckpt-2", 40, found)]))
    assert lines == [
        "a.npz: average of 2 checkpoints of the run obs://bucket/run, 1.2 MB", "  iterations 20, 40", "",
        "accuracy, %         cartoon (target)  validation, mean  photo",
        "average                        75.00             50.00  50.00",
        "best, iteration 40             75.00             50.00  50.00", "",
        "Of a source domain the validation images count, of the target all images.", STATISTICS]


def test_columns_stand_below_each_other_where_a_domain_has_chinese_characters():
    results = [DomainResult(name, part, 0.5, accuracy, [accuracy], np.array([[1]])) for name, part, accuracy in (
        ("素描", "whole domain", 75.0), ("照片图像", "validation images", 50.0))]
    found = Evaluated("the average", "a.npz", "0" * 64, None, "cpu", ("dog",), None, results, [])
    lines = text(Averaged("a.npz", 1, "0" * 64, "run", [], "素描", False, [Row("average", None, None, found)]))
    assert lines[3] == "accuracy, %  素描 (target)  validation, mean  照片图像"
    assert lines[4] == "average              75.00             50.00     50.00"
