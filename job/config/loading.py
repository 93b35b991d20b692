"""Resolve a configuration from its sources, and convert it to and from the forms in which it is saved.

The sources are defaults, then what the platform says, then the YAML file, then flags; a later one overrides an earlier
one. All problems are collected, so that one error names every one of them.
"""

from __future__ import annotations

import logging
import os
import shutil
import textwrap
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from job.config.contradictions import contradictions
from job.config.files import Given, find_config_file, read_config_file
from job.config.flags import read_flags, unknown_flag
from job.config.foreign_flags import unknown
from job.config.given_values import cut_blanks, refused_output, secret_in_url
from job.config.settings import GROUPS, Config, config_of, settings, values_of
from job.errors import ConfigError, NoSuchFolder
from job.shipped import CONFIG_HOME
from obs_sync.errors import InvalidUrl

__all__ = ["ConfigError", "Loaded", "differences", "from_dict", "load_config", "replace_settings",
           "resolve", "result_settings", "settings_help", "to_dict", "to_yaml", "warn_of_unknown", "yaml_of"]

log = logging.getLogger(__name__)

DEFAULT = "default"
IN_RUN = "config in run.json"


class Loaded(NamedTuple):
    """A configuration, and where it comes from."""

    config: Config
    provenance: Dict[str, str]  # name of a setting → where its value comes from


def load_config(arguments: Sequence[str], fallback: Optional[Mapping[str, Tuple[str, str]]] = None,
                tolerant: bool = False, base: Optional[Config] = None) -> Loaded:
    """Resolve the configuration of a command line. Flags of the platform are logged, and have no effect.

    Args:
        arguments: flags, which may include ``--config=FILE``. The file is looked for in the current directory and then
            in the folder of the code, because the platform starts the job in another directory.
        fallback: name → (value, where), as the platform's environment variables say. They count if neither the file
            nor a flag gives a value.
        tolerant: do not refuse unknown flags, of which ``warn_of_unknown`` warns. Inside ModelArts such a flag may be
            the platform's, of a release that this code does not know.
        base: the configuration of a run, which counts instead of the defaults.

    Raises:
        ConfigError: names every unknown key and flag, bad value and contradiction. NoSuchFolder: the only problem is
            that there is no file FILE.
    """
    flags = read_flags(arguments)
    problems = list(flags.problems)
    if not tolerant:
        problems += [unknown_flag(words) for words in flags.unknown]
    in_file, file_problems, absent = _read_file_of(flags.config_file)
    problems += file_problems
    platform_says = {name: Given(*said) for name, said in (fallback or {}).items()}
    sources = (platform_says, in_file, flags.given)
    _refuse_secrets(sources)  # before any other message can show a value
    values, provenance, bad = _resolve(sources)
    problems += bad
    elsewhere = refused_output(values.get("train_url"))
    if elsewhere is not None:
        problems.append(elsewhere)
    if absent is not None and problems == absent.problems:  # nothing else is wrong, so it keeps its exit code
        raise absent
    if base is not None:
        values = dict(values_of(base), **values)
        provenance.update((name, IN_RUN) for name, where in provenance.items() if where == DEFAULT)
    config = _checked(values, problems)
    if flags.platform:
        log.info("ignored flags of the platform, which are not settings of this job: %s", " ".join(flags.platform))
    return Loaded(config, provenance)


def resolve(sources: Sequence[Mapping[str, Given]]) -> Config:
    """The configuration that several sources give, of which the later counts; defaults for the rest.

    Raises:
        ConfigError: names every bad value and contradiction.
    """
    _refuse_secrets(sources)
    values, _, problems = _resolve(sources)
    elsewhere = refused_output(values.get("train_url"))
    return _checked(values, problems + ([] if elsewhere is None else [elsewhere]))


def _read_file_of(name: Optional[str]) -> Tuple[Dict[str, Given], List[str], Optional[NoSuchFolder]]:
    """(what the file of --config gives, problems, the error if there is no such file). name: None without --config."""
    if name is None:
        return {}, [], None
    try:
        path = find_config_file(name, [os.curdir, CONFIG_HOME])
        in_file, problems = read_config_file(path, shown_path(path))
        return in_file, problems, None
    except ConfigError as error:
        return {}, error.problems, error if isinstance(error, NoSuchFolder) else None


def _refuse_secrets(sources: Iterable[Mapping[str, Given]]) -> None:
    """Raise ConfigError if a value is a URL that holds a key or a signature; the message does not show it."""
    told = [secret_in_url(name, given.value) for source in sources for name, given in source.items()]
    secrets = [problem for problem in told if problem]
    if secrets:
        raise ConfigError(secrets)


def _resolve(sources: Iterable[Mapping[str, Given]]) -> Tuple[Dict[str, Any], Dict[str, str], List[str]]:
    """(values, where each comes from, problems) of several sources, of which the later counts."""
    values: Dict[str, Any] = {}
    provenance = dict.fromkeys(settings(), DEFAULT)
    problems: List[str] = []
    for source in map(cut_blanks, sources):
        converted, bad = _convert(source)
        problems += bad
        values.update(converted)
        provenance.update((name, source[name].where) for name in converted)
    return values, provenance, problems


def warn_of_unknown(arguments: Sequence[str]) -> None:
    """Log which flags have no effect. A run does so at the beginning and at the end of its log, where people look."""
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
    if not in_code.startswith(os.pardir) and not os.path.exists(in_code):  # else it would name another file
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
        except ValueError as error:
            reason = f" ({error.what})" if isinstance(error, InvalidUrl) else ""
            told = "nothing" if value is None else repr(value)
            problems.append(f"{where}: {name} cannot be {told}{reason}; expected {settings()[name].kind.expected}")
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
    return yaml_of(to_dict(config), provenance)


def yaml_of(groups: Mapping[str, Mapping[str, Any]], provenance: Optional[Mapping[str, str]] = None) -> str:
    """The same of group → setting → value, as run.json has them. Their names may be anybody's."""
    import yaml

    def one_line(value: Any) -> str:
        dumped = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=float("inf"))
        return dumped.replace("\n...\n", "\n").strip()

    lines = []
    for group, leaves in groups.items():
        lines.append(f"{one_line(group)}:")
        for name, value in leaves.items():
            line = f"  {one_line(name)}: {one_line(value)}"
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
    """Every setting with its default, meaning and values, group by group, as wide as the terminal."""
    width = max(40, min(120, shutil.get_terminal_size((100, 24)).columns))
    wrap = textwrap.TextWrapper(width, initial_indent="      ", subsequent_indent="      ", break_long_words=False,
                                break_on_hyphens=False).wrap
    lines = ["settings: give each as a flag, --name=value, or as a line of a YAML file that --config=FILE names"]
    for group, group_class in GROUPS.items():
        lines += ["", f"{group}: {(group_class.__doc__ or '').strip()}"]
        for name, each in settings().items():
            if each.group == group:
                lines.append(f"  --{name}={_as_given(each.default)}")
                lines += wrap(each.help) + wrap(f"values: {each.kind.expected}")
    return "\n".join(lines)
