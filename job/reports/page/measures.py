"""The tables of a run's results: intervals, classes, confusion."""
from __future__ import annotations

import math
from typing import Any, Iterator, List, Mapping, Optional, Sequence, Tuple

from job.printable import as_html
from job.reports.page.document import heading, paragraph, table

MOST_ROWS = 200  # intervals that the table shows
MOST_CLASSES = 40  # classes of a confusion matrix that is shown whole
MOST_CONFUSIONS = 40  # lines of the list that stands for a larger one
_COLUMNS = (("source loss", "source_loss", ".4f"), ("global loss", "global_loss", ".5f"),
            ("local loss", "metric_loss", ".5f"), ("target loss", "target_loss", ".4f"),
            ("s/iteration", "seconds_per_iteration", ".3f"), ("images/s", "images_per_second", ".0f"),
            ("evaluation, s", "evaluation_seconds", ".1f"))


def interval_table(history: Sequence[Mapping[str, Any]], best: Mapping[str, Any]) -> Iterator[str]:
    """A row for each interval; of very many, evenly chosen ones and the best."""
    shown = _thinned(history, best)
    target = history[0]["target_domain"]
    domains = sorted(history[0].get("validation", {}))
    titles = ["iteration", f"{target} (target), %", "validation, mean, %", *(f"{name}, %" for name in domains),
              *(title for title, _, _ in _COLUMNS)]
    yield heading("Intervals")
    if len(shown) < len(history):
        yield paragraph(f"{len(shown)} of {len(history)} intervals; metrics.jsonl holds all of them.", "muted")
    rows = []
    for record in shown:
        cells = [f"{record['iteration']}", f"{record['target_accuracy']:.2f}", f"{record['validation_accuracy']:.2f}"]
        cells += [_number(record.get("validation", {}).get(name, {}).get("accuracy"), ".2f") for name in domains]
        cells += [_number(record.get(key), form) for _, key, form in _COLUMNS]
        kind = ' class="chosen"' if record is best else ""
        rows.append(f"<tr{kind}>" + "".join(f"<td>{as_html(cell)}</td>" for cell in cells) + "</tr>")
    head = "".join(f"<th>{as_html(title)}</th>" for title in titles)
    yield f'<div class="wide tall"><table><tr>{head}</tr>' + "\n".join(rows) + "</table></div>"


def class_table(classes: Sequence[str], per_class: Mapping[str, Optional[float]],
                confusion: Sequence[Sequence[int]], colour: Optional[str]) -> str:
    """Accuracy of each class as a number and a bar, and its number of images.

    Args:
        confusion: [class, class], counts of images. colour: of the bars; None for no bars, beside a figure of them.
    """
    rows = []
    for number, name in enumerate(classes):
        value = per_class.get(name)
        images = sum(confusion[number]) if number < len(confusion) else 0
        bar = "" if value is None else f'<i style="width:{value:.1f}%;background:{colour}"></i>'
        told = "no image" if value is None else f"{value:.1f}"
        bar_cell = "" if colour is None else f'<td class="bar">{bar}</td>'
        rows.append(f"<tr><td>{as_html(name)}</td><td>{told}</td>{bar_cell}<td>{images:,}</td></tr>")
    bar_title = "" if colour is None else "<th></th>"
    return (f'<div class="wide"><table class="first"><tr><th>class</th><th>accuracy, %</th>{bar_title}<th>images</th>'
            "</tr>" + "\n".join(rows) + "</table></div>")


def confusion_table(matrix: Sequence[Sequence[int]], classes: Sequence[str], elsewhere: str) -> str:
    """Rows are true classes, columns predictions, shaded by the share of the row.

    Of more than ``MOST_CLASSES`` classes, a list of the most frequent confusions.

    Args:
        matrix: [class, class], counts of images. classes: names in label order.
        elsewhere: a sentence for above such a list: what has the whole matrix.
    """
    if len(classes) > MOST_CLASSES:
        return _most_frequent(matrix, classes, elsewhere)
    titles = "".join(f"<th>{as_html(name)}</th>" for name in classes)
    lines = [f'<div class="wide"><table class="confusion first"><tr><th>true \\ predicted</th>{titles}</tr>']
    for name, row in zip(classes, matrix):
        total = sum(row) or 1
        cells = "".join(f'<td style="background:rgba(31,111,180,{0.75 * count / total:.2f})">{count:d}</td>'
                        for count in row)
        lines.append(f"<tr><td>{as_html(name)}</td>{cells}</tr>")
    return "\n".join(lines) + "</table></div>"


def _most_frequent(matrix: Sequence[Sequence[int]], classes: Sequence[str], elsewhere: str) -> str:
    wrong: List[Tuple[int, str, str]] = [
        (count, true, predicted) for true, row in zip(classes, matrix) for predicted, count in zip(classes, row)
        if count and true != predicted]
    wrong.sort(key=lambda each: (-each[0], each[1], each[2]))
    told = f"The {min(len(wrong), MOST_CONFUSIONS)} most frequent of {len(wrong)} kinds of confusion. {elsewhere}"
    rows = [[true, predicted, f"{count:,}"] for count, true, predicted in wrong[:MOST_CONFUSIONS]]
    return paragraph(told, "muted") + table(["true", "predicted", "images"], rows, "first")


def _thinned(history: Sequence[Mapping[str, Any]], best: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    if len(history) <= MOST_ROWS:
        return history
    step = (len(history) - 1) / (MOST_ROWS - 1)
    kept = {int(round(number * step)) for number in range(MOST_ROWS)}
    return [record for number, record in enumerate(history) if number in kept or record is best]


def _number(value: Optional[float], form: str) -> str:
    return "" if value is None else format(value, form) if math.isfinite(value) else str(value)
