"""Where a configuration comes from, and the forms it is kept in.

Defaults, then the YAML file, then flags: the later counts. Every problem is collected before anything is said.
"""

from __future__ import annotations

import logging
import os
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from job.config.files import Given, find_config_file, read_config_file
from job.config.flags import read_flags, unknown_flag
from job.config.foreign_flags import unknown
from job.config.given_values import cut_blanks, refused_output, secret_in_url
from job.config.settings import GROUPS, Config, config_of, contradictions, settings, values_of
from job.errors import ConfigError, NoSuchFolder
from job.shipped import CONFIG_HOME

__all__ = ["ConfigError", "Loaded", "differences", "from_dict", "load_config", "replace_settings",
           "result_settings", "settings_help", "to_dict", "to_yaml", "warn_of_unknown"]

log = logging.getLogger(__name__)

DEFAULT = "default"
IN_RUN = "config in run.json"


class Loaded(NamedTuple):
    """provenance: name → where its value comes from."""

    config: Config
    provenance: Dict[str, str]


def load_config(arguments: Sequence[str], fallback: Optional[Mapping[str, Tuple[str, str]]] = None,
                tolerant: bool = False) -> Loaded:
    """Resolve the configuration of a command line. Flags of the platform are logged, and have no effect.

    Args:
        arguments: flags, ``--config=FILE`` among them. The file is looked for in the present folder and then in the
            folder of the code, because the platform starts the job elsewhere.
        fallback: name → (value, where): what the platform says in other ways, used where nobody gave a value.
        tolerant: an unknown flag is left to ``warn_of_unknown``: inside ModelArts it may be the platform's, of a
            release that this code does not know.

    Raises:
        ConfigError: every unknown key and flag, bad value and contradiction.
    """
    flags = read_flags(arguments)
    problems = list(flags.problems)
    if not tolerant:
        problems += [unknown_flag(words) for words in flags.unknown]
    in_file: Dict[str, Given] = {}
    absent = None
    if flags.config_file is not None:
        try:
            path = find_config_file(flags.config_file, [os.curdir, CONFIG_HOME])
            in_file, file_problems = read_config_file(path, shown_path(path))
            problems += file_problems
        except ConfigError as error:
            absent = error if isinstance(error, NoSuchFolder) else None
            problems += error.problems
    platform_says = {name: Given(*said) for name, said in (fallback or {}).items()}
    values: Dict[str, Any] = {}
    provenance = dict.fromkeys(settings(), DEFAULT)
    sources = (platform_says, in_file, flags.given)
    secrets = [told for source in sources for name, given in source.items()
               for told in [secret_in_url(name, given.value)] if told]
    if secrets:  # before any other message can show the value
        raise ConfigError(secrets)
    for source in map(cut_blanks, sources):
        converted, bad = _convert(source)
        problems += bad
        values.update(converted)
        provenance.update((name, source[name].where) for name in converted)
    elsewhere = refused_output(values.get("train_url"))
    if absent is not None and problems == absent.problems:  # nothing else is wrong: it keeps its exit code
        raise absent
    config = _checked(values, problems if elsewhere is None else problems + [elsewhere])
    if flags.platform:
        log.info("ignored flags of the platform, which are not settings of this job: %s", " ".join(flags.platform))
    return Loaded(config, provenance)


def warn_of_unknown(arguments: Sequence[str]) -> None:
    """Say which flags have no effect: at the beginning of a log, and again at its end, where people look."""
    strange = read_flags(arguments).unknown
    if strange:
        log.warning("unknown flags have no effect: %s. `python -m job run --help` lists the settings",
                    " ".join(strange))


def shown_path(path: str) -> str:
    """The shortest of a file's names that --config takes: absolute, from here, or from the folder of the code."""
    names = [os.path.normpath(path)]
    if not os.path.relpath(path).startswith(os.pardir):
        names.append(os.path.relpath(path))
    in_code = os.path.relpath(path, CONFIG_HOME)
    if not in_code.startswith(os.pardir) and not os.path.exists(in_code):  # not to be taken for one that is here
        names.append(in_code)
    return min(names, key=len)


def replace_settings(config: Config, **values: Any) -> Config:
    """``config`` with other values of some settings, checked like any.

    Raises:
        ConfigError: unknown setting, bad value, contradiction.
    """
    given, problems = _known({name: Given(value, name) for name, value in values.items()})
    converted, bad = _convert(given)
    return _checked(dict(values_of(config), **converted), problems + bad)


def _known(given: Mapping[str, Given]) -> Tuple[Dict[str, Given], List[str]]:
    strange = [name for name in given if name not in settings()]
    return ({name: each for name, each in given.items() if name in settings()},
            [unknown(f"unknown setting {name!r}", name, settings()) for name in strange])


def _convert(given: Mapping[str, Given]) -> Tuple[Dict[str, Any], List[str]]:
    """Values of their settings' kinds, and a sentence for each that is not."""
    values, problems = {}, []
    for name, (value, where) in given.items():
        try:
            values[name] = settings()[name].kind.convert(value)
        except ValueError:
            problems.append(f"{where}: {name} cannot be {value!r}; expected {settings()[name].kind.expected}")
    return values, problems


def _checked(values: Mapping[str, Any], problems: List[str]) -> Config:
    config = config_of(values)
    # A bad value has been left out, so contradictions with the default in its place would only mislead.
    problems = problems or contradictions(config)
    if problems:
        raise ConfigError(problems)
    return config


def to_dict(config: Config) -> Dict[str, Dict[str, Any]]:
    """Group → setting → value, of types that JSON has."""
    groups: Dict[str, Dict[str, Any]] = {group: {} for group in GROUPS}
    for name, value in values_of(config).items():
        groups[settings()[name].group][name] = list(value) if isinstance(value, tuple) else value
    return groups


def from_dict(groups: Mapping[str, Mapping[str, Any]]) -> Config:
    """The configuration that ``to_dict`` gave and run.json holds. A setting that is newer gets its default.

    Raises:
        ConfigError: unknown setting, bad value, contradiction.
    """
    given = {name: Given(value, IN_RUN) for group in groups.values() for name, value in group.items()}
    known, strange = _known(given)
    values, bad = _convert(known)
    problems = [f"{IN_RUN}: {each}" for each in strange] + bad
    if problems:
        problems[-1] += ". Use the version of the job that wrote this run.json, or give another --run_name"
    return _checked(values, problems)


def result_settings(config: Config) -> Dict[str, Any]:
    """Name → value of the settings that change what comes out of training."""
    return {name: value for name, value in values_of(config).items() if settings()[name].affects_result}


def differences(before: Config, now: Config) -> List[Tuple[str, Any, Any]]:
    """(name, value before, value now) of every setting that makes one run another."""
    after = result_settings(now)
    return [(name, value, after[name]) for name, value in result_settings(before).items() if value != after[name]]


def to_yaml(config: Config, provenance: Optional[Mapping[str, str]] = None) -> str:
    """A file that resolves to ``config``, each value with where it came from if ``provenance`` is given."""
    import yaml

    lines = []
    for group, leaves in to_dict(config).items():
        lines.append(f"{group}:")
        for name, value in leaves.items():
            dumped = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=float("inf"))
            line = "  {}: {}".format(name, dumped.replace("\n...\n", "\n").strip())
            where = (provenance or {}).get(name, DEFAULT)
            lines.append(line if where == DEFAULT else f"{line:<44}  # {where}")
    return "\n".join(lines) + "\n"


def _as_given(value: Any) -> str:
    """How a flag gives ``value``."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        return " ".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def settings_help() -> str:
    """Every setting with its default, meaning and values, group by group."""
    lines = ["settings, each --name=value or a line of a YAML file given with --config=FILE:"]
    for group, group_class in GROUPS.items():
        lines += ["", "{}: {}".format(group, (group_class.__doc__ or "").strip())]
        for name, each in settings().items():
            if each.group == group:
                lines.append(f"  --{name}={_as_given(each.default)}")
                lines.append(f"      {each.help} ({each.kind.expected})")
    return "\n".join(lines)
