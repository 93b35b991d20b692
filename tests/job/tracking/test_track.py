"""`track` with MLflow's own client, which writes to a folder."""
from __future__ import annotations

import hashlib
import http.server
import json
import os
import socket
import sys
import threading

import pytest

from job import cli
from job.tracking.copying import metric_name
from job.tracking.mlflow_tracker import open_mlflow
from tests.job.reports.test_hostile_runs import CONTROL, NASTY
from tests.job.reports.test_report import HISTORY, RUN

pytest.importorskip("mlflow")
LINEAGE = RUN["lineage"]


@pytest.fixture
def run(tmp_path):
    """The folder of a run that is running and has two of three intervals."""
    folder = tmp_path / "output" / "masf_cartoon"
    folder.mkdir(parents=True)
    save(folder, HISTORY[:2], state="running", config={
        "interval": {"selection": "source_val"}, "training": {"margin": 10.0}, "data": {"target_domain": "cartoon"}})
    (folder / "report.html").write_text("<p>report</p>")
    return folder


def save(folder, history, **members):
    path = folder / "run.json"
    content = json.loads(path.read_text()) if path.exists() else RUN
    path.write_text(json.dumps(dict(content, **members)))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in history))


@pytest.fixture
def track(run, tmp_path, capsys):
    def track(*more):
        code = cli.main(["track", str(run), "--to", f"mlflow:{tmp_path / 'mlruns'}", *more])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err and CONTROL.search(captured.out + captured.err) is None
        return code, captured.out, captured.err
    return track


def client(tmp_path):
    from mlflow.tracking import MlflowClient
    return MlflowClient(str(tmp_path / "mlruns"), registry_uri=str(tmp_path / "mlruns"))


def tracked(tmp_path):
    """The one run in the folder, and the (step, value) of each of its metrics."""
    reader = client(tmp_path)
    (found,) = reader.search_runs([reader.get_experiment_by_name("masf").experiment_id])
    return found, {name: [(each.step, each.value) for each in reader.get_metric_history(found.info.run_id, name)]
                   for name in found.data.metrics}


def digest_of(folder):
    """One digest over all files below a folder, with their names."""
    found = hashlib.sha256()
    for directory, folders, names in os.walk(str(folder)):
        folders.sort()
        for name in sorted(names):
            with open(os.path.join(directory, name), "rb") as stream:
                found.update(os.path.join(directory, name).encode() + stream.read())
    return found.hexdigest()


def test_a_run_that_goes_on_is_continued_and_copying_twice_changes_nothing(run, track, tmp_path):
    assert track()[0] == 0
    found, metrics = tracked(tmp_path)
    assert found.info.status == "RUNNING" and found.data.params["margin"] == "10.0"
    assert metrics["target/cartoon"] == [(20, 40.0), (40, 55.5)]
    assert metrics["validation/photo"] == [(20, 60.0), (40, 70.0)] and metrics["target_class/cat"][0] == (20, 70.0)
    before = digest_of(tmp_path / "mlruns")
    assert track()[1].startswith("nothing is new") and digest_of(tmp_path / "mlruns") == before

    attempts = [dict(RUN["attempts"][0], ended="2026-01-01T01:00:00Z")]
    save(run, HISTORY, state="done", attempts=attempts)
    assert track()[0] == 0
    found, metrics = tracked(tmp_path)
    assert found.info.status == "FINISHED" and found.info.end_time == found.info.start_time + 3600 * 1000
    assert metrics["target/cartoon"] == [(20, 40.0), (40, 55.5), (60, 50.0)]
    assert metrics["selected/cartoon"] == [(20, 40.0), (40, 55.5), (60, 55.5)]
    assert found.data.tags["masf.best_iteration"] == "40"
    names = {each.path for each in client(tmp_path).list_artifacts(found.info.run_id)}
    assert names == {"run.json", "metrics.jsonl", "report.html", "config.yaml"}
    before = digest_of(tmp_path / "mlruns")
    assert track()[1].startswith("nothing is new") and digest_of(tmp_path / "mlruns") == before


def test_what_a_request_that_was_cut_off_left_is_completed(run, track, tmp_path):
    track()
    found, _ = tracked(tmp_path)
    (path,) = [os.path.join(directory, "cartoon") for directory, _, names in os.walk(str(tmp_path / "mlruns"))
               if directory.endswith("metrics/target") and "cartoon" in names]
    with open(path) as stream:
        lines = stream.readlines()
    with open(path, "w") as stream:
        stream.writelines(lines[:1])
    assert track()[1].startswith("copied 1 value, 0 parameters, 0 tags and 0 files")
    assert tracked(tmp_path)[1]["target/cartoon"] == [(20, 40.0), (40, 55.5)]


def test_a_fresh_start_under_the_same_name_is_another_run(run, track, tmp_path):
    track()
    save(run, HISTORY[:1], lineage="ffff")
    track()
    reader = client(tmp_path)
    assert len(reader.search_runs([reader.get_experiment_by_name("masf").experiment_id])) == 2


def test_a_parameter_that_changes_keeps_its_first_value_with_a_warning(run, track, tmp_path):
    track()
    save(run, HISTORY[:2], config={"training": {"margin": 20.0}, "interval": {"selection": "source_val"}})
    code, _, errors = track()
    assert code == 0 and "parameters of a tracked run cannot change" in errors and "margin" in errors
    assert tracked(tmp_path)[0].data.params["margin"] == "10.0"


def test_hostile_names_are_copied_under_names_that_mlflow_accepts(run, track, tmp_path):
    history = [dict(record, target_domain=NASTY, validation={"../../x": {"accuracy": 1.0}, NASTY: {"accuracy": 2.0}},
                    target_loss=float("nan")) for record in HISTORY[:1]]
    save(run, history, run_name=NASTY, config={"a": {NASTY: NASTY}, "interval": {"selection": "source_val"}})
    assert track()[0] == 0
    metrics = tracked(tmp_path)[1]
    assert sorted(value for name, values in metrics.items() if name.startswith("validation/")
                  for _, value in values) == [1.0, 2.0, 60.0]
    assert not any(name.startswith("target_loss") for name in metrics)


def test_names_that_differ_stay_different():
    assert metric_name("target/cartoon") == "target/cartoon" and metric_name("validation/写生") == "validation/写生"
    names = ["a<", "a>", "a_", "../a", "./a", "//a", "x" * 300, "x" * 301]
    assert len({metric_name(name) for name in names}) == len(names)


@pytest.mark.parametrize("to, told", [
    ("http://127.0.0.1:5000", "expected mlflow:http://HOST:PORT"), ("mlflow:", "expected mlflow:http://HOST:PORT"),
    ("mlflow:http://[1", "this is no address"), ("mlflow:nonsense://x", "this MLflow knows no such address"),
    ("mlflow:http://me:hunter2@127.0.0.1:9", "MLFLOW_TRACKING_USERNAME"),
    ("mlflow:http://hunter2@127.0.0.1:9", "MLFLOW_TRACKING_TOKEN"), ("me:hunter2@127.0.0.1", "expected mlflow:")])
def test_a_wrong_address_is_one_error_without_its_password(run, capsys, to, told):
    assert cli.main(["track", str(run), "--to", to]) == 2
    errors = capsys.readouterr().err
    assert told in errors and "hunter2" not in errors and errors.count("\n") == 1


def test_without_the_client_the_error_says_what_to_install(run, track, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    code, _, errors = track()
    assert code == 2 and "pip install 'masf-modelarts[track]'" in errors


class Refusing(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(401)

    def log_message(self, *args):
        pass


class Keeping(http.server.BaseHTTPRequestHandler):
    """A server that takes files itself, as MLflow's own does, and keeps them in ``server.kept``: path → content."""

    def do_GET(self):
        experiment = {"experiment_id": "1", "name": "masf", "lifecycle_stage": "active", "artifact_location": ""}
        info = {"run_id": "r", "run_uuid": "r", "experiment_id": "1", "status": "RUNNING", "lifecycle_stage": "active",
                "artifact_uri": "mlflow-artifacts:/1/r/artifacts"}
        self.answer({"experiment": experiment, "run": {"info": info}})

    do_POST = do_GET

    def do_PUT(self):
        self.server.kept[self.path] = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer({})

    def answer(self, content):
        data = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


def test_files_go_through_a_server_that_keeps_them_itself(tmp_path):
    (tmp_path / "eva.txt").write_text("line\n")
    with http.server.HTTPServer(("127.0.0.1", 0), Keeping) as server:
        server.kept = {}
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            open_mlflow(f"mlflow:http://127.0.0.1:{server.server_port}", "masf").upload("r", str(tmp_path / "eva.txt"))
        finally:
            server.shutdown()
    assert server.kept == {"/api/2.0/mlflow-artifacts/artifacts/1/r/artifacts/eva.txt": b"line\n"}


def test_a_server_that_refuses_and_one_that_is_not_there_are_one_error(run, capsys, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    with http.server.HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        refused = cli.main(["track", str(run), "--to", f"mlflow:http://127.0.0.1:{server.server_port}"])
        server.shutdown()
    errors = capsys.readouterr().err
    assert refused == 4 and "401" in errors and "MLFLOW_TRACKING_TOKEN" in errors and errors.count("\n") == 1
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert cli.main(["track", str(run), "--to", f"mlflow:http://127.0.0.1:{unused.getsockname()[1]}"]) == 4
    errors = capsys.readouterr().err
    assert "could not be reached" in errors and errors.count("\n") == 1


def test_a_folder_without_a_run_is_named(tmp_path, capsys):
    assert cli.main(["track", str(tmp_path / "none"), "--to", f"mlflow:{tmp_path / 'mlruns'}"]) == 4
    assert "no run here" in capsys.readouterr().err
