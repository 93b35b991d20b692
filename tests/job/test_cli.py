"""The command line: quick help, one clear message for a mistake, exit codes."""

from __future__ import annotations

import io
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import types

import pytest

from job import cli
from masf_core.errors import DataError

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def python(*arguments, **options):
    """Run Python on ``arguments`` as a process of its own: (exit code, standard output, standard error)."""
    options.setdefault("cwd", REPOSITORY)
    done = subprocess.run([sys.executable] + list(arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          universal_newlines=True, timeout=120, **options)
    return done.returncode, done.stdout, done.stderr


# -- help

def test_the_overview_lists_every_command(capsys):
    assert cli.main(["--help"]) == 0
    told = capsys.readouterr().out
    for name, command in cli.COMMANDS.items():
        assert f"{name:<16} {command.summary}" in told


def test_without_a_command_the_overview_is_a_usage_error(capsys):
    assert cli.main([]) == 2
    assert "usage: python -m job COMMAND" in capsys.readouterr().out


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_every_command_explains_itself_with_examples(name, capsys):
    assert cli.main([name, "--help"]) == 0
    told = capsys.readouterr().out
    assert "examples:" in told
    assert f"python -m job {name}" in told


def test_the_help_of_run_lists_the_settings(capsys):
    cli.main(["run", "--help"])
    assert "--meta_batch_size=126" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["config"], ["dry-run", "--help"]])
def test_help_and_configuration_bring_no_heavy_package(arguments):
    program = (f"import sys\nfrom job.cli import main\nmain({arguments!r})\n"
               "heavy = set(sys.modules) & {'tensorflow', 'numpy', 'PIL', 'obs', 'tqdm'}\n"
               "sys.exit(len(heavy) and 'imported: ' + ', '.join(heavy))")
    code, _, errors = python("-c", program)
    assert code == 0, errors


# -- mistakes

@pytest.mark.parametrize("arguments, told", [
    (["rum"], "unknown command 'rum'; did you mean 'run'? (python -m job --help lists them)"),
    (["run", "--sed=1"], "unknown flag --sed; did you mean --seed?"),
    (["dry-run", "--set", "seed"], "--set seed: expected name=value"),
    (["make-miniature", "x", "--images_per_class=1"], "--images_per_class=1: expected at least 2"),
    (["make-miniature", os.curdir], ". exists and is not an empty folder; choose another"),
    (["show"], "the following arguments are required: RUN"),
    (["show", "a", "b"], "unrecognized arguments: b"),
])
def test_a_mistake_is_one_message_and_exit_code_2(arguments, told, capsys):
    assert cli.main(arguments) == 2
    captured = capsys.readouterr()
    assert told in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


def failing(error):
    """A command that ends with ``error``."""
    def main(args, console):
        raise error
    return types.SimpleNamespace(__doc__="Fail.", EXAMPLES="  none", add_arguments=lambda parser: None, main=main)


def run_failing(monkeypatch, error):
    monkeypatch.setitem(sys.modules, "failing_command", failing(error))
    monkeypatch.setitem(cli.COMMANDS, "fail", cli.Command("failing_command", "fails"))
    return cli.main(["fail"])


def test_an_error_of_the_data_ends_with_its_code_and_no_trace(monkeypatch, capsys):
    assert run_failing(monkeypatch, DataError("lists/a.txt, line 3: label 9")) == 3
    told = capsys.readouterr().err
    assert told.endswith("error: lists/a.txt, line 3: label 9\n")
    assert "Traceback" not in told


def test_an_unexpected_error_shows_where_it_happened(monkeypatch, capsys):
    assert run_failing(monkeypatch, KeyError("x")) == 1
    told = capsys.readouterr().err
    assert "error: unexpected KeyError: 'x'" in told
    assert "Traceback" in told and "in main" in told


def test_what_is_logged_after_a_command_goes_where_it_went_before(monkeypatch, capsys, caplog):
    """A server's thread, say, that outlives a command of this process, when the command's stream is closed already."""
    levels = {name: logging.getLogger(name).level for name in (None, "job", "masf_core", "obs_sync")}
    with io.StringIO() as stream, monkeypatch.context() as during:
        during.setattr(sys, "stderr", stream)
        during.setattr(
            cli, "_run", lambda argv, console: console.set_log_level("error") or cli.log.error("within") or 4)
        assert cli.main(["config"]) == 4
        assert "error: within" in stream.getvalue()
    logging.getLogger("obs_sync.mock.http.server").warning("after")
    assert [record.getMessage() for record in caplog.records] == ["after"]
    assert "Logging error" not in capsys.readouterr().err
    assert levels == {name: logging.getLogger(name).level for name in levels}


def test_a_command_can_choose_its_exit_code(monkeypatch):
    command = failing(None)
    command.main = lambda args, console: 5
    monkeypatch.setitem(sys.modules, "failing_command", command)
    monkeypatch.setitem(cli.COMMANDS, "fail", cli.Command("failing_command", "fails"))
    assert cli.main(["fail"]) == 5


# -- commands

def test_config_prints_the_resolved_configuration(capsys, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("margin: 3\n")
    assert cli.main(["config", f"--config={path}", "--seed=4", "--num_gpus=1"]) == 0
    captured = capsys.readouterr()
    lines = {line.split("#")[0].strip(): line.partition("# ")[2] for line in captured.out.splitlines()}
    assert lines["margin: 3.0"] == f"{path}, line 1"
    assert lines["seed: 4"] == "--seed=4"
    assert lines["train_iterations: 300"] == ""
    assert "ignored flags of the platform, which are not settings of this job: --num_gpus=1" in captured.err


def test_a_run_is_opened_before_tensorflow_is_loaded():
    """So that whatever keeps it from being opened is told at once."""
    program = "import sys\nimport job.run, job.ranks.group\nsys.exit('tensorflow' in sys.modules)"
    assert python("-c", program) == (0, "", "")


def test_what_reads_a_run_needs_no_tensorflow(tmp_path):
    run = {"format": 1, "state": "finished", "lineage": "0", "config": {}, "attempts": []}
    (tmp_path / "run.json").write_text(json.dumps(run))
    program = ("import sys\nfrom job.cli import main\nimport job.reports.report, job.publication.restore\n"
               f"code = main(['show', {str(tmp_path)!r}])\n"
               "sys.exit('tensorflow was imported' if 'tensorflow' in sys.modules else code)")
    code, out, errors = python("-c", program)
    assert code == 0, errors
    assert "run.json" in out and "no interval has been completed" in out


def test_make_miniature_draws_the_images_asked_for(tmp_path, capsys):
    folder = tmp_path / "pacs"
    assert cli.main(["make-miniature", str(folder), "--images_per_class=2"]) == 0
    images = [name for _, _, names in os.walk(str(folder)) for name in names if name.endswith((".png", ".jpg"))]
    assert len(images) == 4 * 7 * 2
    assert capsys.readouterr().out == f"{folder}\n"


def test_a_file_of_the_code_folder_is_called_by_its_short_name(tmp_path):
    code, out, errors = python(
        "-m", "job", "config", "--config=" + os.path.join(REPOSITORY, "configs", "dry_run.yaml"), cwd=str(tmp_path),
        env=dict(os.environ, PYTHONPATH=REPOSITORY))
    assert code == 0, errors
    assert "# configs/dry_run.yaml, line " in out and REPOSITORY not in out
    assert max(len(line) for line in out.splitlines()) <= 80


# -- the boot file

INTERRUPTED = """
import runpy, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "job.cli":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Finder())
runpy.{}(run_name="__main__")
"""


@pytest.mark.parametrize("start", ["run_path('boot_modelarts.py', ", "run_module('job', "])
def test_an_interrupt_while_it_imports_is_no_stack_trace(start):
    code, out, errors = python("-c", INTERRUPTED.replace("{}(", start))
    assert (code, out, errors) == (130, "", "")


def test_the_boot_file_is_the_run_command_from_any_folder(tmp_path):
    code, out, errors = python(os.path.join(REPOSITORY, "boot_modelarts.py"), "--help", cwd=str(tmp_path))
    assert code == 0, errors
    assert out.startswith("usage: python -m job run")


def test_the_boot_file_ends_with_the_code_of_the_job(tmp_path):
    code, _, errors = python(os.path.join(REPOSITORY, "boot_modelarts.py"), "--margin=wide", cwd=str(tmp_path))
    assert code == 2
    assert "--margin=wide: margin cannot be 'wide'; expected a number, at least 0" in errors
    assert "Traceback" not in errors


def test_the_boot_file_finds_its_packages_even_when_python_is_told_not_to_look_beside_it(tmp_path):
    """As when the platform loads the file with a launcher of its own."""
    boot = os.path.join(REPOSITORY, "boot_modelarts.py")
    program = f"import runpy, sys; sys.argv = ['boot', '--help']; runpy.run_path({boot!r}, run_name='__main__')"
    code, out, errors = python("-c", program, cwd=str(tmp_path))
    assert code == 0, errors
    assert "usage: python -m job run" in out


def test_the_boot_file_does_nothing_when_it_is_imported(tmp_path):
    shutil.copy(os.path.join(REPOSITORY, "boot_modelarts.py"), str(tmp_path))
    code, out, errors = python("-c", "import boot_modelarts", cwd=str(tmp_path))
    assert (code, out, errors) == (0, "", "")


# -- an output that nobody reads to its end

@pytest.mark.parametrize("arguments, code", [
    (["--help"], 0), (["run", "--help"], 0), (["config"], 0),
    (["doctor", "--data_url=/nope", "--weights_path=none"], 6)])
def test_a_command_ends_quietly_when_nobody_reads_on(tmp_path, arguments, code):
    errors = tmp_path / "errors"
    reading, writing = os.pipe()
    os.close(reading)  # as `head` does when it has had enough
    with open(str(errors), "wb") as stream:
        done = subprocess.run([sys.executable, "-m", "job"] + arguments, stdout=writing, stderr=stream, cwd=REPOSITORY,
                              timeout=120)
    os.close(writing)
    told = errors.read_text()
    assert done.returncode in (code, 128 + signal.SIGPIPE), told  # what is told at once, and what is told bit by bit
    assert "Traceback" not in told and "BrokenPipe" not in told, told
