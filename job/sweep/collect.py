"""The table of a study: the runs of its file, and no others. Random search is decided by source validation alone."""
from __future__ import annotations

from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from job.config.loading import result_settings
from job.reports.table.cells import mean_of
from job.reports.table.runs import Found, OpenAt, RunResult, read_runs
from job.reports.table.variants import Planned, Variant, shown
from job.sweep.plan import Kind, PlannedRun, label_of
from masf_core.words import plural

BY = "source_val"


class Collected(NamedTuple):
    """The rows of a study. notes: sentences about random search."""

    variants: List[Variant]
    found: Found
    notes: List[str]


def collect(runs: Sequence[PlannedRun], kinds: Sequence[Kind], open_at: OpenAt, samples: bool = False) -> Collected:
    """Read the results of the runs.

    Args:
        runs, kinds: of the study. open_at: opens a store. samples: a row for each sample of a random search as well.
    """
    found = read_runs([run.url for run in runs], open_at)
    results = {result.url: result for result in found.runs}
    by_variant: Dict[str, List[Kind]] = {}
    for kind in kinds:
        by_variant.setdefault(kind.variant, []).append(kind)
    variants, notes = [], []
    for variant, members in by_variant.items():
        rows = [variant_of(kind, runs, results) for kind in members]
        if members[0].sample is None:
            variants += rows
            continue
        best, told = chosen(variant, members, rows)
        notes += told
        variants += [best] + (rows if samples else [])
    return Collected(variants, found, notes)


def variant_of(kind: Kind, runs: Sequence[PlannedRun], results: Mapping[str, RunResult]) -> Variant:
    """The row of one variant, or of one of its samples. results: by URL."""
    label = label_of(kind.variant, kind.sample)
    ours = [run for run in runs if run.label == label]
    there = {(run.target, run.seed): results[run.url] for run in ours if run.url in results}
    settings = next(iter(there.values())).settings if there else result_settings(kind.config)
    return Variant(label, settings, there, tuple(Planned(run.target, run.seed) for run in ours))


def chosen(variant: str, kinds: Sequence[Kind], rows: Sequence[Variant]) -> Tuple[Variant, List[str]]:
    """The row whose runs, on each target, are those of the sample with the highest accuracy on validation images.

    Only samples whose runs on that target are all done take part. The validation images are of the source domains, so
    the target stays unseen.

    Args:
        kinds, rows: of one variant, in the order of the samples.

    Returns:
        (the row, a sentence about each target).
    """
    picked, notes = {}, []
    for target in sorted({each.target for each in rows[0].planned}):
        scores = [validation_of(row, target) for row in rows]
        complete = [number for number, score in enumerate(scores) if score is not None]
        told = f"{variant} on {target}: {len(complete)} of {plural(len(rows), 'sample')} complete"
        if complete:
            best = max(complete, key=lambda number: (scores[number], -number))
            drawn = ", ".join(f"{name}={shown(value)}" for name, value in kinds[best].drawn.items())
            told += f"; {rows[best].name} ({drawn}) is chosen by {scores[best]:.2f} % on validation images"
            picked.update({place: run for place, run in rows[best].runs.items() if place[0] == target})
        notes.append(told)
    return Variant(variant, rows[0].settings, picked, rows[0].planned), notes


def validation_of(row: Variant, target: str) -> Optional[float]:
    """The mean over seeds of the validation accuracy on a target; None unless every run there is done."""
    seeds = row.seeds_of(target)
    runs = [row.runs.get((target, seed)) for seed in seeds]
    if not seeds or not all(run is not None and BY in run.scores for run in runs):
        return None
    return mean_of([run.scores[BY].validation for run in runs])
