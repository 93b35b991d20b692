"""What the documentation test looks for in a page: a function each, which returns the breaches it found.

Every function takes the page's path below the repository and its text, so that a planted breach needs no file.
"""

from __future__ import annotations

import argparse
import contextlib
import glob
import importlib
import importlib.util
import io
import os
import re
import shlex
from typing import Any, Dict, Iterator, List, NamedTuple, Tuple

from job.cli import COMMANDS
from job.config.settings import settings
from obs_sync.mock import __main__ as mock_program
from obs_sync.mock import FaultError
from obs_sync.mock.faults.text import parse_rules

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDERS = ("", "docs", "docs/zh", "benchmarks", "obs_sync", "tests/golden")
LONGEST_README = 130  # lines
OPENINGS = ("After reading this page you", "读完本页")
_FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.M | re.S)
_SPAN = re.compile(r"`([^`]+)`")
_OUR_PATH = re.compile(r"(?:configs|tests|benchmarks|docs|job|masf_core|obs_sync|\.ci)/[\w./*-]*")
_PLACEHOLDER = re.compile(r"…|^[A-Z_]+$")


class Command(NamedTuple):
    """line: where the command stands. mentioned: in the middle of a sentence, where arguments may be left out."""

    line: int
    words: List[str]
    mentioned: bool


def pages() -> Dict[str, str]:
    """Path → text of every page."""
    found = {}
    for folder in FOLDERS:
        for path in sorted(glob.glob(os.path.join(ROOT, folder, "*.md"))):
            with open(path, encoding="utf-8") as stream:
                found[os.path.relpath(path, ROOT).replace(os.sep, "/")] = stream.read()
    return found


def blocks(text: str, language: str) -> Iterator[Tuple[int, str]]:
    """(line, content) of the fenced blocks in a language."""
    for match in _FENCE.finditer(text):
        if match.group(1) == language:
            yield text.count("\n", 0, match.start()) + 2, match.group(2)


def prose(text: str) -> str:
    """The page with its fenced blocks blanked, on the same lines."""
    return _FENCE.sub(lambda match: "\n" * match.group(0).count("\n"), text)


def spans(text: str) -> Iterator[Tuple[int, str]]:
    """(line, content) of every `code` in sentences and tables."""
    outside = prose(text)
    for match in _SPAN.finditer(outside):
        yield outside.count("\n", 0, match.start()) + 1, " ".join(match.group(1).split())


def headings(text: str) -> List[Tuple[int, str]]:
    """(level, title) of every heading."""
    return [(len(match.group(1)), match.group(2)) for match in re.finditer(r"^(#+) +(.+?) *$", prose(text), re.M)]


def anchor(title: str) -> str:
    """The anchor that GitHub and Gitee give a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def link_breaches(path: str, text: str) -> List[str]:
    """Links to a page, a file or a heading that is not there."""
    found = []
    for target in re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", _SPAN.sub("", prose(text))):
        if target.startswith(("http://", "https://")):
            continue
        name, _, heading = target.partition("#")
        there = os.path.normpath(os.path.join(ROOT, os.path.dirname(path), name)) if name else os.path.join(ROOT, path)
        if not os.path.exists(there):
            found.append(f"{path}: the link {target} leads nowhere")
        elif heading:
            content = text
            if name:
                with open(there, encoding="utf-8") as stream:
                    content = stream.read()
            if heading not in [anchor(title) for _, title in headings(content)]:
                found.append(f"{path}: the link {target} names a heading that is not there")
    return found


def path_breaches(path: str, text: str) -> List[str]:
    """Files and folders of this repository, named in `code`, that do not exist."""
    return [f"{path}:{line}: there is no {span}" for line, span in spans(text)
            if _OUR_PATH.fullmatch(span) and not glob.glob(os.path.join(ROOT, span))]


def named_test_breaches(path: str, text: str) -> List[str]:
    """Tests named as `module::function` that are not below tests/."""
    found = []
    for module, function in re.findall(r"`(?:[\w./]*/)?(test_\w+)::(test_\w+)`", text):
        having = [name for name, content in _test_files().items() if f"def {function}(" in content]
        if module + ".py" not in [os.path.basename(name) for name in having]:
            found.append(f"{path}: there is no test {module}::{function}"
                         + (f"; {function} is in {', '.join(having)}" if having else ""))
    return found


_TEST_FILES: Dict[str, str] = {}


def _test_files() -> Dict[str, str]:
    """Path → text of every test file, read once."""
    if not _TEST_FILES:
        for directory, _, names in os.walk(os.path.join(ROOT, "tests")):
            for name in names:
                if name.startswith("test_") and name.endswith(".py"):
                    with open(os.path.join(directory, name), encoding="utf-8") as stream:
                        _TEST_FILES[os.path.relpath(os.path.join(directory, name), ROOT)] = stream.read()
    return _TEST_FILES


def commands(text: str) -> Iterator[Command]:
    """The commands of ours that a page shows, in blocks and in sentences."""
    for start, block in blocks(text, "sh"):
        line, joined = start, ""
        for row in block.splitlines():
            joined += row.strip()
            if joined.endswith("\\"):
                joined = joined[:-1] + " "
                continue
            for words in _parts(shlex.split(joined, comments=True)):
                yield Command(line, words, mentioned=False)
            line, joined = line + 1, ""
    for line, span in spans(text):
        if re.match(r"(make|(\S*/)?python) ", span):
            for words in _parts(shlex.split(span)):
                yield Command(line, words, mentioned=True)


def _parts(words: List[str]) -> Iterator[List[str]]:
    """The commands of a line: ``make …``, or what stands behind ``python -m``."""
    parts: List[List[str]] = [[]]
    for word in words:
        if word in ("|", "&&", ";", ">"):
            parts.append([])
        else:
            parts[-1].append(word)
    for part in parts:
        if part[:1] == ["make"]:
            yield part
        for index, word in enumerate(part[:-2]):
            if os.path.basename(word).startswith("python") and part[index + 1] == "-m":
                yield part[index + 2:]
                break


def command_breaches(path: str, text: str) -> List[str]:
    """Commands that the program shown would refuse: no such command, flag, setting, value, target or file."""
    found = []
    for line, words, mentioned in commands(text):
        problems = [f"there is no {word}" for word in words
                    if _OUR_PATH.fullmatch(word) and not glob.glob(os.path.join(ROOT, word))
                    and word != "docs/settings.md"]
        if words[0] == "make":
            problems += _make_problems(words[1:])
        elif words[0] == "job":
            problems += _job_problems(words[1:], mentioned)
        elif words[0] == "obs_sync.mock":
            problems += _parsed(mock_program._parser(), words[1:])[1]
        elif not _PLACEHOLDER.search(words[0]) and importlib.util.find_spec(words[0]) is None:
            problems.append(f"there is no module {words[0]}")
        found += [f"{path}:{line}: {' '.join(words)}: {problem}" for problem in problems]
    return found


def _job_problems(words: List[str], mentioned: bool) -> List[str]:
    """What ``python -m job`` would refuse."""
    if not words or words[0].startswith("-") or _PLACEHOLDER.search(words[0]) or words[1:] == ["--help"]:
        return []
    name, rest = words[0], [word for word in words[1:] if word != "…"]
    if name not in COMMANDS:
        return [f"there is no command {name}"]
    if mentioned and not rest:
        return []
    command: Any = importlib.import_module(COMMANDS[name].module)
    parser = argparse.ArgumentParser(allow_abbrev=False)
    command.add_arguments(parser)
    args, problems = _parsed(parser, rest, known=getattr(command, "TAKES_SETTINGS", False))
    if args is None:
        return problems
    if name == "launch":
        return _job_problems([word for word in args.words if word != "--"], mentioned=False)
    if name == "dry-run":
        return [problem for group in args.settings for item in group for problem in _setting_problems(item)]
    return problems


def _parsed(parser: argparse.ArgumentParser, words: List[str], known: bool = False) -> Tuple[Any, List[str]]:
    """(arguments, problems); with ``known``, words that the parser does not know have to be settings."""
    complaint, rest = io.StringIO(), []
    try:
        with contextlib.redirect_stderr(complaint), contextlib.redirect_stdout(io.StringIO()):
            if not known:
                return parser.parse_args(words), []
            args, rest = parser.parse_known_args(words)
    except SystemExit as leaving:
        return None, [complaint.getvalue().strip().splitlines()[-1]] if leaving.code else []
    problems = []
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            problems.append(f"{word} is no flag")
        elif "=" in word or not rest:
            problems += _setting_problems(word[2:])
        else:
            problems += _setting_problems(f"{word[2:]}={rest.pop(0)}")
    return args, problems


def _setting_problems(text: str) -> List[str]:
    """What is wrong with ``name=value``."""
    name, equals, value = text.partition("=")
    name = name.replace("-", "_")
    if not equals:
        return [f"{name} has no value"]
    if name == "config":
        missing = not _PLACEHOLDER.search(value) and not os.path.isfile(os.path.join(ROOT, value))
        return [f"there is no {value}"] if missing else []
    if name not in settings():
        return [f"there is no setting {name}"]
    try:
        if not _PLACEHOLDER.search(value):
            settings()[name].kind.convert(value)
    except ValueError:
        return [f"{name} cannot be {value}"]
    return []


def _make_problems(words: List[str]) -> List[str]:
    """What ``make`` would refuse, or not heed."""
    targets = [word for word in words if "=" not in word]
    takes, known = _makefile()
    problems = [f"there is no target {target}" for target in targets if target not in known]
    for name, _, value in (word.partition("=") for word in words if "=" in word):
        if name != "LANE" and not any(name in takes.get(target, ()) for target in targets):
            problems.append(f"{' '.join(targets)} takes no {name}")
        elif _PLACEHOLDER.search(value):
            continue
        elif name == "LANE" and value not in ("tf1", "tf2"):
            problems.append(f"there is no lane {value}")
        elif name == "SET":
            problems += [problem for item in value.split() for problem in _setting_problems(item)]
        elif name == "CONFIG":
            problems += _setting_problems(f"config={value}")
        elif name == "FAULTS":
            try:
                parse_rules(value)
            except FaultError as error:
                problems.append(str(error))
    return problems


def _makefile() -> Tuple[Dict[str, List[str]], List[str]]:
    """(target → variables that its help names, all targets)."""
    with open(os.path.join(ROOT, "Makefile"), encoding="utf-8") as stream:
        text = stream.read()
    takes: Dict[str, List[str]] = {}
    target = ""
    for row in re.findall(r'^\t@echo "(.*)"$', text, re.M):
        heading = re.match(r"make ([a-z-]+) also takes", row)
        if heading:
            target = heading.group(1)
        elif target:
            takes.setdefault(target, []).extend(re.findall(r"\b([A-Z_]{3,})=", row))
    return takes, re.findall(r"^([a-z-]+):", text, re.M)


def structure(text: str) -> List[str]:
    """What a page and its translation have in common: headings by level, tables by rows, commands, programs."""
    rows: List[str] = []
    for row in prose(text).splitlines():
        if re.match(r"#+ ", row):
            rows.append(f"heading {row.split()[0]}")
        elif row.lstrip(" >").startswith("|"):
            rows.append(f"row of {len(re.sub(r'`[^`]*`', '', row).strip(' >|').split('|'))} cells")
    rows += [f"command {' '.join(words)}" for _, words, mentioned in commands(text) if not mentioned]
    rows += [f"program {block}" for _, block in blocks(text, "python")]
    return rows


def translation_breaches(path: str, text: str, translation: str) -> List[str]:
    """Where a translation has other headings, tables, commands or programs than the page."""
    ours, theirs = structure(text), structure(translation)
    for number, (one, other) in enumerate(zip(ours + ["the end"], theirs + ["the end"])):
        if one != other:
            before = f" (after {number} that agree)"
            return [f"{path} has '{one}' where its translation has '{other}'{before}"]
    return [] if len(ours) == len(theirs) else [f"{path} and its translation differ in length"]


def length_breaches(path: str, text: str) -> List[str]:
    """A README that is no longer a screen or two."""
    lines = text.count("\n")
    return [f"{path} has {lines} lines"] if path.startswith("README") and lines > LONGEST_README else []


def opening_breaches(path: str, text: str) -> List[str]:
    """Pages of docs/ that do not begin with what one can do after reading them."""
    first = [row for row in text.splitlines() if row][:3]
    opens = any(row.startswith(OPENINGS) for row in first)
    return [] if opens or not path.startswith("docs/") else [f"{path} does not open with what it is good for"]
