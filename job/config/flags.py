"""Read ``--name=value`` and ``--name value``, among flags of the platform that are not ours."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Sequence

from job.config.files import Given
from job.config.foreign_flags import PLATFORM_FLAGS, port_answer, unknown
from job.config.near_miss import near_miss
from job.config.settings import settings

CONFIG_FLAG = "config"


class Flags(NamedTuple):
    """What a command line says."""

    given: Dict[str, Given]  # name of a setting → its value; of a repeated flag, the last one
    config_file: Optional[str]  # the file of --config, or None
    platform: List[str]  # flags of the platform, with their values
    unknown: List[str]  # other flags that resemble no setting, with their values; warnings inside ModelArts
    problems: List[str]  # one sentence each


def read_flags(arguments: Sequence[str]) -> Flags:
    """Sort the words of a command line.

    Words behind an unknown flag that are no flags belong to it, as in ``--num_gpus 1``. A near miss of a setting's name
    is a problem everywhere, and so is a flag of the published port, which has another name here.
    """
    flags = Flags({}, None, [], [], [])
    known = list(settings()) + [CONFIG_FLAG]
    words = list(arguments)
    while words:
        word = words.pop(0)
        if not word.startswith("--"):
            flags.problems.append(f"unexpected argument {word!r}; expected --name=value")
            continue
        spelled, has_value, value = word[2:].partition("=")
        name = spelled.replace("-", "_")
        if name not in known:
            whole = " ".join([word] + (_bare_words(words) if not has_value else []))
            if name in PLATFORM_FLAGS:
                flags.platform.append(whole)
            elif port_answer(name) is not None or near_miss(name, known) is not None:
                flags.problems.append(unknown_flag(whole))
            else:
                flags.unknown.append(whole)
            continue
        if not has_value:
            if not words or words[0].startswith("--"):
                flags.problems.append(f"--{spelled} needs a value, as in --{spelled}=VALUE")
                continue
            value = words.pop(0)
        if name == CONFIG_FLAG:
            flags = flags._replace(config_file=value or None)
        else:
            flags.given[name] = Given(value, f"--{spelled}={value}")
    return flags


def unknown_flag(words: str) -> str:
    """A sentence about an unknown flag, which may be given with its value."""
    flag = words.split(" ")[0].partition("=")[0]
    return unknown(f"unknown flag {flag}", flag[2:], list(settings()) + [CONFIG_FLAG], prefix="--")


def _bare_words(words: List[str]) -> List[str]:
    """Remove the words that are no flags from the front of ``words``, and return them."""
    taken = []
    while words and not words[0].startswith("--"):
        taken.append(words.pop(0))
    return taken
