"""From the settings of a run to the parameters of a job: what the boot file gets as ``--name=value``.

The parameters hold every setting that is not at its default, so that the job needs no configuration file, the console
shows everything, and the code of two experiments stays the same.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from job.config.files import Given, find_config_file, read_config_file, read_submit_part
from job.config.flags import read_flags
from job.config.loading import load_config, replace_settings
from job.config.settings import Config, Setting, settings, values_of
from job.config.submit_options import obs_url
from job.errors import ConfigError
from job.shipped import CONFIG_HOME

PLACES = {"data_url": True, "train_url": True, "weights_path": False}  # setting → whether it is always a folder in OBS
ALWAYS = ("target_domain",)  # passed also at its default: a list of jobs shows it


def resolve_settings(words: Sequence[str]) -> Config:
    """The settings of a command line and its file, with places in OBS in either form, and with a run name.

    Raises:
        ConfigError: a setting is wrong, or data_url or train_url is no place in OBS.
    """
    given = _given(words)
    changed, problems = [], []
    for name, is_folder in PLACES.items():
        value, where = given.get(name, (None, ""))
        if not isinstance(value, str) or not value.strip() or not (is_folder or value.startswith("/")):
            if is_folder:
                problems.append(f"--{name} is missing; expected a folder in OBS, obs://bucket/folder/ or "
                                "/bucket/folder/")
            continue
        try:
            changed.append(f"--{name}={obs_url(value.strip(), is_folder)}")
        except ValueError:
            problems.append(f"{where}: {name} cannot be {value!r}; a job of ModelArts sees only OBS, so expected "
                            f"obs://bucket/{'folder/ or /bucket/folder/' if is_folder else 'folder/file'}")
    config, _ = load_config(list(words) + changed)  # whose own errors come first
    if problems:
        raise ConfigError(problems)
    return replace_settings(config, run_name=config.run_name)


def given_places(words: Sequence[str]) -> Dict[str, str]:
    """Setting → the place that the command line, or its file, gives for it, as it is written."""
    given = _given(words)
    return {name: given[name].value.strip() for name in PLACES
            if name in given and isinstance(given[name].value, str) and given[name].value.strip()}


def _given(words: Sequence[str]) -> Dict[str, Given]:
    flags = read_flags(words)
    given: Dict[str, Given] = {}
    if flags.config_file is not None:
        given.update(read_config_file(_path_of(flags.config_file), flags.config_file)[0])
    given.update(flags.given)
    return given


def given_in_file(words: Sequence[str]) -> Mapping[str, Given]:
    """The options in the part ``submit`` of the file that ``--config`` names; none without one."""
    name = read_flags(words).config_file
    return {} if name is None else read_submit_part(_path_of(name), name)


def _path_of(name: str) -> str:
    return find_config_file(name, [".", CONFIG_HOME])


def parameters_of(config: Config, left_out: Sequence[str] = ()) -> Tuple[Tuple[str, str], ...]:
    """(name, text) of every setting that is not at its default, in the order of the settings.

    Args:
        left_out: settings that the job gets in another way.

    Raises:
        ConfigError: a value cannot be written in one parameter, such as a folder's name with a comma.
    """
    found: List[Tuple[str, str]] = []
    problems = []
    for name, value in values_of(config).items():
        each = settings()[name]
        if name in left_out or (value == each.default and name not in ALWAYS):
            continue
        text = _text_of(each, value)
        if text is None:
            problems.append(f"{name}={value!r} cannot be passed to a job as one parameter")
        else:
            found.append((name, text))
    if problems:
        raise ConfigError(problems)
    return tuple(found)


def _text_of(setting: Setting, value: Any) -> Optional[str]:
    """A text that the setting reads as ``value``, or None if there is none."""
    if value is None:
        candidates = ["none", "auto", "all", "dynamic", ""]
    elif isinstance(value, tuple):
        candidates = [",".join(value), " ".join(value)]
    elif isinstance(value, bool):
        candidates = [str(value).lower()]
    else:
        candidates = [str(value)]
    for text in candidates:
        try:
            if setting.kind.convert(text) == value:
                return text
        except ValueError:
            pass
    return None
