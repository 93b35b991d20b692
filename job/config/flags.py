"""Read ``--name=value`` and ``--name value``, among flags of the platform that are not ours."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Sequence

from job.config.files import Given
from job.config.foreign_flags import PLATFORM_FLAGS, port_answer, unknown
from job.config.near_miss import near_miss
from job.config.settings import settings

CONFIG_FLAG = "config"


class Flags(NamedTuple):
    """What a command line says.

    given: name → value; a flag that is repeated counts as given the last time. config_file: the file named with
    --config, or None. platform: flags of the platform, with their values. unknown: flags, with their values, that are
    nobody's and nothing like ours; what they are worth depends on where the job runs. problems: one sentence each.
    """

    given: Dict[str, Given]
    config_file: Optional[str]
    platform: List[str]
    unknown: List[str]
    problems: List[str]


def read_flags(arguments: Sequence[str]) -> Flags:
    """Sort the words of a command line.

    The bare words behind a flag that is not ours belong to it (``--num_gpus 1``). A flag that is a slip away from ours
    was meant to be ours, and one of the published port has another name here: both are problems anywhere.
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
                flags.problems.append(f"--{spelled} needs a value, as in --{spelled}=…")
                continue
            value = words.pop(0)
        if name == CONFIG_FLAG:
            flags = flags._replace(config_file=value or None)
        else:
            flags.given[name] = Given(value, f"--{spelled}={value}")
    return flags


def unknown_flag(words: str) -> str:
    """A sentence about a flag, given with its value, that is nobody's."""
    flag = words.split(" ")[0].partition("=")[0]
    return unknown(f"unknown flag {flag}", flag[2:], list(settings()) + [CONFIG_FLAG], prefix="--")


def _bare_words(words: List[str]) -> List[str]:
    """Take the words that are no flags from the front of ``words``."""
    taken = []
    while words and not words[0].startswith("--"):
        taken.append(words.pop(0))
    return taken
