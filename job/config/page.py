"""The page docs/settings.md: every setting with its default, its values and its meaning, as Markdown."""

from __future__ import annotations

from typing import Any, List

from job.config.settings import GROUPS, Setting, settings

OPENING = """\
# Settings

After reading this page you know every setting: its name, its default, the values it takes, and what it does.

This page is generated: `python -m job config --markdown > docs/settings.md`. Do not edit it.

Each setting is a flag, `--name=value`, and a key of a YAML file that `--config` names, as those in `configs/`. A flag
overrides the file, and the file overrides the default. `python -m job config` prints the values that a command line
resolves to, and where each comes from; `python -m job run --help` explains all settings in the terminal.

- An unknown flag, an unknown key and a bad value are errors that name what was expected.
- **run**: a run is not resumed under another value of this setting, because its result would change.
- **published**: users know this name from the published parameters of the port; it stays.

More about them: [data](data.md), [method](method.md), [Ascend](ascend.md), [ranks](ranks.md), [results](results.md).
"""


def settings_page() -> str:
    """The whole page."""
    lines = [OPENING]
    for group, group_class in GROUPS.items():
        lines += [f"## {group[0].upper()}{group[1:]}", "", (group_class.__doc__ or "").strip(), "",
                  "| setting | default | values | meaning | |", "|-|-|-|-|-|"]
        lines += [_row(each) for each in settings().values() if each.group == group] + [""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _row(each: Setting) -> str:
    marks: List[str] = [mark for mark, applies in (
        ("run", each.affects_result), ("published", each.published)) if applies]
    cells = [f"`{each.name}`", _default(each.default), each.kind.expected, each.help, ", ".join(marks)]
    return f"| {' | '.join(_cell(cell) for cell in cells)} |"


def _default(value: Any) -> str:
    """The default as a flag gives it."""
    if value is None or value == ():
        return "–"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _cell(text: str) -> str:
    """Text that ends no cell of a table."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
