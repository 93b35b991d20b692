"""From runs to the rows of the table: ours, the published ones, their difference, and what is missing."""
from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from job.errors import ConfigError
from job.reports.table.cells import Cell, Paired, Values, average_of, cell_of, difference, paired
from job.reports.table.published import Published, deviations, domain_of, method_of, published_rows
from job.reports.table.runs import Unreadable
from job.reports.table.variants import Variant

OURS, PAPER, DIFFERENCE = "ours", "published", "difference"
AVERAGE = "average"


class Row(NamedTuple):
    """A row. kind: ``OURS``, ``PAPER`` or ``DIFFERENCE``. cells: one for each target, then the average."""

    name: str
    selection: str
    kind: str
    seeds: str
    cells: Tuple[Cell, ...]


class Missing(NamedTuple):
    """A run that is not in the means. state: of the run, "missing" where there is none. told: more words, or ""."""

    variant: str
    target: str
    seed: int
    state: str
    told: str


class Table(NamedTuple):
    """All of it. notes: sentences. error: one of ``cells.ERROR_NAMES``."""

    targets: Tuple[str, ...]
    error: str
    rows: List[Row]
    missing: List[Missing]
    paired: List[Paired]
    notes: List[str]


class Options(NamedTuple):
    """What to show.

    selections: policies. error: one of ``cells.ERROR_NAMES``. paper: "matching", "all" or "none" of the published
    rows. baseline: name of the variant that others are compared with; None takes DeepAll, else the first.
    """

    selections: Tuple[str, ...] = ("source_val",)
    error: str = "std"
    paper: str = "matching"
    baseline: Optional[str] = None


def build(variants: Sequence[Variant], unreadable: Sequence[Unreadable], notes: Sequence[str],
          options: Options) -> Table:
    """The table of these variants.

    Args:
        unreadable: runs without a row. notes: further sentences to show.

    Raises:
        ConfigError: there is no variant with the name of the baseline.
    """
    targets = tuple(sorted({each.target for variant in variants for each in variant.planned}))
    published = published_rows(targets, [variant.settings.get("backbone") for variant in variants])
    rows: List[Row] = []
    for variant in variants:
        ours = [row_of(variant, policy, targets, options.error) for policy in options.selections]
        rows += ours
        if options.paper != "none":
            for theirs in (_published_row(each, targets) for each in published if _matches(each, variant)):
                differences = [_minus(row, theirs) for row in ours]
                rows += [theirs] + [row for row in differences if any(cell.mean is not None for cell in row.cells)]
    if options.paper == "all":
        matched = {row.name for row in rows if row.kind == PAPER}
        rows += [_published_row(each, targets) for each in published if _title(each) not in matched]
    told = list(notes) + [f"{each.url} cannot be read and is not in the table: {each.told}" for each in unreadable]
    if any(row.kind == PAPER for row in rows):
        told += _caveats(variants, rows, published)
    return Table(targets, options.error, rows, missing_of(variants), comparisons(variants, options), told)


def row_of(variant: Variant, policy: str, targets: Sequence[str], error: str) -> Row:
    """The row of a variant, by one selection policy."""
    columns = []
    for target in targets:
        seeds = variant.seeds_of(target)
        columns.append(cell_of(values_of(variant, policy, target), len(seeds), error, _state(variant, target)))
    expected = len({each.seed for each in variant.planned})
    average = average_of(columns, expected, error)
    counts = sorted({len(cell.values) for cell in columns})
    seeds = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}" if counts else "0"
    return Row(variant.name, policy, OURS, seeds, tuple(columns) + (average,))


def values_of(variant: Variant, policy: str, target: str) -> Values:
    """(seed, accuracy on the target) of the runs that are done, by seed."""
    found = []
    for seed in variant.seeds_of(target):
        run = variant.runs.get((target, seed))
        if run is not None and policy in run.scores:
            found.append((seed, run.scores[policy].target))
    return tuple(found)


def missing_of(variants: Sequence[Variant]) -> List[Missing]:
    """Every planned run that is not done."""
    found = []
    for variant in variants:
        for target, seed in variant.planned:
            run = variant.runs.get((target, seed))
            if run is None:
                found.append(Missing(variant.name, target, seed, "missing", ""))
            elif not run.scores:
                found.append(Missing(variant.name, target, seed, run.state, run.told))
    return found


def comparisons(variants: Sequence[Variant], options: Options) -> List[Paired]:
    """Every other variant beside the baseline. Raises ConfigError if the baseline is unknown."""
    names = [variant.name for variant in variants]
    if options.baseline is not None and options.baseline not in names:
        raise ConfigError(f"--baseline={options.baseline}: there is no variant with this name; expected one of "
                          + ", ".join(names))
    if len(variants) < 2:
        return []
    base = next((each for each in variants if each.name == options.baseline), None) or next(
        (each for each in variants if method_of(each.settings) == "DeepAll"), variants[0])
    found = []
    for policy in options.selections:
        theirs = _scores(base, policy)
        found += [paired(each.name, base.name, policy, _scores(each, policy), theirs)
                  for each in variants if each is not base]
    return found


def _scores(variant: Variant, policy: str) -> Dict[Tuple[str, int], float]:
    return {place: run.scores[policy].target for place, run in variant.runs.items() if policy in run.scores}


def _state(variant: Variant, target: str) -> str:
    """In a word, why there is no value: the state that most runs have."""
    states = [variant.runs[target, seed].state if (target, seed) in variant.runs else "missing"
              for seed in variant.seeds_of(target)]
    return max(sorted(set(states)), key=states.count) if states else "missing"


def _matches(published: Published, variant: Variant) -> bool:
    return (published.name == method_of(variant.settings)
            and published.backbone == variant.settings.get("backbone"))


def _title(published: Published) -> str:
    network = "" if published.backbone == "alexnet" else f", {published.backbone}"
    return f"{published.source.short}: {published.name}{network}"


def _published_row(published: Published, targets: Sequence[str]) -> Row:
    columns = []
    for target in targets:
        mean, error = published.accuracies.get(domain_of(target), (None, None))
        columns.append(Cell(mean, error))
    all_domains = {domain_of(target) for target in targets} == set(published.domains)
    average = Cell(published.average if all_domains else None)
    return Row(_title(published), "", PAPER, "", tuple(columns) + (average,))


def _minus(ours: Row, theirs: Row) -> Row:
    """Our row minus a published one."""
    columns = tuple(difference(cell, other.mean) for cell, other in zip(ours.cells, theirs.cells))
    return Row("difference", ours.selection, DIFFERENCE, "", columns)


def _caveats(variants: Sequence[Variant], rows: Sequence[Row], published: Sequence[Published]) -> List[str]:
    """Sentences about what the published rows are worth here."""
    alike: Dict[str, List[str]] = {}
    for variant in variants:
        run = next(iter(variant.runs.values()), None)
        if run is not None and any(_matches(each, variant) for each in published):
            alike.setdefault("; ".join(deviations(variant.settings, run.images)), []).append(variant.name)
    found = [f"Not directly comparable with the published rows: {', '.join(names)} ({told})."
             for told, names in alike.items() if told]
    shown = {row.name for row in rows if row.kind == PAPER}
    for source in dict.fromkeys(each.source for each in published if _title(each) in shown):
        found.append(f"{source.short}: {source.told}.")
    selections = {row.selection for row in rows}
    if "source_val" in selections:
        found.append("The authors' code selects by accuracy on the target (oracle); source_val selects by the "
                     "validation images of the source domains."
                     + ("" if "oracle" in selections else " --all-selections shows both."))
    return found
