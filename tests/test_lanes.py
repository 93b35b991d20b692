"""Which interpreter `.ci/lane` takes, and how it makes an environment, here with a pip that installs nothing: the real
one takes minutes and is shown by every run of these tests."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import threading

import pytest

SCRIPT = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), ".ci", "lane")
MINE = "tf1" if sys.version_info < (3, 8) else "tf2"
OTHER = "tf2" if MINE == "tf1" else "tf1"
VERSION = "{}.{}".format(*sys.version_info[:2])

pytestmark = pytest.mark.skipif(
    MINE == "tf1" and platform.machine().lower() not in ("x86_64", "amd64"), reason="TensorFlow 1.15 is x86-64 alone")


INSTALLER = """#!/bin/sh
case "$*" in
    *ensurepip*) echo "$0" ;;
    "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
    *"pip --disable"*) echo "$*" >> "{pip}"; [ ! -e "{pip}.fails" ] || {{ echo no network; exit 1; }} ;;
    *masf.pth*|*"import tensorflow"*) ;;
    *) exec "{python}" "$@" ;;
esac
"""


class Machine:
    """A machine with the tools of a shell, and with those interpreters that a test puts there."""

    def __init__(self, folder):
        self.tools, self.path, self.home = folder / "tools", folder / "bin with space", folder / "home"
        for each in (self.tools, self.path, self.home):
            each.mkdir()
        for tool in ("sh", "dirname", "tr", "cat", "cksum", "sed", "cp", "cut", "date", "du", "env", "grep", "mkdir",
                     "mv", "ps", "rm", "tail"):
            (self.tools / tool).symlink_to(shutil.which(tool))
        self.envs = folder / "environments"
        self.pip = folder / "pip.txt"  # what pip was asked for

    def add_installer(self):
        """Put there an interpreter whose environments are fakes, and a clock that runs twenty times as fast."""
        self.path.joinpath("python" + VERSION).write_text(INSTALLER.format(python=sys.executable, pip=self.pip))
        self.path.joinpath("python" + VERSION).chmod(0o755)
        self.tools.joinpath("sleep").write_text("#!/bin/sh\nexec {} 0.05\n".format(shutil.which("sleep")))
        self.tools.joinpath("sleep").chmod(0o755)

    def set_up(self, *part):
        return self.lane("setup", MINE, *part, ENVS=str(self.envs))

    def lock(self, owner):
        """Have ``owner`` at work on the environment."""
        lock = self.envs / (MINE + ".lock")
        lock.mkdir(parents=True)
        (lock / "owner").write_text(owner + "\n")

    def add(self, path, python=sys.executable):
        """Put an interpreter at ``path``."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'#!/bin/sh\nexec "{python}" "$@"\n')
        path.chmod(0o755)

    def add_shim(self, path):
        """Put there what refuses to run, as pyenv's shims do when their version is not chosen."""
        path.write_text("#!/bin/sh\necho 'pyenv: command not found' >&2\nexit 127\n")
        path.chmod(0o755)

    def lane(self, *arguments, **environ):
        """(exit code, standard output, standard error) of the script on this machine."""
        environ = dict({"PATH": f"{self.path}:{self.tools}", "HOME": str(self.home)}, **environ)
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
    assert f"lane {OTHER}: found no working Python" in errors


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


def test_an_environment_for_runs_has_no_test_tools_and_the_tests_add_theirs_to_it(machine):
    machine.add_installer()
    code, _, told = machine.set_up()
    assert code == 0, told
    needed = (machine.envs / MINE / "needs-run.txt").read_text()
    assert "tensorflow" in needed and "tqdm" in needed and "esdk-obs-python" in needed
    assert not any(tool in needed for tool in ("pytest", "moto", "ruff", "flask"))
    asked = machine.pip.read_text().count("\n")
    code, _, told = machine.set_up("tests")
    assert code == 0, told
    added = (machine.envs / MINE / "needs-tests.txt").read_text()
    assert "tensorflow" not in added
    # Some tests skip if a package is missing.
    assert all(tool in added for tool in ("pytest", "ruff", "matplotlib", "mlflow", "onnxruntime"))
    assert machine.pip.read_text().count("\n") == asked + 1  # the environment itself was not made again
    assert "setting up" not in told
    for part in ([], ["tests"]):
        assert machine.set_up(*part)[2] == ""


def test_setting_up_tells_the_download_beforehand_and_how_long_it_took_last(machine):
    machine.add_installer()
    _, _, told = machine.set_up()
    assert re.search(r"setting up .*: downloads about \d+ MB, .* on the disk\n", told), told
    assert "ready after" in told
    (machine.envs / MINE / "complete-run").write_text("of another time")
    (machine.envs / (MINE + "-run.seconds")).write_text("77")
    assert "; last time it took 77 s\n" in machine.set_up()[2]


def test_what_a_long_installation_is_at_is_told_now_and_then(machine):
    machine.add_installer()
    installer = machine.path / ("python" + VERSION)
    slow = 'echo "Collecting tensorflow"; {} 1.5; echo "$*" >>'.format(shutil.which("sleep"))
    installer.write_text(installer.read_text().replace('echo "$*" >>', slow))
    _, _, told = machine.set_up()
    assert re.search(r"\d+ s, \d+ MB in place: Collecting tensorflow", told), told


def test_an_installation_that_fails_shows_its_end_and_leaves_no_lock(machine):
    machine.add_installer()
    (machine.pip.parent / (machine.pip.name + ".fails")).write_text("")
    code, _, told = machine.set_up()
    assert code == 2
    assert "no network\n" in told and "the installation failed" in told
    assert not (machine.envs / (MINE + ".lock")).exists()


@pytest.mark.parametrize("place", ["/proc", "/proc/environments"])
@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs a folder that nobody can write, root included")
def test_where_environments_cannot_be_written_it_says_at_once_what_make_takes(machine, place):
    machine.add_installer()
    code, _, told = machine.lane("setup", MINE, ENVS=place)
    assert code == 2
    assert place + " cannot be written" in told and "ENVS=" in told and "RESULTS=" in told
    assert "mkdir" not in told


def since(process):
    """When it started, as Linux counts."""
    with open(f"/proc/{process}/stat") as stream:
        return stream.read().rpartition(")")[2].split()[19]


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="reads Linux' own list of processes")
def test_a_lock_is_waited_for_while_its_owner_lives_and_taken_over_then(machine):
    machine.add_installer()
    owner = subprocess.Popen([shutil.which("sleep"), "2"])
    machine.lock(f"{owner.pid} {since(owner.pid)}")
    threading.Thread(target=owner.wait).start()
    code, _, told = machine.set_up()
    assert code == 0
    assert f"waiting for process {owner.pid}, which is making it" in told and "ready after" in told
    assert owner.poll() is not None
    assert not (machine.envs / (MINE + ".lock")).exists()


@pytest.mark.parametrize("others", ["{pid} 1", "{pid}", "999999999 1"])
def test_a_lock_whose_process_number_is_somebody_elses_by_now_is_taken_over(machine, others):
    machine.add_installer()
    machine.lock(others.format(pid=os.getpid()))
    code, _, told = machine.set_up()
    assert code == 0 and "waiting" not in told, told


def test_several_set_ups_at_once_make_one_environment(machine):
    machine.add_installer()
    machine.lock("999999999 1")
    results = []
    threads = [threading.Thread(target=lambda: results.append(machine.set_up())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [code for code, _, _ in results] == [0] * 4
    assert sum("setting up" in told for _, _, told in results) == 1, results


@pytest.mark.skipif(not shutil.which("make"), reason="there is no make here")
@pytest.mark.parametrize("text", ["$(shell touch {0})", "$$(touch {0})", "$(touch {0})", "`touch {0}`", "; touch {0}"])
@pytest.mark.parametrize("target, names", [
    ("dry-run", "LANE SET PACS_ROOT FAULTS TESTS STRAY GIVEN MAKEFILE_LIST"), ("test", "LANE TESTS SET NONSENSE"),
    ("help", "LANE SET MAKEFILE_LIST")])
def test_no_value_given_to_make_is_evaluated(tmp_path, target, names, text):
    trace = tmp_path / "trace"
    values = dict.fromkeys(names.split(), text.format(trace))
    if target == "dry-run":
        values["UNKNOWN"] = "1"  # ends before anything is set up, as an unknown lane does
    words = [f"{name}={value}" for name, value in values.items()]
    done = subprocess.run(
        ["make", "-C", os.path.dirname(os.path.dirname(SCRIPT)), target] + words,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert (done.returncode == 0) == (target == "help")
    assert not trace.exists(), done.stdout
