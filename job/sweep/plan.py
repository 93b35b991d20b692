"""From the file of a study to its runs."""
from __future__ import annotations

import contextlib
import hashlib
import json
import re
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence

from job.config.contradictions import why_unused_meta_lr
from job.config.files import Given
from job.config.loading import replace_settings, resolve, result_settings
from job.config.run_names import study_name
from job.config.settings import Config, settings
from job.errors import ConfigError
from job.sweep.draws import drawn
from job.sweep.study_file import MOST_RUNS, PER_RUN, StudyFile
from masf_core.words import some

HASHED = 8  # hexadecimal digits


class PlannedRun(NamedTuple):
    """A run of the study.

    name: its run name. url: of its folder in the store. variant: of the file. sample: number of the draws, None without
    random search. label: what names the variant and the sample.
    """

    name: str
    url: str
    variant: str
    sample: Optional[int]
    target: str
    seed: int
    config: Config

    @property
    def label(self) -> str:
        return label_of(self.variant, self.sample)


class Kind(NamedTuple):
    """A variant with one sample. config: for any target and seed. drawn: setting → what was drawn for it."""

    variant: str
    sample: Optional[int]
    config: Config
    drawn: Mapping[str, Optional[str]]


def kinds_of(study: StudyFile, flags: Mapping[str, Given]) -> List[Kind]:
    """Every variant with every sample.

    Args:
        flags: settings of the command line; they override those of the file, but not those of variants.

    Raises:
        ConfigError: names every bad value, and flags that a sweep cannot take.
    """
    problems = [f"{given.where}: the sweep chooses {name} for each run; {PER_RUN[name]}"
                for name, given in flags.items() if name in PER_RUN]
    varied = {name for sources in study.variants.values() for source in sources for name in source}
    varied |= {draw.name for draw in study.random.draws} if study.random else set()
    problems += [f"{flags[name].where}: {study.path} sets {name} for single variants; change it there"
                 for name in flags if name in varied]
    found = []
    for variant, own in study.variants.items():
        for sample in range(study.random.samples) if study.random else [None]:
            draws = {} if sample is None else {
                draw.name: Given(drawn(draw, study.random.seed, sample), draw.where) for draw in study.random.draws}
            try:
                config = resolve(_with_target(study.base + [flags] + own + [draws]))
                found.append(Kind(variant, sample, config, {name: given.value for name, given in draws.items()}))
            except ConfigError as error:
                told = [_placed(each, study.path, study.base + [flags] + own + [draws]) for each in error.problems]
                problems += [each for each in told if each not in problems]
    problems += sorted({"resume=never would start every run again each time; leave resume at auto"
                        for kind in found if kind.config.platform.resume == "never"})
    problems += [f"{study.path}: the variants {' and '.join(names)} have the same settings, so their runs would be the "
                 "same; change the settings of one of them, or remove it" for names in alike(found)]
    if problems:
        raise ConfigError(problems)
    return found


def _with_target(sources: List[Mapping[str, Given]]) -> List[Mapping[str, Given]]:
    """``sources`` with a target among the domains that they give: the default one need not be. Each run has its own."""
    for source in reversed(sources):
        if "domains" in source:
            with contextlib.suppress(ValueError):  # a bad value is told where it is resolved
                domains = settings()["domains"].kind.convert(source["domains"].value)
                return sources + ([{"target_domain": Given(domains[0], source["domains"].where)}] if domains else [])
    return sources


def _placed(problem: str, path: str, sources: Sequence[Mapping[str, Given]]) -> str:
    """The problem with the place of the setting that it begins with, or the path of the study, in front of it."""
    given = {name: each for source in sources for name, each in source.items()}
    if any(problem.startswith(each.where) for each in given.values()):
        return problem
    name = re.match(r"\w*", problem).group()
    return f"{given[name].where if name in given else path}: {problem}"


def runs_of(study: StudyFile, kinds: Sequence[Kind], targets: Sequence[str], parent: str) -> List[PlannedRun]:
    """Every run of the study: all variants of one seed and target, then the next target, then the next seed.

    So a study that is stopped early has complete comparisons.

    Args:
        parent: URL of the folder in which the folders of the runs are.

    Raises:
        ConfigError: a target that is none, or too many runs.
    """
    if len(study.seeds) * len(targets) * len(kinds) > MOST_RUNS:
        raise ConfigError(f"{study.path}: more than {MOST_RUNS:,} runs; give fewer seeds, variants or samples")
    found = []
    for seed in study.seeds:
        for target in targets:
            for kind in kinds:
                config = replace_settings(kind.config, target_domain=target, seed=seed)
                name = study_name(label_of(kind.variant, kind.sample), target, seed, digest_of(config))
                config = replace_settings(config, run_name=name)
                found.append(PlannedRun(name, f"{parent.rstrip('/')}/{name}", kind.variant, kind.sample, target, seed,
                                        config))
    return found


def alike(kinds: Sequence[Kind]) -> List[List[str]]:
    """The names of variants that have the same settings. Samples are drawn, so two of one variant may be the same."""
    names: Dict[str, List[str]] = {}
    for kind in kinds:
        names.setdefault(f"{kind.sample} {training_settings(kind.config)}", []).append(kind.variant)
    return [list(each) for each in dict.fromkeys(tuple(each) for each in names.values() if len(each) > 1)]


def repeated(kinds: Sequence[Kind]) -> List[str]:
    """A sentence for each group of kinds whose runs train the same: they have drawn the same values, or differ only in
    a meta_lr that has no effect."""
    groups: Dict[str, List[Kind]] = {}
    for kind in kinds:
        used = {} if why_unused_meta_lr(kind.config.training) is None else {"meta_lr": None}
        groups.setdefault(str(dict(training_settings(kind.config), **used)), []).append(kind)
    found = []
    for group in groups.values():
        reason = "their settings are the same"
        if len({str(training_settings(kind.config)) for kind in group}) > 1:
            reason = f"meta_lr has no effect, because {why_unused_meta_lr(group[0].config.training)}"
        if len(group) > 1:
            found.append(f"{some([label_of(kind.variant, kind.sample) for kind in group])} train the same: {reason}. "
                         "Leave out all but one of them, or give fewer samples")
    return found


def training_settings(config: Config) -> Mapping[str, object]:
    """Every setting in which two kinds can differ."""
    return dict(result_settings(config), train_iterations=config.training.train_iterations)


def label_of(variant: str, sample: Optional[int]) -> str:
    """The name of a variant, with the number of its sample."""
    return variant if sample is None else f"{variant}-r{sample:02d}"


def digest_of(config: Config) -> str:
    """A digest of the settings that change the result and are not at their defaults.

    Defaults are left out, so that a setting which a later version adds does not rename every run.
    """
    values: Dict[str, object] = {name: value for name, value in result_settings(config).items()
                                 if value != settings()[name].default or name in ("target_domain", "seed")}
    text = json.dumps(values, sort_keys=True, default=list)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:HASHED]
