"""The figures of a run: accuracy with chance and the published value, losses, time, and accuracy by class."""
from __future__ import annotations

import math
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from job.reports.page.colours import INK, MUTED, PALETTE, colours_of_domains
from job.reports.page.plotting import SIZE, WHOLE_WIDTH, Draw, Plan, label, legend_below

MOST_MARKED = 60  # points of a line that is drawn with a mark at each
MOST_BARS = 60  # classes that a figure shows
LOSSES = {"source_loss": PALETTE[4], "target_loss": PALETTE[5], "global_loss": PALETTE[6], "metric_loss": PALETTE[7]}

Points = Tuple[List[float], List[float]]  # (iterations, values)


class Reference(NamedTuple):
    """The value that somebody has published for this method and target. told: whose it is."""

    value: float
    told: str


def plans(history: Sequence[Mapping[str, Any]], best: Mapping[str, Any], classes: Sequence[str],
          reference: Optional[Reference]) -> List[Plan]:
    """The figures of a run with at least one interval.

    Args:
        history: records of metrics.jsonl. best: the one that the selection policy chose. classes: in label order.
    """
    target = history[0]["target_domain"]
    domains = colours_of_domains([target, *history[0].get("validation", {})])
    chance = 100.0 / len(classes) if classes else None
    found = [
        Plan("accuracy", f"Accuracy on the whole target domain {target}, and on the validation images of the source "
             "domains. The ring marks the interval that the selection policy chose.",
             _accuracy(history, best, domains, chance, reference)),
        Plan("losses", "Cross-entropy on the batches of the source domains and on the target domain.",
             _lines(history, {"source_loss": "source domains", "target_loss": "target domain"}, "cross-entropy")),
        Plan("meta_losses", "Global loss, and local loss multiplied by its weight beta2.",
             _lines(history, {"global_loss": "global", "metric_loss": "local, weighted"}, "loss"))]
    per_class = best.get("target_per_class")
    if per_class:
        shown = list(classes)[:MOST_BARS]
        rest = len(classes) - len(shown)
        told = f" The first {len(shown)} classes; the table holds the other {rest} too." if rest else ""
        found.append(Plan(
            "classes", f"Accuracy on {target} by class, iteration {best['iteration']}; the line is the accuracy over "
            f"all images.{told}", _bars(shown, per_class, best["target_accuracy"], domains[target]),
            (SIZE[0], max(2.0, 0.9 + 0.27 * len(shown)))))
    return found


def compared_plan(name: str, caption: str, lines: Sequence[Tuple[str, str, Sequence[Tuple[int, float]]]]) -> Plan:
    """Accuracies of several runs in one figure. lines: (name of the run, colour, [(iteration, per cent)])."""
    def draw(axes: Any) -> None:
        values = []
        for title, colour, points in lines:
            line = _finite(points)
            values += line[1]
            axes.plot(*line, color=colour, label=label(title, WHOLE_WIDTH), **_mark(line))
        _per_cent(axes, values)
        _iterations(axes)
        legend_below(axes, 1 if max(len(each[0]) for each in lines) > 18 else 2)

    return Plan(name, caption, draw, (SIZE[0], SIZE[1] + 0.18 * max(0, len(lines) - 2)))


def _accuracy(history: Sequence[Mapping[str, Any]], best: Mapping[str, Any], domains: Mapping[str, str],
              chance: Optional[float], reference: Optional[Reference]) -> Draw:
    def draw(axes: Any) -> None:
        target, values = history[0]["target_domain"], []
        for name in sorted(history[0].get("validation", {})):
            line = _finite([(r["iteration"], r["validation"].get(name, {}).get("accuracy")) for r in history])
            values += line[1]
            axes.plot(*line, color=domains[name], linewidth=1.1, linestyle="--",
                      label=label(f"{name}, validation"))
        mean = _finite([(r["iteration"], r["validation_accuracy"]) for r in history])
        axes.plot(*mean, color=INK, linewidth=1.3, label="validation, mean", **_mark(mean))
        line = _finite([(r["iteration"], r["target_accuracy"]) for r in history])
        values += mean[1] + line[1]
        axes.plot(*line, color=domains[target], linewidth=2.6, label=label(f"{target}, target"), **_mark(line))
        axes.plot([best["iteration"]], [best["target_accuracy"]], "o", markersize=11, markerfacecolor="none",
                  markeredgecolor=domains[target], markeredgewidth=1.6)
        if reference is not None:
            values.append(reference.value)
            axes.axhline(reference.value, color=domains[target], linewidth=1.2, linestyle=(0, (1, 1.5)),
                         label=label(f"{reference.told}: {reference.value:.1f}"))
        if chance is not None:
            values.append(chance)
            axes.axhline(chance, color=MUTED, linewidth=1.2, linestyle=":", label=f"chance: {chance:.1f}")
        _per_cent(axes, values)
        _iterations(axes)
        legend_below(axes)

    return draw


def _lines(history: Sequence[Mapping[str, Any]], keys: Mapping[str, str], y_label: str) -> Draw:
    """keys: member of the records → its name in the legend."""
    def draw(axes: Any) -> None:
        for key, title in keys.items():
            line = _finite([(record["iteration"], record.get(key)) for record in history])
            axes.plot(*line, color=LOSSES[key], label=title, **_mark(line))
        axes.set_ylabel(y_label)
        axes.margins(y=0.08)
        _iterations(axes)
        legend_below(axes)

    return draw


def _bars(classes: Sequence[str], per_class: Mapping[str, Optional[float]], accuracy: float, colour: str) -> Draw:
    def draw(axes: Any) -> None:
        places = range(len(classes))
        values = [per_class.get(name) for name in classes]
        axes.barh(places, [value or 0.0 for value in values], color=colour, height=0.7)
        for place, value in zip(places, values):
            told = "no image" if value is None else f"{value:.1f}"
            axes.text((value or 0.0) + 1.0, place, told, va="center", fontsize=9)
        axes.axvline(accuracy, color=INK, linewidth=1.0, linestyle="--")
        axes.set_yticks(list(places))
        axes.set_yticklabels([label(name) for name in classes])
        axes.set_ylim(len(classes) - 0.4, -0.6)
        axes.set_xlim(0.0, 108.0)
        axes.set_xticks([0, 20, 40, 60, 80, 100])
        axes.set_xlabel("accuracy, %")
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)

    return draw


def _finite(points: Sequence[Tuple[float, Optional[float]]]) -> Points:
    """The points that can be drawn."""
    kept = [(x, y) for x, y in points if y is not None and math.isfinite(y)]
    return [x for x, _ in kept], [y for _, y in kept]


def _mark(line: Points) -> Dict[str, Any]:
    return {"marker": "o", "markersize": 3.5} if len(line[0]) <= MOST_MARKED else {}


def _per_cent(axes: Any, values: Sequence[float]) -> None:
    """An axis of per cent from a round number below all values to one above."""
    from matplotlib.ticker import MaxNLocator

    if values:
        low, high = 10 * math.floor(min(values) / 10 - 0.1), 10 * math.ceil(max(values) / 10 + 0.1)
        axes.set_ylim(max(0, low), min(100, high) + 1)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
    axes.set_ylabel("accuracy, %")


def _iterations(axes: Any) -> None:
    """An axis of whole iterations."""
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set_xlabel("iteration")
