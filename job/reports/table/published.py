"""Accuracies on target domains that others have published, in per cent, and which runs they can be compared with.

The numbers are of full networks on the whole data sets. `deviations` says in which respects runs differ from that.
"""
from __future__ import annotations

from typing import Any, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from masf_core.data.known_sets import PACS, VLCS


class Source(NamedTuple):
    """Where numbers are from. short: in the name of a row. told: a sentence without its full stop."""

    short: str
    told: str


PAPER = Source("paper", "Dou et al., NeurIPS 2019, Table 3, AlexNet; mean ± standard deviation")
SECONDARY = Source("secondary", "numbers that later publications give for MASF, not checked against the authors' own")
AUTHORS_ITERATIONS = 10_000  # in their code


class Published(NamedTuple):
    """A row of somebody's table. accuracies: target → (mean, standard deviation or None). average: None if unknown."""

    name: str
    domains: Tuple[str, ...]
    backbone: str
    accuracies: Mapping[str, Tuple[float, Optional[float]]]
    average: Optional[float]
    source: Source


def _of_paper(name: str, average: float, *numbers: Tuple[float, float]) -> Published:
    return Published(name, tuple(PACS.domains), "alexnet", dict(zip(PACS.domains, numbers)), average, PAPER)


ROWS = (
    _of_paper("DeepAll", 71.70, (67.60, .21), (68.87, .22), (89.20, .24), (61.13, .30)),
    _of_paper("episodic only", 72.52, (69.19, .10), (70.66, .37), (90.36, .18), (59.89, .26)),
    _of_paper("global only", 72.60, (69.43, .29), (70.22, .21), (90.64, .15), (60.11, .17)),
    _of_paper("local only", 73.22, (69.50, .15), (70.25, .13), (90.12, .12), (63.02, .12)),
    _of_paper("global + local", 73.88, (69.48, .20), (71.15, .16), (90.16, .15), (64.73, .34)),
    _of_paper("episodic + global", 73.93, (69.94, .15), (72.16, .28), (90.10, .12), (63.54, .13)),
    _of_paper("episodic + local", 74.02, (69.50, .20), (71.44, .34), (90.16, .15), (64.97, .28)),
    _of_paper("MASF", 75.21, (70.35, .33), (72.46, .19), (90.68, .12), (67.33, .12)),
    Published("MASF", tuple(PACS.domains), "resnet18", {
        domain: (mean, None) for domain, mean in zip(PACS.domains, (80.29, 77.17, 94.99, 71.69))}, 81.04, SECONDARY),
    Published("DeepAll", tuple(PACS.domains), "resnet18", {}, 79.26, SECONDARY),
    Published("MASF", tuple(PACS.domains), "resnet50", {}, 82.67, SECONDARY),
    Published("MASF", tuple(VLCS.domains), "alexnet", {}, 74.11, SECONDARY),
)


def method_of(settings: Mapping[str, Any]) -> Optional[str]:
    """The name in Table 3 of the losses that these settings switch on, or None."""
    if settings.get("method") == "deepall":
        return "DeepAll"
    used = tuple(bool(settings.get(name)) for name in ("episodic", "beta1", "beta2", "meta_task"))
    return {
        (True, True, True, False): "MASF", (True, False, False, True): "episodic only",
        (False, True, False, False): "global only", (False, False, True, False): "local only",
        (False, True, True, False): "global + local", (True, True, False, False): "episodic + global",
        (True, False, True, False): "episodic + local"}.get(used)


def published_rows(targets: Sequence[str], backbones: Sequence[Any]) -> List[Published]:
    """The rows for data sets with all these targets, and for these networks."""
    known = {domain_of(target) for target in targets}
    return [row for row in ROWS if known and known <= set(row.domains) and row.backbone in backbones]


def domain_of(target: str) -> str:
    """The name that the published rows use for a domain."""
    return PACS.domain(target) or VLCS.domain(target) or target


def deviations(settings: Mapping[str, Any], images: Mapping[str, Any]) -> List[str]:
    """In which respects a run differs from the published ones: a few words each.

    Args:
        settings: of the run. images: number of images by domain, as in its run.json; empty if not known.
    """
    found = []
    if settings.get("width") != 1.0:
        found.append(f"width {settings.get('width')} instead of 1")
    if settings.get("weights_path") in (None, "none"):
        found.append("no pretrained weights")
    if settings.get("train_iterations") != AUTHORS_ITERATIONS:
        found.append(f"{settings.get('train_iterations')} iterations instead of the authors' {AUTHORS_ITERATIONS:,}")
    counts = {domain_of(name): count for name, count in images.items()}
    for known in (PACS, VLCS):
        if set(counts) == set(known.domains) and counts != known.domains:
            found.append(f"{sum(counts.values()):,} images instead of the {known.images:,} of {known.name}")
    return found
