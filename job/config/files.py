"""Read a configuration file: YAML, flat or in the groups of ``config``, every value as it is written.

A file may also have a part ``submit``, with options of `python -m job submit`; a run checks its keys and no more.

The file is read as nodes, not as values: text keeps its spelling (YAML would make ``1e-5`` a string and ``no`` False),
and every message can name the line.
"""

from __future__ import annotations

import os
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Tuple

from job.config.foreign_flags import unknown
from job.config.settings import GROUPS, settings
from job.config.submit_options import PART, options
from job.errors import ConfigError, NoSuchFolder

NULL_TAG = "tag:yaml.org,2002:null"
SCALAR, SEQUENCE, MAPPING = "scalar", "sequence", "mapping"  # kinds of YAML nodes


class Given(NamedTuple):
    """A value that somebody gave, before it is converted."""

    value: Any  # a text, a list of texts, or None
    where: str  # names its place in messages: a file with its line, or a flag


def find_config_file(name: str, folders: Iterable[str]) -> str:
    """The path of the file called ``name``, below the first of ``folders`` that has it.

    Raises:
        NoSuchFolder: none has it.
    """
    # Two folders may be the same one, and an absolute name is below none of them.
    tried = list({os.path.abspath(path): path for path in (os.path.join(folder, name) for folder in folders)}.values())
    for path in tried:
        if os.path.isfile(path):
            return path
    raise NoSuchFolder(f"--config={name}: there is no such file; looked for {' and '.join(tried)}")


def read_config_file(path: str, shown: Optional[str] = None) -> Tuple[Dict[str, Given], List[str]]:
    """Read the settings in a file.

    Args:
        path: of the file. shown: how messages call it; ``path`` by default.

    Returns:
        (name → what is given for it, problems: one sentence each).

    Raises:
        ConfigError: the file cannot be read or is not a mapping in YAML.
    """
    reader = _read(path, shown)
    return reader.given, reader.problems


def read_submit_part(path: str, shown: Optional[str] = None) -> Dict[str, Given]:
    """What the part ``submit`` of a file says: option → what is given for it. Raises as ``read_config_file``."""
    return _read(path, shown).options


def _read(path: str, shown: Optional[str]) -> _Reader:
    shown = shown or path
    root = compose_file(path, shown)
    reader = _Reader(shown)
    if root is None:
        return reader
    if root.id != MAPPING:
        raise ConfigError(f"{shown}: expected lines of the form `name: value`")
    reader.read(root, group=None)
    return reader


def compose_file(path: str, shown: str) -> Any:
    """The root node of a YAML file that messages call ``shown``; None of an empty file. A node's ``id`` is its kind.

    Raises:
        ConfigError: the file cannot be read or is not YAML.
    """
    import yaml  # not needed by runs that are configured with flags alone

    try:
        with open(path, encoding="utf-8-sig") as stream:
            return yaml.compose(stream.read(), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error  # without the path, which stands in front
        raise ConfigError(f"{shown}: cannot be read: {reason}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f", line {mark.line + 1}"
        problem = getattr(error, "problem", None) or " ".join(str(error).split())
        raise ConfigError(f"{shown}{where}: not YAML: {problem}") from error
    except RecursionError:  # YAML can be read only as deep as Python's stack
        raise ConfigError(f"{shown}: nests too deep; expected settings, flat or in one level of groups") from None


def read_settings(root: Any, shown: str) -> Tuple[Dict[str, Given], List[str]]:
    """The settings in a mapping node of a YAML file that messages call ``shown``, and problems: one sentence each."""
    reader = _Reader(shown)
    reader.read(root, group=None)
    return reader.given, reader.problems


def read_options(root: Any, shown: str) -> Tuple[Dict[str, Given], List[str]]:
    """The options of submit in a mapping node, as ``read_settings``."""
    reader = _Reader(shown)
    reader.read(root, group=PART)
    return reader.options, reader.problems


class _Reader:
    """Walks the nodes of one file."""

    def __init__(self, path: str) -> None:
        self.given: Dict[str, Given] = {}
        self.options: Dict[str, Given] = {}  # of the part `submit`
        self.problems: List[str] = []
        self._path = path

    def read(self, mapping: Any, group: Any) -> None:
        """Take the settings of one mapping: the file itself (``group`` None) or one of its groups."""
        for key_node, value_node in mapping.value:
            where = f"{self._path}, line {key_node.start_mark.line + 1}"
            key = key_node.value
            if not isinstance(key, str):
                self.problems.append(f"{where}: expected a name before the colon")
            elif group is None and (key in GROUPS or key == PART):
                self._read_group(key, value_node, where)
            elif group == PART:
                self._read_option(key, value_node, where)
            elif key not in settings():
                self.problems.append(unknown(f"{where}: unknown key {key!r}", key, settings()))
            elif group is not None and settings()[key].group != group:
                self.problems.append(f"{where}: {key} belongs to the group {settings()[key].group}, not {group}")
            else:
                self._read_value(key, value_node, where, self.given)

    def _read_option(self, key: str, node: Any, where: str) -> None:
        if key not in options():
            belongs = " (it is a setting, which belongs outside the part submit)" if key in settings() else ""
            self.problems.append(unknown(f"{where}: unknown key {key!r} of submit{belongs}", key, options()))
        else:
            self._read_value(key, node, where, self.options)

    def _read_group(self, name: str, node: Any, where: str) -> None:
        if node.id == MAPPING:
            self.read(node, name)
        elif node.tag != NULL_TAG:
            self.problems.append(f"{where}: {name} is a group; expected settings below it, indented")

    def _read_value(self, name: str, node: Any, where: str, given: Dict[str, Given]) -> None:
        if name in given:
            self.problems.append(f"{where}: {name} is given a second time, after {given[name].where}")
            return
        if node.id == SCALAR:
            value = None if node.tag == NULL_TAG else node.value
        elif node.id == SEQUENCE and all(each.id == SCALAR for each in node.value):
            value = [each.value for each in node.value]
        else:
            self.problems.append(f"{where}: {name}: expected one value, not a structure")
            return
        given[name] = Given(value, where)
