"""Which interpreter `.ci/lane` takes. Making an environment takes minutes and is shown by every run of these tests."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys

import pytest

SCRIPT = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), ".ci", "lane")
MINE = "tf1" if sys.version_info < (3, 8) else "tf2"
OTHER = "tf2" if MINE == "tf1" else "tf1"
VERSION = "{}.{}".format(*sys.version_info[:2])

pytestmark = pytest.mark.skipif(
    MINE == "tf1" and platform.machine().lower() not in ("x86_64", "amd64"), reason="TensorFlow 1.15 is x86-64 alone")


class Machine:
    """A machine with the tools of a shell, and with those interpreters that a test puts there."""

    def __init__(self, folder):
        self.tools, self.path, self.home = folder / "tools", folder / "bin with space", folder / "home"
        for each in (self.tools, self.path, self.home):
            each.mkdir()
        for tool in ("sh", "dirname", "tr", "cat", "cksum", "sed"):
            (self.tools / tool).symlink_to(shutil.which(tool))

    def add(self, path, python=sys.executable):
        """Put an interpreter at ``path``."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('#!/bin/sh\nexec "{}" "$@"\n'.format(python))
        path.chmod(0o755)

    def add_shim(self, path):
        """Put there what refuses to run, as pyenv's shims do when their version is not chosen."""
        path.write_text("#!/bin/sh\necho 'pyenv: command not found' >&2\nexit 127\n")
        path.chmod(0o755)

    def lane(self, *arguments, **environ):
        """(exit code, standard output, standard error) of the script on this machine."""
        environ = dict({"PATH": "{}:{}".format(self.path, self.tools), "HOME": str(self.home)}, **environ)
        done = subprocess.run([SCRIPT] + list(arguments), env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              universal_newlines=True, timeout=60)
        return done.returncode, done.stdout.strip(), done.stderr


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def is_mine(python):
    """Whether ``python`` is of the version that runs these tests."""
    told = subprocess.check_output([python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"])
    return told.decode().strip() == VERSION


@pytest.mark.parametrize("name", ["python" + VERSION, "python3", "python"])
def test_an_interpreter_on_the_path_is_found_by_any_usual_name(machine, name):
    machine.add(machine.path / name)
    code, python, errors = machine.lane("find", MINE)
    assert code == 0, errors
    assert is_mine(python)


def test_one_that_refuses_to_run_is_passed_over(machine):
    machine.add_shim(machine.path / ("python" + VERSION))
    machine.add(machine.path / "python3")
    code, python, errors = machine.lane("find", MINE)
    assert code == 0, errors
    assert is_mine(python)


@pytest.mark.parametrize("root", ["PYENV_ROOT", None])
def test_a_version_of_pyenv_is_found_without_being_on_the_path(machine, root):
    home = machine.home / ("elsewhere" if root else ".pyenv")
    machine.add(home / "versions" / (VERSION + ".3") / "bin" / "python")
    code, python, errors = machine.lane("find", MINE, **({root: str(home)} if root else {}))
    assert code == 0, errors
    assert is_mine(python)


def test_an_interpreter_of_another_version_is_not_taken(machine):
    machine.add(machine.path / "python3")
    code, python, errors = machine.lane("find", OTHER)
    assert (code, python) == (2, "")
    assert "lane {}: found no working Python".format(OTHER) in errors


def test_without_any_interpreter_it_says_which_are_wanted(machine):
    code, _, errors = machine.lane("find", "tf2")
    assert code == 2
    assert "3.12 3.11 3.10 3.9" in errors


def test_an_environment_is_made_from_the_interpreter_behind_another_environment(machine):
    machine.add(machine.path / "python3")
    _, python, _ = machine.lane("find", MINE)
    told = subprocess.check_output([python, "-c", "import sys; print(sys.prefix == sys.base_prefix)"])
    assert told.decode().strip() == "True"


def test_the_lane_can_be_chosen(machine):
    assert machine.lane("pick", LANE="tf2")[:2] == (0, "tf2")
    assert machine.lane("pick", LANE="tf1")[:2] == (0, "tf1")


def test_an_unknown_lane_is_refused(machine):
    for arguments, environ in ((["pick"], {"LANE": "tf3"}), (["find", "tf3"], {}), (["setup", "tf3"], {})):
        code, _, errors = machine.lane(*arguments, **environ)
        assert code == 2
        assert "unknown lane 'tf3': expected tf1 or tf2" in errors


def test_an_unknown_command_prints_the_usage(machine):
    code, _, errors = machine.lane("frobnicate")
    assert code == 2
    assert ".ci/lane pick" in errors
