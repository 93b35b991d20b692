"""A TensorFlow that does not load is told in one line."""
from __future__ import annotations

import os
import subprocess
import sys

import pytest

from job.preflight.machine import tensorflow_row
from job.preflight.rows import BAD
from masf_core.errors import TensorFlowError
from masf_core.tf1 import not_imported

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# As protobuf 4.21 says it, on several lines.
REFUSAL = "Descriptors cannot not be created directly.\nIf this call came from a _pb2.py file, regenerate it."


def test_another_protobuf_is_named_with_the_command_that_mends_it():
    error = not_imported(TypeError(REFUSAL), "4.21.12")
    assert str(error) == ("TensorFlow 1.15 needs a protobuf below 3.21, and 4.21.12 is installed beside it. "
                          "Run pip install 'protobuf<3.21'")
    assert "cannot be imported (odd)" in str(not_imported(TypeError("odd\nmore"), "3.20"))


def test_doctor_has_a_row_for_it():
    def load():
        raise not_imported(TypeError(REFUSAL), "4.21.12")

    row = tensorflow_row(load)
    assert (row.state, row.mend) == (BAD, "Run pip install 'protobuf<3.21'") and "4.21.12" in row.told


@pytest.mark.parametrize("command", [["check-graph", "--config=configs/dry_run.yaml"], ["parity"]])
def test_a_command_ends_with_one_line_and_no_trace(tmp_path, command):
    package = tmp_path / "tensorflow"
    package.mkdir()
    (package / "__init__.py").write_text(f"raise TypeError({REFUSAL!r})\n")
    done = subprocess.run([sys.executable, "-m", "job"] + command, cwd=ROOT, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, universal_newlines=True, timeout=60,
                          env=dict(os.environ, PYTHONPATH=str(tmp_path)))
    assert done.returncode == 2
    (line,) = [line for line in done.stdout.splitlines() if line.strip()]
    assert "TensorFlow 1.15 needs a protobuf below 3.21" in line and "pip install 'protobuf<3.21'" in line


def test_it_is_an_error_of_importing_too():
    assert issubclass(TensorFlowError, ImportError)


@pytest.mark.parametrize("given, adapter, expected", [({}, False, "2"), ({}, True, "0"),
                                                      ({"TF_CPP_MIN_LOG_LEVEL": "1"}, True, "1")])
def test_the_adapters_own_messages_are_shown_where_it_is_installed(tmp_path, given, adapter, expected):
    for name in ["tensorflow"] + ["npu_bridge"] * adapter:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("")
    environ = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(
        [sys.executable, "-c", "import os\ntry:\n    import masf_core.tf1\nexcept ImportError:\n    pass\n"
                               "print(os.environ['TF_CPP_MIN_LOG_LEVEL'])"],
        cwd=ROOT, stdout=subprocess.PIPE, universal_newlines=True, timeout=60,
        env=dict(environ, PYTHONPATH=os.pathsep.join([str(tmp_path), ROOT]), **given))
    assert done.stdout == expected + "\n"
