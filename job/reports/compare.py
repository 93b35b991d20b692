"""Several runs beside each other: accuracy interval by interval, as text and as a page."""
from __future__ import annotations

from typing import Any, Dict, Iterator, List, NamedTuple, Sequence, Tuple

from job.printable import as_html, printable
from job.publication.late_writes import read_records
from job.publication.run_record import selection_policy
from job.reports.page.colours import colours_of_methods
from job.reports.page.curves import compared_plan
from job.reports.page.document import document as html_document
from job.reports.page.document import heading, paragraph
from job.reports.page.plotting import draw_all
from masf_core.records import selection
from obs_sync import ObjectNotFound, Store


class Candidate(NamedTuple):
    """A run as it is compared."""

    name: str
    policy: str  # one of ``selection.POLICIES``, which chose its best interval
    history: List[Dict[str, Any]]  # records of ``job.publication.history``, at least one

    @property
    def best(self) -> Dict[str, Any]:
        """The record that the run's selection policy chose."""
        return selection.best(self.policy, self.history)

    @property
    def target(self) -> str:
        """The target domain."""
        return self.history[0]["target_domain"]


class Cell(NamedTuple):
    """A cell of the table. chosen: the selection policy of its run chose this interval."""

    text: str
    chosen: bool = False


def read_candidate(store: Store, name: str) -> Candidate:
    """The run in ``store``.

    Raises:
        ObjectNotFound: there is no run, or none of its intervals has been completed. IntegrityError: its run.json is
        damaged.
    """
    run, history = read_records(store)
    policy = selection_policy(store, run)
    if not history:
        raise ObjectNotFound("there is no run here with a completed interval", store.url,
                             "Give the folder train_url/run_name of a run")
    return Candidate(name, policy, history)


def rows(candidates: Sequence[Candidate]) -> Iterator[List[Cell]]:
    """The titles, then a row for each interval: accuracies on the target and on validation images, in per cent."""
    yield [Cell("iteration")] + [
        Cell(f"{each.name} {what}") for each in candidates for what in (each.target, "validation")]
    chosen = [each.best for each in candidates]
    by_iteration = [{record["iteration"]: record for record in each.history} for each in candidates]
    for iteration in sorted(set().union(*by_iteration)):
        row = [Cell(str(iteration))]
        for records, best in zip(by_iteration, chosen):
            record = records.get(iteration)
            for key in ("target_accuracy", "validation_accuracy"):
                row.append(Cell("") if record is None else Cell(f"{record[key]:.2f}", record is best))
        yield row


def table(candidates: Sequence[Candidate]) -> List[str]:
    """Lines of Markdown: the ``rows``, with the intervals that the selection policies chose in bold."""
    titles, *others = [[_markdown(cell) for cell in row] for row in rows(candidates)]
    return [f"| {' | '.join(row)} |" for row in [titles, ["-:"] * len(titles)] + others]


def outcome(each: Candidate) -> str:
    """One line: what the selection policy chose, and how long an iteration took."""
    best = each.best
    seconds = best["seconds_per_iteration"]
    return printable(
        f"{each.name}: {best['target_accuracy']:.2f} % on {each.target} at iteration {best['iteration']} of "
        f"{each.history[-1]['iteration']}, chosen by {each.policy} (validation {best['validation_accuracy']:.2f} %)"
        + ("" if seconds is None else f"; {seconds:.2f} s an iteration"))


def document(candidates: Sequence[Candidate]) -> Dict[str, Any]:
    """What programs read: the runs in the order that was given, each with the chosen interval and with all of them."""
    return {"runs": [{"name": each.name, "target_domain": each.target, "selection": each.policy, "chosen": each.best,
                      "intervals": each.history} for each in candidates]}


def page(candidates: Sequence[Candidate]) -> str:
    """A self-contained HTML page: outcomes, curves of both accuracies, the table."""
    keys = [f"{each.name} {number}" for number, each in enumerate(candidates)]  # two may have the same name
    colours = colours_of_methods(keys)
    titles = (("target", "Accuracy on the target domain.", "target_accuracy"),
              ("validation", "Mean accuracy on the validation images of the source domains.", "validation_accuracy"))
    drawn = draw_all([compared_plan(name, caption, [
        (each.name, colours[own], _curve(each, key)) for own, each in zip(keys, candidates)])
        for name, caption, key in titles])
    parts = ["<ul>" + "".join(f"<li>{as_html(outcome(each))}</li>" for each in candidates) + "</ul>"]
    parts += [paragraph(drawn.told, "muted")] if drawn.told else []
    parts += [heading("Accuracy"), drawn.html("target", "validation"), heading("Interval by interval"),
              '<div class="wide tall"><table>']
    for number, row in enumerate(rows(candidates)):
        tag = "td" if number else "th"
        parts.append("<tr>" + "".join(f"<{tag}>{_html(cell)}</{tag}>" for cell in row) + "</tr>")
    return html_document("Runs compared", parts + ["</table></div>"])


def _curve(each: Candidate, key: str) -> List[Tuple[int, float]]:
    return [(record["iteration"], record[key]) for record in each.history]


def _markdown(cell: Cell) -> str:
    text = printable(cell.text).replace("|", "\\|")
    return f"**{text}**" if cell.chosen else text


def _html(cell: Cell) -> str:
    return f"<b>{as_html(cell.text)}</b>" if cell.chosen else as_html(cell.text)
