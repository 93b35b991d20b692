"""What an evaluation found, as text and as a JSON document."""
from __future__ import annotations

import math
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from job.printable import printable
from job.reports.image_results import ImageResult
from masf_core.records.texts import EVA_LINE

WHOLE, VALIDATION = "whole domain", "validation images"


class DomainResult(NamedTuple):
    """The evaluation of one domain.

    part: ``WHOLE`` or ``VALIDATION``. loss: mean cross-entropy. accuracy: per cent. per_class: per cent, NaN where
    there is no image of a class. confusion: int [C, C], rows are true classes. recorded: (accuracy, loss) of the run's
    own evaluation of the same images at the same iteration, None where there was none.
    """

    domain: str
    part: str
    loss: float
    accuracy: float
    per_class: Sequence[float]
    confusion: np.ndarray
    recorded: Optional[Tuple[float, float]] = None

    @property
    def count(self) -> int:
        """Images."""
        return int(self.confusion.sum())


class Evaluated(NamedTuple):
    """What was evaluated, and what came out.

    network: in words. source: URL or path of its file. iteration: None where it is not known. same_data: whether the
    data are those of the run, None where that is not known. images: empty unless they were asked for.
    """

    network: str
    source: str
    sha256: str
    iteration: Optional[int]
    device: str
    classes: Tuple[str, ...]
    same_data: Optional[bool]
    domains: List[DomainResult]
    images: List[ImageResult]


def text(found: Evaluated) -> List[str]:
    """Lines for people."""
    lines = [headline(found.network, found.iteration, found.device)]
    for result in found.domains:
        lines += [""] + _lines_of(result, found.classes)
    told = [eva_line(found, result).rstrip() for result in found.domains]
    return lines + ([""] + [line for line in told if line] if any(told) else [])


def headline(network: str, iteration: Optional[int], device: str) -> str:
    """What computed, and where. Arguments: as of ``Evaluated``."""
    at = "iteration not known" if iteration is None else f"iteration {iteration}"
    return f"{printable(network)} ({at}), on {device}"


def _lines_of(result: DomainResult, classes: Sequence[str]) -> List[str]:
    lines = [f"{printable(result.domain)}, {result.part}: accuracy {result.accuracy:.2f} % of {result.count:,} images, "
             f"loss {result.loss:.6f}"]
    if result.recorded is not None:
        accuracy, loss = result.recorded
        same = ", equal" if (accuracy, loss) == (result.accuracy, result.loss) else ""
        lines.append(f"  recorded by the run: accuracy {accuracy:.2f} %, loss {loss:.6f}{same}")
    shown = [printable(name) for name in classes]
    width = max(len(name) for name in shown + ["class"])
    cell = max(5, len(str(int(result.confusion.max()))) + 1)
    lines.append(f"  {'class':<{width}}  {'images':>6}  {'accuracy':>9}   predicted as class number")
    lines.append(" " * (width + 24) + "".join(f"{number:>{cell}}" for number in range(len(classes))))
    for number, (name, accuracy, row) in enumerate(zip(shown, result.per_class, result.confusion)):
        of_class = "-" if math.isnan(accuracy) else f"{accuracy:.2f} %"
        lines.append(f"  {name:<{width}}  {int(row.sum()):>6}  {of_class:>9}  {number:>2}"
                     + "".join(f"{int(count):>{cell}}" for count in row))
    return lines


def eva_line(found: Evaluated, result: DomainResult) -> str:
    """The line of eva.txt about a domain that the network was not trained on; "" for another, or without iteration."""
    if found.iteration is None or result.part != WHOLE:
        return ""
    return EVA_LINE.format(found.iteration, result.loss, result.accuracy / 100.0)


def document(found: Evaluated) -> Dict[str, Any]:
    """The same as a JSON document, without the images."""
    return {
        "network": found.network, "source": found.source, "sha256": found.sha256, "iteration": found.iteration,
        "device": found.device, "classes": list(found.classes), "same_data": found.same_data,
        "domains": [{
            "domain": result.domain, "part": result.part, "images": result.count, "accuracy": result.accuracy,
            "loss": _finite(result.loss),
            "per_class": {name: _finite(value) for name, value in zip(found.classes, result.per_class)},
            "confusion": result.confusion.tolist(),
            "recorded": None if result.recorded is None else {
                "accuracy": result.recorded[0], "loss": _finite(result.recorded[1])},
            "eva": eva_line(found, result) or None,
        } for result in found.domains]}


def _finite(value: float) -> Optional[float]:
    return float(value) if math.isfinite(value) else None
