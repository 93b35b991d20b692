"""What `predict` found: as text, as a CSV file and as a JSON document. Dimensions: C classes."""
from __future__ import annotations

import collections
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from job.printable import printable
from job.reports.evaluated import headline
from job.reports.image_results import csv_lines
from masf_core.words import plural

SHOWN = 20  # images in the text


class Prediction(NamedTuple):
    """An image. path: of its file on the local disk. shown: as the user names it. label: its class number, None where
    that is not known. probabilities: float64 [C], None where the file cannot be read; problem then says why."""

    path: str
    shown: str
    label: Optional[int]
    probabilities: Optional[np.ndarray]
    problem: str = ""

    @property
    def predicted(self) -> int:
        """The number of the most probable class."""
        return int(np.argmax(self.probabilities))

    @property
    def probability(self) -> float:
        """Of the predicted class."""
        return float(self.probabilities[self.predicted])

    @property
    def is_labelled(self) -> bool:
        """Whether it can be said if the prediction is right."""
        return self.label is not None and self.probabilities is not None

    @property
    def is_mistake(self) -> bool:
        """Whether the prediction is known to be wrong."""
        return self.is_labelled and self.predicted != self.label


class Predictions(NamedTuple):
    """network: in words. source: URL or path of its file. iteration: None where it is not known. seconds: for decoding
    and computing, without the fetching."""

    network: str
    source: str
    sha256: str
    iteration: Optional[int]
    device: str
    classes: Tuple[str, ...]
    images: List[Prediction]
    seconds: float

    def readable(self) -> List[Prediction]:
        """The images that were predicted."""
        return [each for each in self.images if each.probabilities is not None]

    def unreadable(self) -> List[Prediction]:
        """The images that cannot be read."""
        return [each for each in self.images if each.probabilities is None]

    def mistakes(self) -> List[Prediction]:
        """Wrong predictions, the worst first: those that give the true class the lowest probability."""
        wrong = [each for each in self.images if each.is_mistake]
        return sorted(wrong, key=lambda each: (float(each.probabilities[each.label]), -each.probability))

    def others(self) -> List[Prediction]:
        """Predictions that are right or cannot be judged, the least certain first."""
        return sorted((each for each in self.readable() if not each.is_mistake), key=lambda each: each.probability)

    def confusion(self) -> np.ndarray:
        """int64 [C, C] of the images with a label: rows are true classes, columns predictions."""
        found = np.zeros((len(self.classes), len(self.classes)), np.int64)
        for each in self.images:
            if each.is_labelled:
                found[each.label, each.predicted] += 1
        return found

    def name(self, number: Optional[int]) -> str:
        """The name of a class; "" for None."""
        return "" if number is None else self.classes[number]


def accuracy(confusion: np.ndarray) -> float:
    """Per cent; there is at least one image."""
    return 100.0 * float(np.trace(confusion)) / float(confusion.sum())


def text(found: Predictions, elsewhere: bool) -> List[str]:
    """Lines for people: all images if they are few, otherwise the worst mistakes, or the first ones.

    Args:
        elsewhere: a file has all of them.
    """
    lines = [headline(found.network, found.iteration, found.device), summary(found)]
    confusion = found.confusion()
    if confusion.sum():
        lines.append(f"accuracy {accuracy(confusion):.2f} % of {plural(int(confusion.sum()), 'image')} with a label")
    few = len(found.images) <= SHOWN
    wrong = found.mistakes()
    if few:
        title, rows = "", found.images
    elif wrong:
        title, rows = f"worst mistakes of {len(wrong):,}:", wrong[:SHOWN]
    else:
        title, rows = f"first images of {len(found.images):,}:", found.images[:SHOWN]
    if not few:
        lines += [""] + _counts(found)
    lines += [""] + ([title] if title else []) + _table(found, rows)
    bad = found.unreadable()
    if bad and not few:
        lines += ["", "cannot be read:"] + [f"  {printable(each.shown)}: {printable(each.problem)}"
                                            for each in bad[:SHOWN]]
        lines += [f"  and {len(bad) - SHOWN} more"] if len(bad) > SHOWN else []
    if not few and not elsewhere:
        lines += ["", "--out=FILE.csv writes a line for each image, --page=FILE.html a page with pictures"]
    return lines


def summary(found: Predictions) -> str:
    """How many images there are, and how fast it was."""
    bad = len(found.unreadable())
    speed = f", {len(found.images) / found.seconds:.0f} images/s" if found.seconds > 0 else ""
    return f"{plural(len(found.images), 'image')}{f', of which {bad} cannot be read' if bad else ''}{speed}"


def _counts(found: Predictions) -> List[str]:
    counts = collections.Counter(each.predicted for each in found.readable())
    names = [printable(name) for name in found.classes]
    width = max(len(name) for name in names + ["predicted"])
    return [f"{'predicted':<{width}}  {'images':>6}"] + [
        f"{name:<{width}}  {counts[number]:>6}" for number, name in enumerate(names) if counts[number]]


def _table(found: Predictions, rows: Sequence[Prediction]) -> List[str]:
    labelled = any(each.label is not None for each in rows)
    cells = [["image"] + ["label"] * labelled + ["predicted", "probability"]]
    for each in rows:
        label = [printable(found.name(each.label)) or "-"] * labelled
        if each.probabilities is None:
            cells.append([printable(each.shown)] + label + ["-", printable(each.problem)])
        else:
            wrong = "  wrong" if each.is_mistake else ""
            cells.append([printable(each.shown)] + label + [
                printable(found.name(each.predicted)), f"{each.probability:.4f}{wrong}"])
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]) - 1)]
    return ["  ".join([f"{each:<{width}}" for each, width in zip(row, widths)] + row[-1:]) for row in cells]


def csv_text(found: Predictions) -> str:
    """A header and a line for each image, with the probability of each class; six decimals."""
    columns = ["path", "label", "predicted", "probability", "problem"] + [f"p_{name}" for name in found.classes]
    return csv_lines(columns, (_csv_row(found, each) for each in found.images))


def _csv_row(found: Predictions, each: Prediction) -> List[str]:
    known = [each.shown, found.name(each.label)]
    if each.probabilities is None:
        return known + ["", "", each.problem] + [""] * len(found.classes)
    return known + [found.name(each.predicted), f"{each.probability:.6f}", ""] + [
        f"{value:.6f}" for value in each.probabilities]


def document(found: Predictions) -> Dict[str, Any]:
    """The same as a JSON document."""
    confusion = found.confusion()
    return {
        "network": found.network, "source": found.source, "sha256": found.sha256, "iteration": found.iteration,
        "device": found.device, "classes": list(found.classes), "seconds": round(found.seconds, 3),
        "accuracy": accuracy(confusion) if confusion.sum() else None,
        "confusion": confusion.tolist() if confusion.sum() else None,
        "images": [{
            "path": each.shown, "label": found.name(each.label) or None, "problem": each.problem or None,
            "predicted": None if each.probabilities is None else found.name(each.predicted),
            "probabilities": None if each.probabilities is None else [round(float(p), 6) for p in each.probabilities],
        } for each in found.images]}
