"""What the documents show works: their Python runs, and their commands have the flags that they are given."""
from __future__ import annotations

import argparse
import importlib
import os
import re
import shlex
import subprocess
import sys

import pytest

from job.cli import COMMANDS
from job.config.settings import settings

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def documents():
    """Paths, relative to the repository, of the documents for users and of those beside the code."""
    found = [name for name in sorted(os.listdir(ROOT)) if name.endswith(".md")]
    for folder in ("docs", "obs_sync", "benchmarks", os.path.join("tests", "golden")):
        for directory, _, names in os.walk(os.path.join(ROOT, folder)):
            found += sorted(os.path.relpath(os.path.join(directory, name), ROOT) for name in names
                            if name.endswith(".md") and name not in ("RESULTS.md", "remarks.md"))
    return found


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as stream:
        return stream.read()


def python_examples():
    """(name, text) of every Python block."""
    for path in documents():
        for found in re.finditer(r"^```python\n(.*?)^```", read(path), re.MULTILINE | re.DOTALL):
            yield "{}:{}".format(path, read(path)[:found.start()].count("\n") + 2), found.group(1)


def shown_commands():
    """(where, words) of every `python -m job …` and `make …` in the documents and in the commands' own help."""
    texts = [(path, read(path)) for path in documents()]
    texts += [(name, "```sh\n{}\n```".format(importlib.import_module(command.module).EXAMPLES))
              for name, command in COMMANDS.items()]
    for where, text in texts:
        blocks = re.findall(r"^```(?:sh)?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        lines = [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
        lines += [" ".join(span.split()) for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", re.sub(
            r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))]
        for line in lines:
            if re.match(r"(python -m job|make) [a-z]", line):
                yield where, shlex.split(line, comments=True)


class Flags(argparse.ArgumentParser):
    """Collects the names of a command's flags."""

    def names(self):
        return {name for action in self._actions for name in action.option_strings}


def mistakes(words):
    """What a shown command has that nothing takes."""
    if words[0] == "make":
        targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
        variables = set(re.findall(r"^\t@echo \"  ([A-Z_]+)=", read("Makefile"), re.MULTILINE)) | {"LANE", "FAULT_SEED"}
        given = dict(word.split("=", 1) for word in words[1:] if "=" in word)
        return ([word for word in words[1:] if "=" not in word and word not in targets and "…" not in word]
                + [name for name in given if name not in variables]
                + [item for item in shlex.split(given.get("SET", "")) if item.partition("=")[0] not in settings()])
    name = words[3]
    if name not in COMMANDS:
        return [name]
    command = importlib.import_module(COMMANDS[name].module)
    parser = Flags()
    command.add_arguments(parser)
    known = parser.names() | set(subcommand_flags(parser))
    if getattr(command, "TAKES_SETTINGS", False):
        known |= {"--" + each for each in settings()} | {"--config"}
    own, _, rest = " ".join(words[4:]).partition(" -- ")
    found = [word for word in re.findall(r"(?:^| )(--[a-z_-]+)", own) if word not in known]
    return found + (mistakes(["python", "-m", "job"] + rest.split()) if rest.startswith("run ") else [])


def subcommand_flags(parser):
    """The flags of a parser's subcommands, such as those of sync."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                for one in each._actions:
                    yield from one.option_strings


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in python_examples()])
def test_a_python_example_runs(text, tmp_path):
    done = subprocess.run([sys.executable, "-c", text], cwd=str(tmp_path), env=dict(os.environ, PYTHONPATH=ROOT),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=100)
    assert done.returncode == 0, done.stdout


def test_the_example_of_the_mocked_obs_is_among_those_that_run():
    assert any("mock_obs" in text for _, text in python_examples())


def test_every_shown_command_has_flags_that_it_takes():
    shown = list(shown_commands())
    assert {words[3] for _, words in shown if words[0] == "python"} == set(COMMANDS)
    assert len([words for _, words in shown if words[0] == "make"]) > 4
    wrong = [(where, " ".join(words), mistakes(words)) for where, words in shown if mistakes(words)]
    assert not wrong, wrong


@pytest.mark.parametrize("line, wrong", [
    ("make dry-run FAULT=storm", ["FAULT"]), ("make dry-runs", ["dry-runs"]),
    ("make dry-run SET='widht=1'", ["widht=1"]),
    ("python -m job run --seeds=3", ["--seeds"]), ("python -m job parity --devices=cpu", ["--devices"]),
    ("python -m job trian", ["trian"]), ("python -m job sync pull a b --excluded=x", ["--excluded"]),
    ("python -m job launch --processes 8 -- run --sede=3", ["--sede"])])
def test_a_mistake_in_a_shown_command_is_seen(line, wrong):
    assert mistakes(shlex.split(line)) == wrong
