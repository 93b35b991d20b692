"""Read ``--name=value`` and ``--name value``, among flags of the platform that are not ours."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Sequence

from job.config import settings
from job.config_file import Given
from job.near_miss import near_miss

CONFIG_FLAG = "config"


class Flags(NamedTuple):
    """What a command line says.

    given: name → value; a flag that is repeated counts as given the last time. config_file: the file named with
    --config, or None. ignored: flags (with their values) that are nothing like ours. problems: one sentence each.
    """

    given: Dict[str, Given]
    config_file: Optional[str]
    ignored: List[str]
    problems: List[str]


def read_flags(arguments: Sequence[str]) -> Flags:
    """Sort the words of a command line.

    A flag that is unknown is the platform's and ignored, together with the bare words behind it (``--num_gpus 1``);
    one that is a slip away from ours was meant to be ours, and is a problem.
    """
    flags = Flags({}, None, [], [])
    known = list(settings()) + [CONFIG_FLAG]
    words = list(arguments)
    while words:
        word = words.pop(0)
        if not word.startswith("--"):
            flags.problems.append("unexpected argument {!r}; expected --name=value".format(word))
            continue
        spelled, has_value, value = word[2:].partition("=")
        name = spelled.replace("-", "_")
        if name not in known:
            meant = near_miss(name, known)
            behind = _bare_words(words) if not has_value else []
            if meant is not None:
                flags.problems.append("unknown flag --{}; did you mean --{}?".format(spelled, meant))
            else:
                flags.ignored.append(" ".join([word] + behind))
            continue
        if not has_value:
            if not words or words[0].startswith("--"):
                flags.problems.append("--{} needs a value, as in --{}=…".format(spelled, spelled))
                continue
            value = words.pop(0)
        if name == CONFIG_FLAG:
            flags = flags._replace(config_file=value or None)
        else:
            flags.given[name] = Given(value, "--{}={}".format(spelled, value))
    return flags


def _bare_words(words: List[str]) -> List[str]:
    """Take the words that are no flags from the front of ``words``."""
    taken = []
    while words and not words[0].startswith("--"):
        taken.append(words.pop(0))
    return taken
