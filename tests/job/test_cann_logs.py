"""CANN's logs are named, their last errors are shown, and they are stored, all of it bounded."""

import os

import pytest

from job import cann_logs
from job.cann_logs import explained, explanation, last_errors, log_folder, newest_logs, started, upload_cann_logs
from job.errors import CannFailed
from masf_core.tf1 import tf
from obs_sync import LocalStore, StoreUnavailable


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "log" / "debug" / "plog").mkdir(parents=True)
    return tmp_path / "log"


def write(folder, name, text, age=0.0):
    path = folder / "debug" / "plog" / name
    path.write_text(text)
    when = started() + 10.0 - age
    os.utime(str(path), (when, when))
    return path


@pytest.mark.parametrize("environ, expected", [
    ({"HOME": "/home/me"}, "/home/me/ascend/log"),
    ({"HOME": "/home/me", "ASCEND_PROCESS_LOG_PATH": "/logs"}, "/logs")])
def test_where_the_logs_are(environ, expected):
    assert log_folder(environ) == expected


def test_files_of_earlier_processes_are_left_out(folder):
    write(folder, "plog-1.log", "[ERROR] old", age=100.0)
    newer, newest = write(folder, "plog-2.log", "", age=2.0), write(folder, "plog-3.log", "")
    assert [file.path for file in newest_logs(str(folder), started())] == [str(newest), str(newer)]
    assert last_errors(newest_logs(str(folder), started())) == []
    assert "they report no error" in explanation({"ASCEND_PROCESS_LOG_PATH": str(folder)}, started())


def test_the_last_errors_are_few_printable_and_cut(folder):
    write(folder, "plog-1.log", "".join(f"[ERROR] a{number}\n[INFO] x\n" for number in range(9)), age=1.0)
    write(folder, "plog-2.log", "[ERROR] b0\x1b[31m\n[WARNING] y\n[ERROR] " + "b" * 999 + "\n")
    found = last_errors(newest_logs(str(folder), started()))
    assert found[:4] == ["[ERROR] a6", "[ERROR] a7", "[ERROR] a8", "[ERROR] b0\\x1b[31m"]
    assert [len(line) for line in found[4:]] == [300]


def test_no_log_at_all_is_said(folder):
    assert explanation({"ASCEND_PROCESS_LOG_PATH": str(folder)}, started()) == f"CANN wrote no log below {folder}"


def test_the_newest_logs_are_stored_up_to_a_size(folder, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(cann_logs, "MOST_UPLOADED", 10)
    write(folder, "plog-3.log", "newest")
    write(folder, "plog-2.log", "0123456789", age=1.0)
    write(folder, "plog-1.log", "does not fit", age=2.0)
    upload_cann_logs(LocalStore(str(tmp_path / "run")), {"ASCEND_PROCESS_LOG_PATH": str(folder)})
    stored = tmp_path / "run" / "logs" / "cann" / "debug" / "plog"
    assert {path.name: path.read_text() for path in stored.iterdir()} == {"plog-3.log": "newest", "plog-2.log": "6789"}


def test_a_failed_upload_is_a_warning_that_names_the_folder(folder, caplog):
    class Away:
        def write(self, key, data):
            raise StoreUnavailable("gone")

    write(folder, "plog-1.log", "x")
    upload_cann_logs(Away(), {"ASCEND_PROCESS_LOG_PATH": str(folder)})
    assert f"They are below {folder}" in caplog.text


def test_an_error_of_the_adapter_shows_what_cann_says(folder):
    write(folder, "plog-1.log", "[ERROR] GE: reason")
    environ = {"ASCEND_PROCESS_LOG_PATH": str(folder)}
    with pytest.raises(CannFailed) as raised:
        with explained("ascend", environ):
            raise tf.errors.InternalError(None, None, "GeOp failed\nmore")
    assert str(raised.value).splitlines() == [
        "the Ascend adapter failed: GeOp failed", f"CANN's own logs are below {folder}. Their last errors:",
        "  [ERROR] GE: reason"]
    for device, error in (("cpu", tf.errors.InternalError(None, None, "x")), ("ascend", ValueError("x"))):
        with pytest.raises(type(error)):
            with explained(device, environ):
                raise error
