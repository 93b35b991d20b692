"""Random values of settings. A draw depends on the seed, the number of the sample and the setting, and on nothing else.

So more samples, or another setting, leave the samples that exist as they are.
"""
from __future__ import annotations

import math
import random
from typing import NamedTuple, Optional, Tuple, get_type_hints

from job.config.settings import GROUPS, settings

KINDS = ("log_uniform", "uniform", "choice")
DIGITS = 4  # significant digits of a number that is drawn


class Draw(NamedTuple):
    """How the values of one setting are drawn. values: texts, (low, high) or the choices, of which one may be None, as
    the null of YAML. where: for messages."""

    name: str
    kind: str
    values: Tuple[Optional[str], ...]
    where: str


def draw_problem(draw: Draw) -> Optional[str]:
    """What is wrong with it, or None."""
    kind = settings()[draw.name].kind
    if draw.kind == "choice":
        if not draw.values:
            return "choice: the list is empty"
        for value in draw.values:
            try:
                kind.convert(value)
            except ValueError:
                return f"cannot be {'nothing' if value is None else repr(value)}; expected {kind.expected}"
        return None
    if not takes_fractions(draw.name):
        return (f"{draw.kind} draws fractions, and the setting takes {kind.expected}; for whole numbers or words use "
                "choice")
    try:
        low, high = map(float, draw.values)
        for value in (low, high):
            kind.convert(shortened(value))
    except (TypeError, ValueError):
        return f"{draw.kind}: expected two numbers, [lowest, highest], and the setting takes {kind.expected}"
    if not (math.isfinite(low) and math.isfinite(high) and low < high) or (draw.kind == "log_uniform" and low <= 0.0):
        return f"{draw.kind}: expected two numbers, [lowest, highest]" + (
            " above 0" if draw.kind == "log_uniform" else "")
    return None


def takes_fractions(name: str) -> bool:
    """Whether a setting takes any number within its bounds."""
    setting = settings()[name]
    return get_type_hints(GROUPS[setting.group])[name] in (float, Optional[float])


def drawn(draw: Draw, seed: int, sample: int) -> Optional[str]:
    """The value of a sample, as text; None for the null of YAML."""
    chance = random.Random(f"{seed}/{sample}/{draw.name}").random()  # the same in every version of Python
    if draw.kind == "choice":
        return draw.values[int(chance * len(draw.values))]
    low, high = map(float, draw.values)
    if draw.kind == "uniform":
        return shortened(low + chance * (high - low))
    return shortened(math.exp(math.log(low) + chance * (math.log(high) - math.log(low))))


def shortened(value: float) -> str:
    """A number with few digits, so that people can copy it."""
    return f"{value:.{DIGITS}g}"
