"""What the pages say is so: links, commands, names of tests, settings; and translations have the same structure."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys

import pytest

from job.cli import COMMANDS
from job.config.page import settings_page
from tests import documentation_checks as checks

PAGES = checks.pages()
RULES = [checks.link_breaches, checks.path_breaches, checks.named_test_breaches, checks.command_breaches,
         checks.length_breaches, checks.opening_breaches]
TRANSLATED = {"README.md": "README.zh-CN.md"}
TRANSLATED.update((f"docs/{name}.md", f"docs/zh/{name}.md") for name in ("submit", "data", "results", "errors"))


@pytest.mark.parametrize("rule", RULES, ids=[rule.__name__ for rule in RULES])
def test_the_pages_keep_the_rule(rule):
    assert [breach for path, text in PAGES.items() for breach in rule(path, text)] == []


@pytest.mark.parametrize("path, translation", TRANSLATED.items(), ids=list(TRANSLATED))
def test_a_translation_has_the_structure_of_its_page(path, translation):
    assert checks.translation_breaches(path, PAGES[path], PAGES[translation]) == []


@pytest.mark.parametrize("path, translation", TRANSLATED.items(), ids=list(TRANSLATED))
def test_a_page_and_its_translation_link_to_each_other(path, translation):
    assert f"]({os.path.relpath(translation, os.path.dirname(path))})" in PAGES[path]
    assert f"]({os.path.relpath(path, os.path.dirname(translation))})" in PAGES[translation]


def test_the_page_of_settings_is_what_the_code_says():
    assert PAGES["docs/settings.md"] == settings_page(), "run: python -m job config --markdown > docs/settings.md"


def test_the_readme_leads_to_every_page():
    assert [path for path in PAGES if re.match(r"docs/\w+\.md", path) and f"]({path})" not in PAGES["README.md"]] == []


def test_the_changelog_tells_of_this_version():
    with open(os.path.join(checks.ROOT, "pyproject.toml"), encoding="utf-8") as stream:
        version = re.search(r'^version = "(.+)"$', stream.read(), re.M).group(1)
    assert f"\n## {version}" in PAGES["CHANGELOG.md"]


def test_the_pages_show_enough_to_be_checked():
    shown = [command for text in PAGES.values() for command in checks.commands(text)]
    assert len(shown) > 60 and {command.words[0] for command in shown} >= {"make", "job", "obs_sync.mock"}
    assert sum(command.words[0] == "make" for command in shown) > 4
    assert len(re.findall(r"`test_\w+::test_\w+`", PAGES["docs/storage.md"])) > 25


def block(line):
    return f"```sh\n{line}\n```\n"


# -- what they show

EXAMPLES = [(f"{path}:{line}", text) for path, page in PAGES.items() for line, text in checks.blocks(page, "python")]


@pytest.mark.parametrize("text", [text for _, text in EXAMPLES], ids=[name for name, _ in EXAMPLES])
def test_a_python_example_runs(text, tmp_path):
    done = subprocess.run([sys.executable, "-c", text], cwd=str(tmp_path), env=dict(os.environ, PYTHONPATH=checks.ROOT),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=100)
    assert done.returncode == 0, done.stdout


def test_the_example_of_the_mocked_obs_is_among_those_that_run():
    assert any("mock_obs" in text for _, text in EXAMPLES)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_examples_in_a_command_s_help_are_right(name):
    told = importlib.import_module(COMMANDS[name].module).EXAMPLES
    shown = block("\n".join(row.strip() for row in told.splitlines() if row.strip().startswith(("python ", "make "))))
    assert checks.command_breaches("help", shown) == []
    assert ["job", name] in [command.words[:2] for command in checks.commands(shown)]


# -- the rules


@pytest.mark.parametrize("rule, path, text", [
    (checks.link_breaches, "docs/a.md", "[page](no_such_page.md)"),
    (checks.link_breaches, "docs/a.md", "[page](data.md#no-such-heading)"),
    (checks.link_breaches, "README.md", "# A\n[here](#b)"),
    (checks.link_breaches, "docs/zh/a.md", "[page](data.md)\n[page](../no_such_page.md)"),
    (checks.path_breaches, "docs/a.md", "see `job/no_such_module.py`"),
    (checks.path_breaches, "docs/a.md", "see `configs/no_such/`"),
    (checks.named_test_breaches, "docs/a.md", "`test_documentation::test_that_nobody_wrote`"),
    (checks.named_test_breaches, "docs/a.md", "`test_lanes::test_the_readme_leads_to_every_page`"),
    (checks.command_breaches, "docs/a.md", block("python -m job trian --seed=3")),
    (checks.command_breaches, "docs/a.md", block("python -m job run --sede=3")),
    (checks.command_breaches, "docs/a.md", block("python -m job parity --devices=cpu")),
    (checks.command_breaches, "docs/a.md", block("python -m job sync pull a b --excluded=x")),
    (checks.command_breaches, "docs/a.md", block("python -m job launch --processes 8 -- run --sede=3")),
    (checks.command_breaches, "docs/a.md", block("python -m job run --seed=three")),
    (checks.command_breaches, "docs/a.md", block("python -m job run --seed=3 \\\n  --no_such_setting=1")),
    (checks.command_breaches, "docs/a.md", block("python -m job run --config=configs/no_such.yaml")),
    (checks.command_breaches, "docs/a.md", block("python -m job run bare")),
    (checks.command_breaches, "docs/a.md", block("python -m job sync pull obs://b/c/")),
    (checks.command_breaches, "docs/a.md", block("python -m job sync gc obs://b/c/ --older-than soon")),
    (checks.command_breaches, "docs/a.md", block("python -m job show obs://b/c --pages | head")),
    (checks.command_breaches, "docs/a.md", block("python -m job parity tests/golden/no_such.json")),
    (checks.command_breaches, "docs/a.md", block("python -m job launch --processes 2 -- bench --iteration 99")),
    (checks.command_breaches, "docs/a.md", block("python -m job dry-run --set no_such_setting=1")),
    (checks.command_breaches, "docs/a.md", block("OMP_NUM_THREADS=1 taskset -c 1 python -m job train")),
    (checks.command_breaches, "docs/a.md", "say `python -m job check-graph\n--precision=float33`"),
    (checks.command_breaches, "docs/a.md", "say `.venv/tf1/bin/python -m job no-such-command`"),
    (checks.command_breaches, "docs/a.md", block("python -m obs_sync.mock serve --buckets data")),
    (checks.command_breaches, "docs/a.md", block('python -m obs_sync.mock serve --fault "GetObject nth=3"')),
    (checks.command_breaches, "docs/a.md", block("python -m benchmarks.no_such")),
    (checks.command_breaches, "docs/a.md", block("make dry-urn")),
    (checks.command_breaches, "docs/a.md", block("make dry-run FAULT=storm")),
    (checks.command_breaches, "docs/a.md", block("make dry-run FAULTS=strom")),
    (checks.command_breaches, "docs/a.md", block('make dry-run SET="seed=3 no_such_setting=1"')),
    (checks.command_breaches, "docs/a.md", block("make test LANE=tf3")),
    (checks.command_breaches, "docs/a.md", "say `make dry-run CONFIG=configs/no_such.yaml`"),
    (checks.length_breaches, "README.md", "\n" * 131),
    (checks.opening_breaches, "docs/a.md", "# A page\n\nThis page is about pages.\n"),
])
def test_a_breach_of_the_rule_is_found(rule, path, text):
    assert len(rule(path, text)) == 1


@pytest.mark.parametrize("rule, path, text", [
    (checks.link_breaches, "docs/a.md", "[page](data.md#list-files) [site](https://example.com/) `[no](link)`"),
    (checks.link_breaches, "README.zh-CN.md", "## 两条命令\n[此处](#两条命令)"),
    (checks.path_breaches, "docs/a.md", "`tests/golden/*.json`, `boot_modelarts.py`, `checkpoints/best.json`"),
    (checks.named_test_breaches, "docs/a.md", "`test_documentation::test_the_readme_leads_to_every_page`"),
    (checks.command_breaches, "docs/a.md", block("python -m job run --config FILE --seed 3 --data_url=… …  # so")),
    (checks.command_breaches, "docs/a.md", "`python -m job COMMAND --help`, `python -m job show`, `python -m b.…`"),
    (checks.command_breaches, "docs/a.md", block("ls && pip install x")),
])
def test_what_keeps_the_rule_is_left_alone(rule, path, text):
    assert rule(path, text) == []


@pytest.mark.parametrize("translation", [
    "## 一\n",
    "# 一\n\n| a | b |\n",
    "# 一\n\n| a |\n\n" + block("python -m job run --seed=3"),
    "# 一\n\n| a |\n\n" + block("make test"),
    "# 一\n\n| a |\n\n" + block("make test") + "```python\nprint(2)\n```\n",
    "# 一\n\n| a |\n\n" + block("make test") + "```python\nprint(1)\n```\n## 二\n",
])
def test_a_translation_of_another_structure_is_found(translation):
    page = "# One\n\n| a |\n\n" + block("make test  # all") + "```python\nprint(1)\n```\n"
    assert checks.translation_breaches("a.md", page, page.replace("# all", "# 全部")) == []
    assert len(checks.translation_breaches("a.md", page, translation)) == 1
