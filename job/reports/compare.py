"""Several runs beside each other: accuracy interval by interval, as text and as a page."""
from __future__ import annotations

import html
from typing import Any, Dict, List, NamedTuple

from job.publication.late_writes import newest_records
from job.publication.run_record import read_published
from job.reports.charts import line_chart
from job.reports.report import STYLE
from job.reports.show import read_history
from masf_core.records import selection
from obs_sync import ObjectNotFound


class Candidate(NamedTuple):
    """A run as it is compared."""

    name: str
    policy: str  # that chose its best interval
    history: List[Dict[str, Any]]

    @property
    def best(self):
        """The record that the run's selection policy chose."""
        return selection.best(self.policy, self.history)

    def at(self, iteration):
        """The record of an interval's end, or None."""
        return next((record for record in self.history if record["iteration"] == iteration), None)


def read_candidate(store, name):
    """The run in ``store``.

    Raises:
        ObjectNotFound: there is none, or none of its intervals has been completed.
    """
    run = read_published(store)
    history = newest_records(store, run, read_history(store))[1] if run is not None else []
    if not history:
        raise ObjectNotFound("there is no run here with a completed interval", store.url,
                             "Give the URL or the folder of train_url/run_name")
    return Candidate(name, run["config"]["interval"]["selection"], history)


def table(candidates):
    """Lines of Markdown: the target's and the sources' validation accuracy in per cent, a row an interval."""
    titles = [f"{each.name} {what}" for each in candidates for what in (target_of(each), "validation")]
    lines = ["| iteration | {} |".format(" | ".join(titles)), "|-:|{}".format("-:|" * len(titles))]
    for iteration in sorted({record["iteration"] for each in candidates for record in each.history}):
        cells = []
        for each in candidates:
            record = each.at(iteration)
            for key in ("target_accuracy", "validation_accuracy"):
                chosen = record is not None and record is each.best
                cells.append("" if record is None else ("**{:.2f}**" if chosen else "{:.2f}").format(record[key]))
        lines.append("| {} | {} |".format(iteration, " | ".join(cells)))
    return lines


def outcome(each):
    """One line: what the selection policy chose."""
    best = each.best
    return "{}: {:.2f} % on {} at iteration {} of {}, chosen by {} (validation {:.2f} %); {:.2f} s an iteration".format(
        each.name, best["target_accuracy"], target_of(each), best["iteration"], each.history[-1]["iteration"],
        each.policy, best["validation_accuracy"], best["seconds_per_iteration"] or float("nan"))


def target_of(each):
    return each.history[0]["target_domain"]


def page(candidates):
    """A self-contained HTML page: outcomes, curves of both accuracies, the table."""
    parts = ["<!DOCTYPE html><html lang=en><head><meta charset=utf-8><title>Runs "
             f"compared</title><style>{STYLE}</style>"
             "</head><body><h1>Runs compared</h1>"]
    parts.append("<ul>{}</ul>".format("".join(f"<li>{html.escape(outcome(each))}</li>"
                                              for each in candidates)))
    for title, key in (("Target", "target_accuracy"), ("Validation on the sources", "validation_accuracy")):
        parts.append(f"<h2>{title}</h2>" + line_chart(
            [(each.name, [(record["iteration"], record[key]) for record in each.history]) for each in candidates],
            "iteration", "accuracy, %"))
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table(candidates)]
    parts.append("<h2>Interval by interval</h2><table>")
    for number, row in enumerate(rows[:1] + rows[2:]):
        tag = "td" if number else "th"
        parts.append("<tr>{}</tr>".format("".join(f"<{tag}>{_marked(cell)}</{tag}>" for cell in row)))
    return "\n".join(parts) + "</table></body></html>\n"


def _marked(cell):
    text = html.escape(cell)
    return "<b>{}</b>".format(text.strip("*")) if text.startswith("**") else text
