"""`pip install .` elsewhere: what the wheel holds works without the checkout, from any folder."""
from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile

import pytest

from job.modelarts.code import collect_code
from tests.end_to_end.conftest import ROOT

OURS = ("boot_modelarts.py", "pyproject.toml", "job", "masf_core", "obs_sync", "configs", "tests/golden")
# Builds what pip would, without asking an index for what builds it.
BUILD = "import setuptools.build_meta as backend, sys; print(backend.build_wheel(sys.argv[1]))"


def files_below(folder, pattern):
    """Paths of the files below a folder of the repository that end so, relative to it."""
    return {os.path.relpath(os.path.join(directory, name), os.path.join(ROOT, folder)).replace(os.sep, "/")
            for directory, _, names in os.walk(os.path.join(ROOT, folder)) for name in names if name.endswith(pattern)}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder that holds what the wheel installs."""
    pytest.importorskip("setuptools", minversion="62.3")
    source, place = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    for name in OURS:
        copy = shutil.copytree if os.path.isdir(os.path.join(ROOT, name)) else shutil.copy
        os.makedirs(os.path.dirname(str(source / name)), exist_ok=True)
        copy(os.path.join(ROOT, name), str(source / name))
    done = subprocess.run([sys.executable, "-c", BUILD, str(place)], cwd=str(source), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, universal_newlines=True)
    assert done.returncode == 0, done.stdout
    (wheel,) = place.glob("*.whl")
    with zipfile.ZipFile(str(wheel)) as packed:
        packed.extractall(str(place))
    return place


def python(installed, cwd, *arguments):
    """(exit code, what was printed) of Python in a folder without the checkout."""
    done = subprocess.run([sys.executable] + list(arguments), cwd=str(cwd),
                          env=dict(os.environ, PYTHONPATH=str(installed)),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    return done.returncode, done.stdout


def test_every_module_configuration_and_case_travels(installed):
    for package in ("job", "masf_core", "obs_sync"):
        assert files_below(package, ".py") == {
            path.relative_to(installed / package).as_posix() for path in (installed / package).rglob("*.py")}
    assert files_below("configs", ".yaml") == {
        path.relative_to(installed / "job" / "configs").as_posix() for path in installed.rglob("*.yaml")}
    assert files_below("tests/golden", ".json") == {path.name for path in (installed / "job" / "golden").iterdir()}
    assert not (installed / "tests").exists() and not (installed / "configs").exists()


def test_configurations_are_found_by_the_names_that_the_documents_use(installed, tmp_path):
    code, printed = python(installed, tmp_path, "-m", "job", "config", "--config=configs/table3/local.yaml")
    assert code == 0 and "# configs/table3/local.yaml, line " in printed, printed


def test_parity_takes_the_cases_that_come_with_it(installed, tmp_path):
    program = "from job.shipped import parity_cases as p; print(*p(), sep='\\n')"
    code, printed = python(installed, tmp_path, "-c", program)
    assert code == 0
    assert [os.path.basename(path) for path in printed.split("\n")[:-1]] == sorted(files_below("tests/golden", ".json"))
    assert all(path.startswith(str(installed)) for path in printed.split("\n")[:-1])


def test_the_installed_package_submits_the_same_code_as_the_checkout(installed, tmp_path):
    program = "from job.modelarts.code import collect_code as c; print(c().digest, *[each.key for each in c().files])"
    code, printed = python(installed, tmp_path, "-c", program)
    assert code == 0, printed
    ours = collect_code()
    assert printed.split() == [ours.digest] + [each.key for each in ours.files]


def test_every_command_explains_itself(installed, tmp_path):
    told = "import sys; from job.cli import COMMANDS, main; sys.exit(any(main([name, '--help']) for name in COMMANDS))"
    code, printed = python(installed, tmp_path, "-c", told)
    assert code == 0 and "python -m job parity" in printed, printed


@pytest.mark.slow
def test_a_dry_run_works(installed, tmp_path, source):
    code, printed = python(
        installed, tmp_path, "-m", "job", "dry-run", "--pacs_root", str(source / "images"), "--set", "width=0.02",
        "train_iterations=1", "test_print_interval=1", "meta_batch_size=3")
    assert code == 0 and "interval 1/1" in printed, printed
    assert f"/{collect_code().folder}/" in printed, printed  # what the installed package has uploaded
    assert (tmp_path / "dry-run" / "bucket").is_dir()
