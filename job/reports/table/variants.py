"""Which runs are the targets and seeds of one variant, and how the variant is called.

Runs belong to one variant if they have the same settings, except for target and seed. A run of a sweep tells the name
of its variant; other runs are called by the losses that their settings switch on. Variants that would have the same
name are told apart by the settings in which they differ.
"""
from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from job.reports.table.published import method_of
from job.reports.table.runs import RunResult, by_place, settings_key
from masf_core.words import some

SHOWN = 3  # settings in the name of a variant


class Planned(NamedTuple):
    """A run that there should be."""

    target: str
    seed: int


class Variant(NamedTuple):
    """A row of the table. runs: one for each (target, seed). planned: the runs that there should be."""

    name: str
    settings: Mapping[str, Any]
    runs: Dict[Tuple[str, int], RunResult]
    planned: Tuple[Planned, ...]

    def seeds_of(self, target: str) -> List[int]:
        """The seeds that there should be on a target, in order."""
        return sorted(each.seed for each in self.planned if each.target == target)


class Grouped(NamedTuple):
    """Variants, and a sentence for each run that is left out."""

    variants: List[Variant]
    left_out: List[str]


def group(runs: Sequence[RunResult]) -> Grouped:
    """The variants among some runs, in the order of their first run.

    Every variant should have a run for each target of any variant and each of its own seeds.
    """
    by_settings: Dict[str, List[RunResult]] = {}
    for run in runs:
        by_settings.setdefault(settings_key(run.settings), []).append(run)
    names = _names(list(by_settings.values()))
    targets = sorted({run.target for run in runs})
    variants, left_out = [], []
    for name, members in zip(names, by_settings.values()):
        chosen = {}
        for place, several in by_place(members).items():
            # The one that is done, else the one that got furthest; the first by name where that does not decide.
            best, *others = sorted(several, key=lambda run: (not run.scores, -run.iteration, run.name, run.url))
            chosen[place] = best
            left_out += [f"{other.url} is left out, because {best.url} has the same settings, target and seed"
                         for other in others]
        seeds = sorted({run.seed for run in members})
        planned = tuple(Planned(target, seed) for target in targets for seed in seeds)
        variants.append(Variant(name, members[0].settings, chosen, planned))
    return Grouped(variants, left_out)


def _names(groups: Sequence[Sequence[RunResult]]) -> List[str]:
    """A name for each group of runs, all different."""
    names = [_name_of(members) for members in groups]
    for name in {each for each in names if names.count(each) > 1}:
        alike = [number for number, each in enumerate(names) if each == name]
        kinds = [groups[number][0].settings for number in alike]
        differing = [key for key in kinds[0] if len({settings_key({"": kind.get(key)}) for kind in kinds}) > 1]
        for number, kind in zip(alike, kinds):
            told = [f"{key}={shown(kind.get(key))}" for key in differing]
            names[number] = f"{name} ({some(told, SHOWN)})"
    return [f"{name} #{names[:number].count(name) + 1}" if names.count(name) > 1 else name
            for number, name in enumerate(names)]


def _name_of(members: Sequence[RunResult]) -> str:
    told = {run.variant for run in members}
    only: Optional[str] = next(iter(told)) if len(told) == 1 else None
    return only or method_of(members[0].settings) or "other losses"


def shown(value: Any) -> str:
    """A value of a setting in a few characters."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
