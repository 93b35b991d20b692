"""What `average` found, as text and as the JSON document beside the file."""
from __future__ import annotations

import collections
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from job.console import amount
from job.printable import printable
from job.reports.evaluated import VALIDATION, Evaluated
from job.reports.table.formats import padded, width_of
from masf_core.words import plural, some

AVERAGE = "average"
STATISTICS = ("The statistics of batch normalisation are held fixed in a run, so none had to be estimated anew for the "
              "mean.")


class Row(NamedTuple):
    """A network that was evaluated. which: ``AVERAGE``, best or last. checkpoint, iteration: None of the average."""

    which: str
    checkpoint: Optional[str]
    iteration: Optional[int]
    found: Evaluated

    def accuracy(self, domain: str) -> Optional[float]:
        """Per cent; None of a domain that was not evaluated."""
        return next((result.accuracy for result in self.found.domains if result.domain == domain), None)

    def validation(self) -> Optional[float]:
        """Mean of the accuracies on the validation images of the source domains, per cent."""
        sources = [result.accuracy for result in self.found.domains if result.part == VALIDATION]
        return sum(sources) / len(sources) if sources else None


class Averaged(NamedTuple):
    """What was averaged, and how accurate it is.

    place: URL or path of the file. size: bytes. checkpoints: (name, iteration, SHA-256 of its network) of each.
    target: the target domain. has_statistics: the network has batch normalisation. rows: the average first.
    """

    place: str
    size: int
    sha256: str
    run: str
    checkpoints: List[Tuple[str, int, Optional[str]]]
    target: str
    has_statistics: bool
    rows: List[Row]


def document(found: Averaged) -> Dict[str, Any]:
    """The JSON document. Accuracies are per cent."""
    return collections.OrderedDict([
        ("file", found.place), ("bytes", found.size), ("sha256", found.sha256), ("run", found.run),
        ("checkpoints", [{"name": name, "iteration": iteration, "sha256": sha256}
                         for name, iteration, sha256 in found.checkpoints]),
        ("networks", [_network(row, found.target) for row in found.rows])] + (
            [("statistics", STATISTICS)] if found.has_statistics else []))


def _network(row: Row, target: str) -> Dict[str, Any]:
    return {"which": row.which, "checkpoint": row.checkpoint, "iteration": row.iteration,
            "sha256": row.found.sha256, "target_accuracy": row.accuracy(target),
            "validation_accuracy": row.validation(),
            "domains": [{"domain": result.domain, "part": result.part, "images": result.count,
                         "accuracy": result.accuracy, "loss": result.loss} for result in row.found.domains]}


def text(found: Averaged) -> List[str]:
    """Lines for people."""
    iterations = some([str(iteration) for _, iteration, _ in found.checkpoints], 8)
    lines = [f"{printable(found.place)}: average of {plural(len(found.checkpoints), 'checkpoint')} of the run "
             f"{printable(found.run)}, {amount(found.size, 'B')}", f"  iterations {iterations}", ""]
    sources = [each.domain for each in found.rows[0].found.domains if each.domain != found.target]
    cells = [["accuracy, %", f"{printable(found.target)} (target)", "validation, mean"] + list(map(printable, sources))]
    cells += [[_name(row)] + [_number(each) for each in (row.accuracy(found.target), row.validation())]
              + [_number(row.accuracy(name)) for name in sources] for row in found.rows]
    widths = [max(width_of(line[column]) for line in cells) for column in range(len(cells[0]))]
    lines += ["  ".join(padded(cell, width, left=column == 0) for column, (cell, width) in enumerate(zip(line, widths)))
              for line in cells]
    lines += ["", "Of a source domain the validation images count, of the target all images."]
    return lines + ([STATISTICS] if found.has_statistics else [])


def _name(row: Row) -> str:
    return row.which if row.iteration is None else f"{row.which}, iteration {row.iteration}"


def _number(value: Optional[float]) -> str:
    return "-" if value is None else f"{value:.2f}"
