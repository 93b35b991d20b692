"""What the preflight says of a storage that refuses, fails or is in use, and what it leaves there: nothing."""
from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from job.commands import doctor as command
from job.sync.store import CHECKPOINT_NAME
from obs_sync import Lease, open_store, publish_checkpoint, this_process
from obs_sync.checkpoints.collect import find_waste, remove_waste
from obs_sync.mock import Faults
from obs_sync.probing import Probe
from tests.job.preflight.conftest import DATA, OUT, RUN, SMALL, bad, left
from tests.masf_core.devices.ascend import stand_in

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def test_where_all_is_well_nothing_is_to_mend_and_nothing_stays(obs, doctor):
    rows = doctor()
    assert doctor.code == 0 and bad(rows) == []
    (told,) = rows["train_url"]
    assert told["told"].startswith("list, write, write in parts, read and delete: allowed; write ")
    assert "124 objects" in rows["data_url"][0]["told"] and " read in " in rows["data_url"][0]["told"]
    assert rows["lease"][0]["told"] == "the run name is free" and rows["resume"][0]["told"] == "a new run"
    assert left() == []
    assert obs.counts["InitiateMultipartUpload"] == 1


@pytest.mark.parametrize("rule, checks, told", [
    ("PutObject status=403 code=AccessDenied", ["train_url"], "cannot write: the server answered 403"),
    ("InitiateMultipartUpload status=403 code=AccessDenied", ["train_url"], "cannot write in parts"),
    ("UploadPart status=403 code=AccessDenied", ["train_url"], "cannot write in parts"),
    ("GetObject key=out/*/checkpoints/* status=403 code=AccessDenied", ["train_url"], "cannot read"),
    ("ListObjects key=out/* status=403 code=AccessDenied", ["clock", "lease", "train_url"], "cannot list"),
])
def test_what_may_not_be_done_is_named_and_hides_nothing_else(obs, doctor, rule, checks, told):
    obs.faults = Faults([rule])
    rows = doctor()
    obs.faults = Faults([])
    assert bad(rows) == checks and doctor.code == 6
    (row,) = [row for row in rows["train_url"] if row["state"] == "bad"]
    assert told in row["told"] and "Grant this user" in row["mend"]
    assert rows["domains"][0]["state"] == rows["data_url"][0]["state"] == "good"
    assert left() == []


def test_a_key_that_may_not_delete_is_noted_with_what_stays_and_gc_finds_it(obs, doctor):
    obs.faults = Faults(["DeleteObjects status=403 code=AccessDenied"])
    rows = doctor()
    obs.faults = Faults([])
    assert doctor.code == 0 and bad(rows) == [] and doctor.err == ""
    good, note = rows["train_url"]
    assert (good["state"], note["state"]) == ("good", "note") and good["told"].startswith("list, write, write in parts")
    assert "old checkpoints stay" in note["told"] and "sync gc" in note["mend"]
    stays = left()
    assert stays and all(key.startswith("masf_cartoon/checkpoints/ckpt-000000-probe-") for key in stays)
    with open_store(OUT, os.environ) as store:
        for waste in find_waste(store, lambda name: CHECKPOINT_NAME.match(name) is not None):
            assert remove_waste(store, waste)
    assert left() == []


@pytest.mark.parametrize("rule, checks", [
    ("ListObjects key=pacs/* status=403 code=AccessDenied", ["data_url"]),
    ("GetObject key=*.jpg status=403 code=AccessDenied", ["data_url"]),
    ("GetObject key=*_kfold.txt status=403 code=AccessDenied", ["domains"]),
])
def test_data_that_may_not_be_read_are_noticed(obs, doctor, rule, checks):
    obs.faults = Faults([rule])
    rows = doctor()
    assert bad(rows) == checks
    if rule.startswith("List"):
        assert [rows[name][0]["told"] for name in ("domains", "disk")] == [
            "not checked, because data_url could not be checked"] * 2
    assert rows["train_url"][0]["state"] == "good"


@pytest.mark.parametrize("seconds, checks, told", [
    (300, [], "300 s ahead"), (-300, [], "300 s behind"), (800, [], "800 s ahead"), (5000, [], "5000 s ahead")])
def test_a_clock_that_is_wrong_is_told_and_stands_in_nobodys_way(obs, doctor, seconds, checks, told):
    obs.faults = Faults([f"skew={seconds}"])
    rows = doctor()
    assert bad(rows) == checks
    minutes = int(rows["clock"][0]["told"].split("is ")[1].split(" s ")[0])
    assert abs(minutes - abs(seconds)) <= 2 and told.split(" s ")[1] in rows["clock"][0]["told"]
    assert ("dated by its clock" in rows["clock"][0]["told"]) == (abs(seconds) > 600)


def test_missing_credentials_and_a_bucket_that_is_not_there_are_told(obs, doctor, monkeypatch):
    rows = doctor(data_url="obs://other-bucket/pacs/")
    assert bad(rows) == ["data_url"] and "other-bucket" in rows["data_url"][0]["told"]
    rows = doctor(train_url="obs://other-bucket/output/")
    assert bad(rows) == ["train_url"] and len(rows["train_url"]) == 1  # one cause is told once
    assert rows["lease"][0]["told"] == "not checked, because train_url could not be checked"
    monkeypatch.delenv("OBS_SECRET_ACCESS_KEY")
    rows = doctor()
    assert {"client", "data_url", "train_url"} <= set(bad(rows))
    assert "OBS_SECRET_ACCESS_KEY is not" in rows["client"][0]["told"]


def test_no_secret_is_shown(obs, doctor, monkeypatch):
    for name in ("OBS_ACCESS_KEY_ID", "OBS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "WRONG" + os.environ[name])
    shown = json.dumps(doctor("--log_level=debug")) + doctor.err
    assert os.environ["OBS_SECRET_ACCESS_KEY"] not in shown
    assert doctor.code == 6


def test_a_run_name_in_use_is_told_and_one_that_was_left_is_free(obs, doctor):
    with open_store(RUN, os.environ) as store:
        with Lease(store, this_process("other-job"), 60.0):
            rows = doctor()
            assert bad(rows) == ["lease"] and f"is in use by process {os.getpid()}" in rows["lease"][0]["told"]
            assert "--run_name" in rows["lease"][0]["mend"]
            assert len([key for key in left(RUN) if key.startswith("lease/")]) == 1  # only looked at
        assert bad(doctor()) == []


def published(store, config, fingerprint=None, state="stopped"):
    """A run with one checkpoint, of iteration 10."""
    store.write("run.json", json.dumps({
        "format": 1, "lineage": "abc", "state": state, "config": config, "attempts": [],
        "data": {"fingerprint": fingerprint} if fingerprint else None}).encode())


@pytest.mark.parametrize("arguments, state, told", [
    ([], "good", "1 checkpoint, the newest of iteration 10; the run resumes there"),
    (["--margin=5"], "bad", "made with another configuration: margin was 10.0, is 5.0"),
    (["--margin=5", "--resume=never"], "good", "resume=never starts from the beginning"),
])
def test_what_would_be_resumed_is_told(obs, doctor, tmp_path, arguments, state, told):
    from job.config import loading

    config = loading.to_dict(loading.load_config(SMALL).config)
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a").write_bytes(b"a")
    with open_store(RUN, os.environ) as store:
        published(store, config)
        publish_checkpoint(store, str(tmp_path / "files"), "ckpt-000010-x", {"iteration": 10, "lineage": "abc"})
        (row,) = doctor(*arguments)["resume"]
        assert row["state"] == state and told in row["told"]
        published(store, config, fingerprint="other data")
        (row,) = doctor()["resume"]
        assert row["state"] == "bad" and "data was other data, is " in row["told"]


def test_resume_always_needs_a_checkpoint(obs, doctor):
    assert bad(doctor("--resume=always")) == ["resume"]


def test_a_dead_network_ends_it_in_time(obs, doctor, monkeypatch):
    monkeypatch.setattr(command, "SECONDS", 3.0)
    with socket.socket() as silent:  # accepts, and never says a word
        silent.bind(("127.0.0.1", 0))
        silent.listen(64)
        monkeypatch.setenv("OBS_SERVER", f"http://127.0.0.1:{silent.getsockname()[1]}")
        started = time.monotonic()
        rows = doctor()
        assert time.monotonic() - started < 30.0
    assert bad(rows) == ["data_url", "train_url"]
    assert rows["data_url"][0]["told"] == "no answer within 3 s"
    assert rows["domains"][0]["state"] == "none" and rows["Python"][0]["state"] == "good"


def test_interrupted_it_leaves_nothing_behind(obs):
    obs.faults = Faults(["PutObject key=out/* stall=1", "GetObject key=out/*/checkpoints/* stall=30"])
    process = subprocess.Popen(
        [sys.executable, "-m", "job", "doctor", "--data_url=" + DATA, "--train_url=" + OUT] + SMALL, cwd=ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        limit = time.monotonic() + 60.0
        while not left() and time.monotonic() < limit:
            time.sleep(0.05)
        assert left()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 143
    obs.faults = Faults([])
    assert left() == []


def test_a_probe_that_was_ended_stores_nothing_more(obs):
    with open_store(RUN, os.environ) as store:
        probe = Probe(store)
        probe.write()
        probe.end()
        with pytest.raises(Exception, match="^$"):
            probe.write()
        assert left() == []


def test_a_local_folder_is_tried_out_as_well_and_left_as_it_was(doctor, pacs, tmp_path):
    rows = doctor(data_url=pacs, train_url=str(tmp_path / "out"))
    assert doctor.code == 0, bad(rows)
    assert rows["clock"][0]["state"] == rows["client"][0]["state"] == "none"
    assert "used in place" in rows["data_url"][0]["told"]
    assert left(str(tmp_path / "out")) == []


def test_moxing_is_tried_out_through_its_own_interface(doctor, pacs, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(os.path.join(ROOT, "tests", "fakes"))
    monkeypatch.setenv("FAKE_MOXING_ROOT", str(tmp_path / "moxing"))
    os.makedirs(str(tmp_path / "moxing" / "bucket"))
    try:
        with open_store(DATA, {}) as store:
            from obs_sync import push
            push(store, pacs)
        rows = doctor("--device=cpu")  # the stand-in of the adapter lies beside moxing's
        assert doctor.code == 0, [rows[name] for name in bad(rows)]
        assert rows["client"][0]["told"].startswith("moxing")
        assert rows["train_url"][0]["told"].startswith("list, write, read and delete: allowed")
        with open_store(OUT, {}) as store:
            assert [info.key for info in store.list() if not info.key.endswith("/")] == []
    finally:
        stand_in.forget()  # it lies beside moxing's
        for name in ("moxing", "moxing.file"):
            sys.modules.pop(name, None)
