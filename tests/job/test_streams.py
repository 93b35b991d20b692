"""A process that was started with closed standard streams."""
from __future__ import annotations

import subprocess
import sys

import pytest

from tests.test_architecture import REPOSITORY

PROGRAM = """
import os, sys
sys.path.insert(0, {root!r})
from job.streams import open_closed_streams
open_closed_streams()
with open({path!r}, "w") as stream:
    assert stream.fileno() > 2, stream.fileno()
    os.write(2, b"native code\\n")
    print("to stdout", flush=True)
    print("to stderr", file=sys.stderr, flush=True)
    assert sys.stdin.read() == ""
    stream.write("kept")
"""


@pytest.mark.parametrize("closed, stdout, stderr", [
    ("", True, True),
    ("2>&-", True, False),
    (">&-", False, True),
    ("<&-", True, True),
    (">&- 2>&-", False, False),
    ("<&- >&- 2>&-", False, False),
])
def test_what_is_printed_to_a_closed_stream_goes_nowhere_and_into_no_file(tmp_path, closed, stdout, stderr):
    path = tmp_path / "file"
    program = PROGRAM.format(root=REPOSITORY, path=str(path))
    done = subprocess.run(["bash", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, program],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr
    assert path.read_text() == "kept"
    assert done.stdout == (b"to stdout\n" if stdout else b"")
    assert done.stderr == (b"native code\nto stderr\n" if stderr else b"")
