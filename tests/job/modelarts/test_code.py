"""What a job needs is uploaded once, whole, and nothing else is."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from job.errors import ConfigError, NoSuchFolder
from job.modelarts import code as module
from job.modelarts.code import BOOT_FILE, MARKER, MOST_FILES, collect_code, upload_code
from obs_sync import LocalStore
from tests.test_architecture import PACKAGES, sources
from tests.test_house import imported_modules, module_of


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A small project in the place of this one, with files beside it that are nobody's business."""
    for path, text in {
        "boot_modelarts.py": "boot", "job/__init__.py": "", "job/cli.py": "cli", "job/modelarts/service.py": "laptop",
        "job/.env": "OBS_SECRET_ACCESS_KEY=x", "job/notes.txt": "x", "job/__pycache__/cli.cpython-37.pyc": "x",
        "job/.hidden.py": "x", "job/credentials.json": "x", "masf_core/model.py": "model",
        "masf_core/devices/ascend/cann_ops.json": "{}", "obs_sync/store.py": "store", "obs_sync/mock/mocked.py": "mock",
        "tests/test_x.py": "x", ".git/config": "x", ".env": "x", "configs/pacs.yaml": "seed: 1",
        "configs/table3/local.yaml": "seed: 2", "configs/notes.md": "x", "docs/a.md": "x", "setup.py": "x",
    }.items():
        place = tmp_path / "project" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    monkeypatch.setattr(module, "CODE_FOLDER", str(tmp_path / "project"))
    monkeypatch.setattr(module, "CONFIG_HOME", str(tmp_path / "project"))
    return tmp_path / "project"


@pytest.fixture
def store(tmp_path):
    (tmp_path / "bucket").mkdir()
    return LocalStore(str(tmp_path / "bucket"))


def keys(store):
    return sorted(info.key for info in store.list())


NEEDED = ["boot_modelarts.py", "configs/pacs.yaml", "configs/table3/local.yaml", "job/__init__.py", "job/cli.py",
          "masf_core/devices/ascend/cann_ops.json", "masf_core/model.py", "obs_sync/store.py"]


def test_exactly_what_a_job_needs_is_uploaded(checkout, store):
    assert upload_code(store, collect_code())
    assert keys(store) == sorted(NEEDED + [MARKER])
    assert store.read("job/cli.py") == b"cli"


def test_every_module_that_the_boot_file_can_reach_is_uploaded():
    """Followed through the imports of this project, those inside functions as well."""
    texts = dict(sources(*PACKAGES))
    known = {module_of(path): path for path in texts}
    reached, waiting = set(), ["boot_modelarts", "job.commands.run"]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            parents = [name.rpartition(".")[0]] if "." in name else []
            waiting += parents + [target for _, target, _ in imported_modules(texts[known[name]], known)]
    sent = {each.key for each in collect_code().files}
    assert len(reached) > 150
    assert sorted(known[name] for name in reached if known[name] not in sent) == []


def test_the_code_of_this_project_fits_and_holds_nothing_else():
    files = collect_code().files
    assert 250 < len(files) < MOST_FILES
    assert {each.key.split("/")[0] for each in files} == {BOOT_FILE, "configs", "job", "masf_core", "obs_sync"}
    assert not [each.key for each in files if "mock" in each.key.split("/") or "modelarts" in each.key.split("/")]


def test_the_uploaded_code_runs_from_its_own_folder(tmp_path):
    store = LocalStore(str(tmp_path))
    upload_code(store, collect_code())
    done = subprocess.run([sys.executable, str(tmp_path / "boot_modelarts.py"), "--config=configs/no_such.yaml"],
                          cwd="/", env={"PATH": os.environ["PATH"]}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True)
    assert done.returncode == 4 and str(tmp_path / "configs") in done.stdout, done.stdout


def test_the_same_code_is_not_sent_twice(checkout, store):
    upload_code(store, collect_code())
    assert not upload_code(store, collect_code())


def test_other_code_has_another_folder(checkout):
    before = collect_code().folder
    (checkout / "job" / "cli.py").write_text("changed")
    changed = collect_code().folder
    (checkout / "job" / "cli.py").rename(checkout / "job" / "renamed.py")
    assert len({before, changed, collect_code().folder}) == 3


@pytest.mark.parametrize("lost", [MARKER, "job/cli.py"])
def test_a_folder_that_is_not_whole_is_completed(checkout, store, lost):
    upload_code(store, collect_code())
    store.delete([lost])
    assert upload_code(store, collect_code())
    assert keys(store) == sorted(NEEDED + [MARKER])


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": "masf-code/1", "files": {}}'])
def test_a_damaged_marker_counts_as_none(checkout, store, content):
    upload_code(store, collect_code())
    store.write(MARKER, content)
    assert upload_code(store, collect_code())
    assert not upload_code(store, collect_code())


def test_files_that_would_become_part_of_the_code_are_refused(checkout, store):
    store.write("job/another.py", b"")
    with pytest.raises(ConfigError, match="holds 1 file that would become part of the job's code: job/another.py"):
        upload_code(store, collect_code())
    assert keys(store) == ["job/another.py"]


def test_a_file_that_changes_after_the_code_was_collected_stops_the_upload(checkout, store):
    code = collect_code()
    path = checkout / "job" / "cli.py"
    path.write_bytes(path.read_bytes() + b"# changed\n")
    with pytest.raises(ConfigError, match="job/cli.py changed while the code was being collected; submit again"):
        upload_code(store, code)
    assert keys(store) == []


def test_the_marker_is_written_last(checkout, store, monkeypatch):
    written = []
    upload, write = LocalStore.upload, LocalStore.write
    monkeypatch.setattr(LocalStore, "upload", lambda self, path, key, *rest: (
        written.append(key), upload(self, path, key, *rest))[1])
    monkeypatch.setattr(LocalStore, "write", lambda self, key, data: (written.append(key), write(self, key, data))[1])
    upload_code(store, collect_code())
    assert written[-1] == MARKER and sorted(written[:-1]) == NEEDED


def test_a_secret_in_a_file_is_refused_and_not_shown(checkout):
    (checkout / "job" / "cli.py").write_text("KEY = 'the-secret'")
    with pytest.raises(ConfigError, match="cli.py holds a secret of the access key") as caught:
        collect_code(secrets=["", "KEY", "the-secret"])
    assert "the-secret" not in str(caught.value)


def test_too_many_files_are_refused(checkout, monkeypatch):
    monkeypatch.setattr(module, "MOST_FILES", 8)  # the marker is one more
    with pytest.raises(ConfigError, match="has 8 files; ModelArts takes at most 8"):
        collect_code()


def test_requirements_lie_beside_the_boot_file(checkout, tmp_path):
    (tmp_path / "mine.txt").write_text("Pillow>=6\n")
    assert "pip-requirements.txt" in {each.key for each in collect_code(str(tmp_path / "mine.txt")).files}


@pytest.mark.parametrize("text, error, told", [
    ("--index-url https://me:password@pypi.example.com/\n", ConfigError, "holds a URL with a password"),
    (None, NoSuchFolder, "there is no such file"),
    ("a folder", ConfigError, "this is a folder; expected a file that lists packages for pip"),
])
def test_requirements_that_cannot_be_sent_are_told(checkout, tmp_path, text, error, told):
    if text == "a folder":
        (tmp_path / "mine.txt").mkdir()
    elif text is not None:
        (tmp_path / "mine.txt").write_text(text)
    with pytest.raises(error, match=told):
        collect_code(str(tmp_path / "mine.txt"))
