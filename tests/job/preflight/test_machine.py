"""What the preflight says of the machine, from files and variables that a test makes."""
from __future__ import annotations

import json

import pytest

from job.environment import read_environment
from job.errors import ConfigError
from job.preflight import machine as machine
from job.preflight.rows import outcome_of
from masf_core.devices.ascend.adapter import Adapter
from masf_core.errors import CheckpointError, DataError, WeightsError
from obs_sync import StoreError
from tests.masf_core.devices.ascend import stand_in

INFO = "package_name=Ascend-cann-toolkit\nversion=5.1.RC2\ninnerversion=V100R001C83\narch=aarch64\n"


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


@pytest.mark.parametrize("place, content, version", [
    ("usr/local/Ascend/ascend-toolkit/latest/aarch64-linux/ascend_toolkit_install.info", INFO, "5.1.RC2"),
    ("usr/local/Ascend/nnae/latest/ascend_nnae_install.info", INFO, "5.1.RC2"),
    ("usr/local/Ascend/ascend-toolkit/latest/opp/version.info", "Version=1.82.22.2.220\n", "1.82.22.2.220"),
    ("usr/local/Ascend/cann/x86_64-linux/ascend_toolkit_install.info", "version=8.5.0\n", "8.5.0"),
])
def test_the_version_of_cann_is_found_where_its_releases_write_it(tmp_path, place, content, version):
    path = write(tmp_path / place, content)
    write(tmp_path / machine.DRIVER, "Version=22.0.3\n")
    row = machine.cann_row({}, str(tmp_path))
    assert row.state == "good" and row.told == f"{version} ({path}), driver 22.0.3"


def test_the_variables_of_cann_go_before_its_usual_places(tmp_path):
    write(tmp_path / "usr/local/Ascend/nnae/latest/version.info", "version=1\n")
    write(tmp_path / "other/version.info", "Version=2\n")
    for environ in ({"ASCEND_HOME_PATH": str(tmp_path / "other")}, {"ASCEND_OPP_PATH": str(tmp_path / "other/opp/")}):
        assert machine.cann_row(environ, str(tmp_path)).told.startswith("2 ")


def test_what_cann_does_not_say_is_said_to_be_unknown(tmp_path):
    assert machine.cann_row({}, str(tmp_path)).told == "not installed"
    row = machine.cann_row({}, str(tmp_path), "ascend")
    assert row.state == "bad" and "ASCEND_HOME_PATH" in row.mend
    write(tmp_path / machine.DRIVER, "Version=22.0.3\n")
    row = machine.cann_row({}, str(tmp_path))
    assert (row.state, row.mend) == ("none", None) and "version is unknown" in row.told and "22.0.3" in row.told


@pytest.mark.parametrize("device, made, state, told", [
    ("auto", [], "good", "processor thread"), ("auto", ["davinci0", "davinci_manager"], "good", "Ascend davinci0"),
    ("ascend", [], "bad", "no /dev/davinci*"), ("ascend", ["davinci3"], "good", "Ascend davinci3"),
    ("gpu", [], "bad", "no /dev/nvidia*"), ("gpu", ["nvidia0", "nvidiactl"], "good", "GPU nvidia0")])
def test_devices_are_those_of_the_node(tmp_path, device, made, state, told):
    for name in made:
        write(tmp_path / "dev" / name, "")
    row = machine.devices_row(device, {"ASCEND_DEVICE_ID": "2"}, str(tmp_path))
    assert row.state == state and told in row.told and "ASCEND_DEVICE_ID=2" in row.told
    assert bool(row.mend) == (state == "bad") and "manager" not in row.told and "ctl" not in row.told


def raising(error):
    def function():
        raise error
    return function


def test_tensorflow_that_is_missing_or_old_is_told():
    assert machine.tensorflow_row(lambda: "1.15.0").state == machine.tensorflow_row(lambda: "2.17.0").state == "good"
    assert machine.tensorflow_row(lambda: "1.12.0").state == "bad"
    assert machine.tensorflow_row(lambda: "1.15.5", "ascend").state == "good"
    row = machine.tensorflow_row(lambda: "2.17.0", "ascend")
    assert row.state == "bad" and "built for 1.15" in row.told
    row = machine.tensorflow_row(raising(ImportError("no module")))
    assert row.state == "bad" and "pip install tensorflow" in row.mend


def test_the_adapter_is_asked_for_where_it_would_be_used(monkeypatch):
    def load():
        return Adapter("r1.5", "r1.9")

    monkeypatch.setattr(machine.importlib.util, "find_spec", lambda name: None)
    assert machine.adapter_row("auto", load).state == "none"
    assert machine.adapter_row("ascend", load).state == "bad"
    monkeypatch.setattr(machine.importlib.util, "find_spec", lambda name: object())
    assert machine.adapter_row("auto", load).told == "r1.5 to r1.9, judged by what it exports"
    assert machine.adapter_row("cpu", raising(AssertionError())).state == "none"
    row = machine.adapter_row("auto", raising(OSError("libge_runner.so")))
    assert row.state == "bad" and "libge_runner.so" in row.told
    row = machine.adapter_row("auto", load, lambda adapter: (["option a came later"], ["option b may be unknown"]))
    assert row.state == "bad" and row.told.endswith("; option a came later") and "adapter knows them" in row.mend
    row = machine.adapter_row("auto", load, lambda adapter: ([], ["option b may be unknown"]))
    assert row.state == "good" and row.told.endswith("; option b may be unknown")


@pytest.mark.parametrize("settings, state, told", [
    (["--ascend_options=mix_compile_mode=true"], "good", ""),
    (["--ascend_options=hccl_timeout=1800"], "bad", "option hccl_timeout is read by every release from r1.7 on"),
    (["--ascend_options=deterministic=1"], "bad", "option deterministic is read by every release from r1.12 on"),
    (["--precision_mode=cube_fp16in_fp32out"], "bad", "precision_mode=cube_fp16in_fp32out is unknown"),
    (["--precision=float32"], "bad", "precision=float32: an Ascend 910 has no convolution in float32"),
    (["--adapter_release=r1.7", "--ascend_options=hccl_timeout=1800"], "good", "r1.7"),
    (["--precision_mode=must_keep_origin_dtype", "--mix_list=/m.json"], "bad",
     "mix_list=/m.json changes which operations"),
    (["--mix_list=/nope.json"], "bad", "modify_mixlist=/nope.json: this file does not exist"),
    (["--compile_cache_dir=/dev/null/cache"], "bad", "cache_dir=/dev/null/cache: this folder is not writable")])
def test_options_are_held_against_the_adapter_that_is_there(doctor, monkeypatch, settings, state, told):
    with stand_in.npu_bridge(monkeypatch, "r1.5"):
        (row,) = doctor("--device=ascend", *settings, data_url=None, train_url=None)["npu_bridge"]
    assert row["state"] == state and told in row["told"]


def test_folders_that_a_run_would_make_are_not_made(doctor, monkeypatch, tmp_path):
    with stand_in.npu_bridge(monkeypatch, "r1.5"):
        (row,) = doctor("--device=ascend", "--compile_cache_dir={}".format(tmp_path / "new" / "cache"), data_url=None,
                        train_url=None)["npu_bridge"]
    assert row["state"] == "good" and not (tmp_path / "new").exists()


@pytest.mark.parametrize("batch, state", [("126", "bad"), ("128", "good")])
def test_a_batch_that_the_cards_cannot_share_is_told(doctor, monkeypatch, batch, state):
    monkeypatch.setenv("RANK_SIZE", "8")
    monkeypatch.setenv("RANK_ID", "0")
    (row,) = doctor("--meta_batch_size=" + batch, data_url=None, train_url=None)["configuration"]
    assert row["state"] == state
    assert state == "good" or "meta_batch_size=126 cannot be shared by 8 ranks" in row["told"]
    assert state == "good" or "a multiple of 8, such as 128" in row["told"]


@pytest.mark.parametrize("error, mend", [
    (ConfigError("RANK_ID=x: expected a number."), "Correct what the message names"),
    (DataError("no images"), "--bad_data=skip"), (WeightsError("no layers"), "--weights_path=none"),
    (CheckpointError("damaged"), "a run would fail with the same"), (StoreError("gone", "obs://b"), "Try again"),
    (ValueError("unforeseen"), "report it")])
def test_whatever_stops_a_check_its_row_says_how_to_mend_it(error, mend):
    (row,) = outcome_of("check", raising(error))
    assert row.state == "bad" and mend in row.mend and not row.told.endswith(".")


def test_packages_that_lack_or_are_too_old_are_named(monkeypatch):
    assert machine.packages_row().state == "good" and "numpy " in machine.packages_row().told
    monkeypatch.setattr(machine, "version_of", {"Pillow": "7.2.0"}.get)
    monkeypatch.setattr(machine.importlib.util, "find_spec", lambda name: None if name == "obs" else object())
    row = machine.packages_row()
    assert row.mend == "pip install 'Pillow>=8' 'esdk-obs-python'" and "numpy (version unknown)" in row.told


@pytest.mark.parametrize("environ, kind", [
    ({}, "not a ModelArts job"), ({"DLS_TASK_NUMBER": "1"}, "ModelArts v1 job"),
    ({"MA_JOB_DIR": "/job", "MA_NUM_HOSTS": "2", "VC_TASK_INDEX": "1"}, "ModelArts v2 job; rank 0 of 1, host 1 of 2")])
def test_the_platform_is_told_by_its_variables(environ, kind):
    assert machine.platform_row(environ, lambda: read_environment(environ)).told.startswith(kind)


def test_variables_that_cannot_be_are_told():
    with pytest.raises(ConfigError, match="RANK_ID=x"):
        machine.platform_row({}, lambda: read_environment({"RANK_ID": "x"}))


def table(ranks, status="completed"):
    return {"version": "1.0", "status": status, "server_count": "1", "server_list": [
        {"server_id": "a", "device": [{"device_id": device, "device_ip": "192.168.0.1", "rank_id": rank}
                                      for rank, device in ranks]}]}


PAIR = [("0", "0"), ("1", "1")]
PLACE = {"RANK_ID": "1", "RANK_SIZE": "2", "ASCEND_DEVICE_ID": "1", "JOB_ID": "1"}


@pytest.mark.parametrize("content, told", [
    (table(PAIR, "initializing"), "its status is 'initializing'"),
    (table(PAIR[:1]), "RANK_SIZE=2, but jobstart_hccl.json lists 1 cards"),
    (table([("1", "0"), ("1", "1")]), "expected each rank from 0 to 1 once"),
    (table([("0", "1"), ("1", "0")]), "rank 1 has card 0 there, number 0 of its server, but ASCEND_DEVICE_ID is 1"),
    ({"status": "completed", "group_list": []}, "the older form with group_list"), (None, "No such file")])
def test_a_rank_table_that_does_not_hold_this_process_is_told(tmp_path, content, told):
    if content is not None:
        write(tmp_path / "jobstart_hccl.json", json.dumps(content))
    found = read_environment(dict(PLACE, RANK_TABLE_FILE=str(tmp_path / "jobstart_hccl.json")))
    (row,) = outcome_of("rank table", lambda: machine.rank_table_row(found))
    assert row.state == "bad" and told in row.told


def test_the_rank_table_names_this_process(tmp_path):
    path = write(tmp_path / "jobstart_hccl.json", json.dumps(table(PAIR)))
    row = machine.rank_table_row(read_environment(dict(PLACE, RANK_TABLE_FILE=str(path))))
    assert row.state == "good"
    assert row.told.startswith("2 ranks on 1 servers; this is rank 1 on card 1; rank 0 listens at ")


def test_a_container_may_count_its_cards_from_0(tmp_path):
    path = write(tmp_path / "jobstart_hccl.json", json.dumps(table([("0", "4"), ("1", "5")])))
    row = machine.rank_table_row(read_environment(dict(PLACE, RANK_TABLE_FILE=str(path))))
    assert row.state == "good" and "rank 1 on card 5" in row.told


def test_several_cards_of_ascend_need_a_rank_table():
    row = machine.rank_table_row(read_environment(dict(PLACE, RANK_CONTROL="127.0.0.1:5000")), "ascend")
    assert row.state == "bad" and "RANK_TABLE_FILE and JOB_ID" in row.mend


def test_without_a_rank_table_it_is_said_where_the_others_are():
    assert machine.rank_table_row(read_environment({})).told == "not needed: there is one rank"
    row = machine.rank_table_row(read_environment(dict(PLACE, RANK_CONTROL="127.0.0.1:5000")))
    assert (row.state, row.told) == ("none", "none; only Ascend needs one; rank 0 listens at 127.0.0.1:5000")
    (row,) = outcome_of("rank table", lambda: machine.rank_table_row(read_environment(PLACE)))
    assert row.state == "bad" and "RANK_CONTROL" in row.told
